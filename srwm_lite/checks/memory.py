"""Exercises on the outer product memory and on the programmer of 1991."""

import torch
from torch import Tensor

from srwm_lite import outer_product
from srwm_lite.checks.exercise import outer, register, times
from srwm_lite.fast_weights import fast_weight_step

TRANSPOSED = (
    "the value runs down the rows and the key along the columns, "
    "v[:, None] * k[None, :]"
)
BATCHED = "v[:, :, None] * k[:, None, :], so that the value runs down the rows"
EARLY = "write first, then read from the new W: y = W q sees the write at t"


def store_all(k: Tensor, v: Tensor) -> Tensor:
    """Return the sum of ``v_t ⊗ k_t`` over all pairs."""
    return v.mT @ k


def _corrected(k: Tensor, v: Tensor) -> Tensor:
    W = k.new_zeros(v.shape[-1], k.shape[-1])
    for k_t, v_t in zip(k, v, strict=True):
        W = W + outer(v_t - W @ k_t, k_t)
    return W


register(
    "write",
    "Add the association of key k with value v to the memory W.",
    outer_product.write,
    {"W": "V K", "k": "K", "v": "V"},
    {"W": "V K"},
    [
        ("transposed outer product", TRANSPOSED, lambda W, k, v: W + outer(k, v)),
        (
            "the old memory is lost",
            "add the outer product to W instead of returning it alone",
            lambda W, k, v: outer(v, k),
        ),
        (
            "delta for sum",
            "eq:write only adds; what was stored under the key is not taken away",
            lambda W, k, v: W + outer(v - W @ k, k),
        ),
        (
            "wrong sign",
            "the association is added, not subtracted",
            lambda W, k, v: W - outer(v, k),
        ),
        (
            "key normalised",
            "write with the key as it comes, without dividing by its length",
            lambda W, k, v: W + outer(v, k / k.norm()),
        ),
        (
            "no outer product",
            "v * k multiplies entry by entry; every v_i meets every k_j in v_i k_j",
            lambda W, k, v: W + v * k,
        ),
    ],
)

register(
    "batched_write",
    "Write one pair into each of B memories: W[b] gets k[b] and v[b].",
    outer_product.write,
    {"W": "B V K", "k": "B K", "v": "B V"},
    {"W": "B V K"},
    [
        (
            "state shared over the batch",
            "v.T @ k sums over the batch; each memory gets its own v ⊗ k",
            lambda W, k, v: W + v.mT @ k,
        ),
        ("transposed outer product", BATCHED, lambda W, k, v: W + outer(k, v)),
        (
            "the old memory is lost",
            "add the outer products to W instead of returning them alone",
            lambda W, k, v: outer(v, k),
        ),
    ],
)

register(
    "read",
    "Ask the memory W what is stored under q.",
    outer_product.read,
    {"W": "V K", "q": "K"},
    {"y": "V"},
    [
        (
            "transposed memory",
            "y_i = sum_j W_ij q_j sums over the columns: W @ q, not W.T @ q or q @ W",
            lambda W, q: W.mT @ q,
        ),
        (
            "sum missing",
            "W * q multiplies the columns; sum over them to get V entries",
            lambda W, q: W * q,
        ),
        (
            "query normalised",
            "read with the query as it comes, without dividing by its length",
            lambda W, q: W @ (q / q.norm()),
        ),
        (
            "mean for sum",
            "add over the columns, do not average",
            lambda W, q: W @ q / len(q),
        ),
    ],
)

register(
    "store_all",
    "Write T pairs into an empty memory: row t of k goes with row t of v.",
    store_all,
    {"k": "T K", "v": "T V"},
    {"W": "V K"},
    [
        (
            "transposed outer product",
            "W maps keys to values, so its shape is (V, K): v.T @ k",
            lambda k, v: k.mT @ v,
        ),
        (
            "only the last pair is kept",
            "start from zeros before the loop, and add inside it: W = W + ...",
            lambda k, v: outer(v[-1], k[-1]),
        ),
        (
            "the last pair is missing",
            "the loop ends one step early",
            lambda k, v: v[:-1].mT @ k[:-1],
        ),
        (
            "the first pair is missing",
            "the loop starts one step late",
            lambda k, v: v[1:].mT @ k[1:],
        ),
        (
            "mean for sum",
            "add the outer products, do not average them",
            lambda k, v: v.mT @ k / len(k),
        ),
        (
            "every key with every value",
            "sum the outer products, not first the keys and the values",
            lambda k, v: outer(v.sum(0), k.sum(0)),
        ),
        (
            "key normalised",
            "write with the keys as they come, without dividing by their length",
            lambda k, v: v.mT @ (k / k.norm(dim=-1, keepdim=True)),
        ),
        (
            "delta for sum",
            "this memory only adds; nothing is corrected",
            _corrected,
        ),
    ],
)

register(
    "fast_weight_step",
    "Add the slow net's outer product to the fast weights W, then run them on x.",
    fast_weight_step,
    {"W": "V K", "x": "K", "k": "K", "v": "V"},
    {"W": "V K", "y": "V"},
    [
        (
            "transposed outer product",
            TRANSPOSED,
            lambda W, x, k, v: ((A := W + outer(k, v)), times(A, x)),
        ),
        (
            "read before write",
            EARLY.replace("q", "x"),
            lambda W, x, k, v: (W + outer(v, k), times(W, x)),
        ),
        (
            "x and k swapped",
            "k is the FROM pattern to write with, x is the input to run on",
            lambda W, x, k, v: ((A := W + outer(v, x)), times(A, k)),
        ),
        (
            "read with the key",
            "the fast net runs on x: y = W x",
            lambda W, x, k, v: ((A := W + outer(v, k)), times(A, k)),
        ),
        (
            "written with the input",
            "the slow net gives both patterns: write v ⊗ k, not v ⊗ x",
            lambda W, x, k, v: ((A := W + outer(v, x)), times(A, x)),
        ),
        (
            "the old memory is lost",
            "add the outer product to W instead of replacing it",
            lambda W, x, k, v: ((A := outer(v, k)), times(A, x)),
        ),
        (
            "delta for sum",
            "in 1991 the write only adds; what was stored stays",
            lambda W, x, k, v: ((A := W + outer(v - W @ k, k)), times(A, x)),
        ),
        (
            "transposed memory",
            "y = W x sums over the columns of W: W @ x, not W.T @ x",
            lambda W, x, k, v: ((A := W + outer(v, k)), times(A.mT, x)),
        ),
        (
            "squashed",
            "this exercise has no squash: leave tanh away",
            lambda W, x, k, v: ((A := torch.tanh(W + outer(v, k))), times(A, x)),
        ),
    ],
)
