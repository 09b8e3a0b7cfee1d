"""Six puzzles: what to write, what is right, and the mistakes that are known.

Tests     tests/test_puzzles.py
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

Sizes = Mapping[str, int]
Shape = Callable[[Sizes], tuple[int, ...]]


class Hint(NamedTuple):
    """What a mistake gives, and what to do about it."""

    make: Callable[..., Tensor]
    words: str


class Puzzle(NamedTuple):
    """A kernel to write.

    Attributes
    ----------
    name, task, blank : str
    inputs : mapping from name to shape
        The kernel takes them in this order, then the output.
    output : str
        One of the inputs if the kernel changes it.
    reference : callable
        Takes all inputs.
    threads : callable
        How many threads the block has.
    cases : tuple of Sizes
        Constants that are compiled in.
    mistakes : mapping from name to Hint
    most : mapping from space to float
        How often the ideal number of sectors or waves may be taken.
    given : str
        What is wrong with the kernel to begin with, if it is complete.
    """

    name: str
    task: str
    blank: str
    inputs: Mapping[str, Shape]
    output: str
    reference: Callable[..., Tensor]
    threads: Callable[[Sizes], int]
    cases: tuple[Sizes, ...]
    mistakes: Mapping[str, Hint] = {}
    most: Mapping[str, float] = {}
    given: str = ""


def warps(n: int) -> int:
    """Return `n` rounded up to whole warps."""
    return -(-n // 32) * 32


def vector(name: str) -> Shape:
    """Return the shape of a vector."""
    return lambda sizes: (sizes[name],)


def matrix(rows: str, cols: str) -> Shape:
    """Return the shape of a matrix."""
    return lambda sizes: (sizes[rows], sizes[cols])


def blanks(signature: str, body: str) -> str:
    """Return the text of a kernel."""
    lines = "\n".join(f"    {line}" if line else "" for line in body.split("\n"))
    return f'extern "C" __global__ void {signature}\n{{\n{lines}\n}}\n'


def square_shift(u: Tensor, k: Tensor, W: Tensor) -> Tensor:
    """Write with the wrong stride where that stays inside, else anything."""
    return W + torch.outer(k[: len(W)], u[: W.shape[1]]) if len(u) == len(k) else W


PUZZLES = {
    puzzle.name: puzzle
    for puzzle in (
        Puzzle(
            "map",
            "u[i] = beta[0] * (v[i] - v_old[i]) for all i < V. The block has more "
            "threads than V.",
            blanks(
                "map(const float* beta, const float* v, const float* v_old, float* u)",
                "const int i = threadIdx.x;\n// your line",
            ),
            {"beta": lambda _: (1,), "v": vector("V"), "v_old": vector("V")},
            "u",
            lambda beta, v, v_old: beta * (v - v_old),
            lambda sizes: warps(sizes["V"] + 1),
            ({"V": 20}, {"V": 40}),
            mistakes={
                "The error has the wrong sign": Hint(
                    lambda beta, v, v_old: beta * (v_old - v), "it is v - v_old."
                ),
                "beta is missing": Hint(
                    lambda beta, v, v_old: v - v_old, "multiply by beta[0]."
                ),
            },
        ),
        Puzzle(
            "row",
            "W[i][j] += u[i] * k[j], in global memory, row after row; thread i "
            "writes row i. The block has V threads, rounded up to warps.",
            blanks(
                "row(const float* u, const float* k, float* W)",
                "const int i = threadIdx.x;\n// W[i][j] stands at W[i * K + j]",
            ),
            {"u": vector("V"), "k": vector("K"), "W": matrix("V", "K")},
            "W",
            lambda u, k, W: W + torch.outer(u, k),
            lambda sizes: warps(sizes["V"]),
            ({"V": 8, "K": 8}, {"V": 40, "K": 7}),
            mistakes={
                "The old row is lost": Hint(
                    lambda u, k, W: torch.outer(u, k), "add to it with +=."
                ),
                "Nothing is written": Hint(
                    lambda u, k, W: W, "the loop over j must reach W."
                ),
                "u and k have changed places": Hint(
                    square_shift, "u belongs to the row, k to the column."
                ),
            },
        ),
        Puzzle(
            "block_sum",
            "y[0] = the sum of x[0], ..., x[N - 1], one thread for each, N a multiple "
            "of 32. Sum each warp with __shfl_xor_sync, and the warps through of_warp.",
            blanks(
                "block_sum(const float* x, float* y)",
                "__shared__ float of_warp[32];\nfloat sum = x[threadIdx.x];\n"
                "// your lines",
            ),
            {"x": vector("N")},
            "y",
            lambda x: x.sum().reshape(1),
            lambda sizes: sizes["N"],
            ({"N": 32}, {"N": 96}),
            mistakes={
                "Only the first warp is summed": Hint(
                    lambda x: x[:32].sum().reshape(1),
                    "bring the others' sums through of_warp.",
                ),
                "Nothing is summed": Hint(
                    lambda x: x[:1], "a thread holds its own number only."
                ),
            },
        ),
        Puzzle(
            "scan",
            "y[i] = x[0] + ... + x[i]: the sum rule over time. The kernel is right "
            "but for its barriers.",
            blanks(
                "scan(const float* x, float* y)",
                "__shared__ float s[N];\nconst int i = threadIdx.x;\ns[i] = x[i];\n"
                "for (int far = 1; far < N; far *= 2) {\n"
                "    const float left = i >= far ? s[i - far] : 0;\n"
                "    s[i] += left;\n}\ny[i] = s[i];",
            ),
            {"x": vector("N")},
            "y",
            lambda x: x.cumsum(0),
            lambda sizes: sizes["N"],
            ({"N": 32}, {"N": 96}),
            given="it has no barrier: which lines need one, and how many?",
        ),
        Puzzle(
            "transpose",
            "y[j][i] = x[i][j] for 32 by 32 numbers, through shared memory. The kernel "
            "is right; make its shared memory fast.",
            blanks(
                "transpose(const float* x, float* y)",
                "__shared__ float tile[32][32];\n"
                "const int j = threadIdx.x % 32, warp = threadIdx.x / 32;\n"
                "for (int i = warp; i < 32; i += 4) tile[i][j] = x[i * 32 + j];\n"
                "__syncthreads();\n"
                "for (int i = warp; i < 32; i += 4) y[i * 32 + j] = tile[j][i];",
            ),
            {"x": lambda _: (32, 32)},
            "y",
            lambda x: x.T.contiguous(),
            lambda _: 128,
            ({"N": 32},),
            mistakes={
                "Nothing is turned": Hint(lambda x: x, "read a column of the tile.")
            },
            most={"shared": 1.0, "global": 1.0},
            given="a warp reads a column of the tile: 32 lanes, one bank.",
        ),
        Puzzle(
            "product",
            "y = W k, W [V K] in global memory, K a multiple of 32. Four warps share "
            "the rows; a warp must read a row with neighbours side by side.",
            blanks(
                "product(const float* W, const float* k, float* y)",
                "const int lane = threadIdx.x % 32;\n"
                "for (int i = threadIdx.x / 32; i < V; i += 4) {\n"
                "    // y[i]\n}",
            ),
            {"W": matrix("V", "K"), "k": vector("K")},
            "y",
            lambda W, k: W @ k,
            lambda _: 128,
            ({"V": 8, "K": 32}, {"V": 6, "K": 64}),
            mistakes={
                "Only the first 32 columns count": Hint(
                    lambda W, k: W[:, :32] @ k[:32], "let j run on in steps of 32."
                ),
                "Lane 0 writes its own part": Hint(
                    lambda W, k: W[:, ::32] @ k[::32], "sum over the warp first."
                ),
            },
            most={"global": 1.0},
        ),
    )
}
