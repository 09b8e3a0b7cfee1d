"""Bugs to plant into ``srwm.cu``, and what the checker must say of each."""

from planted_bugs import Bug
from planted_recurrent_bugs import without

BUGS = {
    "no barrier before the first step": Bug(
        "forward", "    __syncthreads();\n    for", "    for", "uninitialised",
        "read<K>(w, u_s)",
    ),
    "no barrier before the softmax": without(
        "forward", "all of a is there", "race", "make(a, live"
    ),
    "no barrier after the softmax": without(
        "forward", "d, k, b and u are there", "race", "read<K>(w, d)"
    ),
    "a shuffle taken for a barrier": Bug(
        "void make", "top = {larger(a[j], top.q)", "top = {larger(a[0], top.q)", "race",
        "make(a, live", "forward",
    ),
    "the step after the last is fetched": Bug(
        "forward", "r < K && t + 1 < T", "r < K", "out of bounds", "u_r = u[next"
    ),
    "the last matrix is kept, too": Bug(
        "forward", "% every == 0 && t + 1 < T", "% every == 0", "out of bounds",
        "kept[((Int)",
    ),
    "threads without a row write one": Bug(
        "forward", "        if (r >= ROWS) continue;\n", "", "out of bounds",
        "real x = used",
    ),
    "no barrier before the last step": Bug(
        "backward", "    __syncthreads();      ", "    ", "uninitialised",
        "part<TALL>(x, w_s",
    ),
    "no barrier between the warps' sums and their sum": without(
        "backward", "G k is there, in parts", "race", "s += parts"
    ),
    "no barrier before e is used": without(
        "backward", "e is there", "race", "part<TALL>(e, e_s"
    ),
    "no barrier before dq and dk are used": without(
        "backward", "dq, dk and db are there", "race", "dot = {dot.q"
    ),
    "one place for the numbers of two steps": Bug(
        "backward", "numbers[(t + 1) % 2][at]", "numbers[t % 2][at]", "race",
        "e_s[r] = live",
    ),
    "a sum that not all lanes enter": Bug(
        "backward", "const real du_j = sum_each<WIDE>(sums)",
        "const real du_j = lane < ROWS % 32 ? sum_each<WIDE>(sums) : 0",
        "divergent barrier", "__shfl_xor_sync(~0u, given", "real sum_each",
    ),
    "rows that are not there": Bug(
        "backward", "if (r < ROWS && j < K)", "if (j < K)", "out of bounds",
        "dW[matrix",
    ),
    "all heads taken for the first": Bug(
        "backward", "blockIdx.x % H", "0", "race of blocks", "du[(first"
    ),
}  # fmt: skip

ONLY_NUMBERS = {
    "W walked on, not back": ("(w[m], -x[m], k_i)", "(w[m], x[m], k_i)"),
    "another kept matrix": ("w, kept + (Int)(t / every)", "w, kept + (t / every ^ 1)"),
    "G added to itself": ("parts[warp][lane", "write<WIDE>(g[m], 1, g[m]);"
                          " parts[warp][lane"),
    "no slope of the sigmoid": ("(1 - b[i]) * db.q", "db.q"),
    "one rate for all blocks": ("live[block_of(r)] * b[block_of(r)]", "live[0] * b[0]"),
    "a neighbour's sum": ("threadIdx.x & half", "~threadIdx.x & half"),
}  # fmt: skip
