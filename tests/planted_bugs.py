"""Bugs to plant into ``delta_rule.cu``, and what the checker must say of each."""

from typing import NamedTuple

from srwm_lite.kernels.cuda import source


class Bug(NamedTuple):
    """Replace `old` by `new`, the first time it stands in `kernel`.

    Some finding of this `kind` must name the line of `place`, in `kernel` or `within`.
    """

    kernel: str
    old: str
    new: str
    kind: str
    place: str
    within: str = ""


SYNC = "        __syncthreads();\n"
BUGS = {
    "no barrier after q_s and k_s are fetched": Bug(
        "forward", SYNC, "", "uninitialised", "read<K>(w, k_s"
    ),
    "no barrier before the next are fetched": Bug(
        "forward", "        }\n" + SYNC, "        }\n", "race", "read<K>(w, q_s"
    ),
    "no barrier after they are fetched, backward": Bug(
        "backward_rows", SYNC, "", "uninitialised", "write<K>(g, dy_s"
    ),
    "no barrier between the two walks": Bug(
        "backward_columns", "        }\n" + SYNC, "        }\n", "race",
        "read<V>(c, e_s",
    ),
    "no barrier before the sum over the warps": Bug(
        "backward_rows", SYNC + "        sum_warps", "        sum_warps", "race",
        "sum_warps(dbeta",
    ),
    "a warp's barrier for a block's": Bug(
        "backward_rows", SYNC + "        sum_warps",
        "        __syncwarp();\n        sum_warps", "race", "sum_warps(dbeta",
    ),
    "one step too many": Bug(
        "forward", "v + now * V, steps", "v + now * V, steps + 1", "out of bounds",
        "share<V>(v_s",
    ),
    "a last turn as long as the others": Bug(
        "forward", "q + now * K, steps", "q + now * K, STEPS", "out of bounds",
        "share<K>(q_s",
    ),
    "a barrier that not all threads reach": Bug(
        "forward", SYNC, "        if (i < V) __syncthreads();\n", "divergent barrier",
        "__syncthreads",
    ),
    "threads without a row return": Bug(
        "forward", "    real w[K];", "    if (i >= V) return;    real w[K];",
        "divergent barrier", "__syncthreads();",
    ),
    "a sum that not all lanes enter": Bug(
        "backward_rows", "                part = du * e_s[s][i];\n            }\n"
        "            part = warp_sum(part);",
        "                part = warp_sum(du * e_s[s][i]);\n            }",
        "divergent barrier", "__shfl_xor_sync", "real warp_sum",
    ),
    "rows one too low": Bug(
        "forward", "W_T[row +", "W_T[row + K +", "out of bounds", "W_T[row + K +"
    ),
    "all heads taken for the first": Bug(
        "forward", "blockIdx.x % H", "0", "race of blocks", "y[(now + s * H)"
    ),
    "rows of the scratch memory that overlap": Bug(
        "decay_gradient", "+ i * K] = w[i];\n            fade",
        "+ i] = w[i];\n            fade", "race", "+ i] = w[i]",
    ),
    "one array of sums where two are needed": Bug(
        "decay_gradient", "of_warp[t % 2]", "of_warp[0]", "race", "of_warp[0]"
    ),
    "k_s never fetched": Bug(
        "backward_rows", "        share<K>(k_s, k + now * K, steps, H * K);\n", "",
        "uninitialised", "du = read<K>",
    ),
    "the last of dy_s never fetched": Bug(
        "backward_columns", "share<V>(dy_s", "share<V - 1>((real (*)[V - 1])dy_s",
        "uninitialised", "write<V>(c, q_s",
    ),
    "threads without a row write one": Bug(
        "forward", "if (i < V) for (int j = 0; j < K; j++) W_T",
        "for (int j = 0; j < K; j++) W_T", "out of bounds", "j++) W_T",
    ),
}  # fmt: skip


def planted(bug, file="delta_rule.cu"):
    """Return the kernels of a file with the bug."""
    text = source(file)
    before, name, kernel = text.partition(f" {bug.kernel}(")
    assert bug.old in kernel
    return before + name + kernel.replace(bug.old, bug.new, 1)


ONLY_NUMBERS = {
    "a sign": ("- read<V>(c, de_s[s])", "+ read<V>(c, de_s[s])"),
    "no decay": (
        "if (GATED) fade<K>(w, *alpha_s[s]);",
        "if (GATED) fade<K>(w, 1);",
    ),
    "the wrong chunk": ("if (t % size == 0)", "if (t % size == 1)"),
    "a neighbour's column": ("+ j;\n    real c[V]", "+ (j ^ 1);\n    real c[V]"),
}


def bug_sizes(bug):
    """Return K and V such that the kernel's threads are of two warps."""
    return (40, 8) if bug.kernel == "decay_gradient" else (8, 40)


def line_of(text, kernel, fragment):
    """Return the number of the first line of `kernel` that has `fragment`."""
    start = text.index(f" {kernel}(")
    return text.count("\n", 0, text.index(fragment, start)) + 1
