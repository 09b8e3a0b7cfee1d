"""Exercises on the matrix that rewrites itself."""

from collections.abc import Callable

import torch
from torch import Tensor

from srwm_lite.checks.exercise import outer, register, times

ORDER = ("y", "q", "k", "beta")


def _read(W: Tensor, u: Tensor, order: tuple[str, ...] = ORDER) -> dict[str, Tensor]:
    """Return the four parts of ``W u`` by name, for blocks that come in `order`."""
    K = len(u)
    sizes = {"y": len(W) - 2 * K - 4, "q": K, "k": K, "beta": 4}
    parts = times(W, u).split([sizes[name] for name in order])
    return dict(zip(order, parts, strict=True))


def _rates(b: Tensor, W: Tensor, u: Tensor) -> Tensor:
    K = len(u)
    return b.repeat_interleave(torch.tensor([len(W) - 2 * K - 4, K, K, 4]))


def _step(
    *,
    order: tuple[str, ...] = ORDER,
    squash: Callable[[Tensor], Tensor] = lambda x: x.softmax(dim=-1),
    rate: Callable[[Tensor], Tensor] = lambda b: b.sigmoid(),
    change: Callable[..., Tensor] = lambda W, q, k: times(W, q - k),
    key: Callable[..., Tensor] = lambda q, k: k,
    late: bool = False,
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return one step in which some part may be another than it should."""

    def run(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        said = _read(W, u, order)
        q, k = squash(said["q"]), squash(said["k"])
        b = _rates(rate(said["beta"]), W, u)
        after = W + outer(b * change(W, q, k), key(q, k))
        return after, _read(after, u, order)["y"] if late else said["y"]

    return run


register(
    "self_reference_step",
    "Read y, q, k and four rates from W u, then add b (W q - W k) ⊗ k to W.",
    _step(),
    {"W": "R K", "u": "K"},
    {"W": "R K", "y": "V"},
    [
        (
            "read after the write",
            "the output is read with the old matrix: y first, then the change",
            _step(late=True),
        ),
        (
            "softmax missing",
            "query and key are softmax(W_q u) and softmax(W_k u)",
            _step(squash=lambda x: x),
        ),
        (
            "sigmoid missing",
            "the four rates are sigmoid(W_beta u)",
            _step(rate=lambda b: b),
        ),
        (
            "one rate for all",
            "each block has its own rate: y, q, k, beta in this order",
            _step(rate=lambda b: b.sigmoid()[:1].expand(4)),
        ),
        (
            "rates in another order",
            "the four rates belong to the rows y, q, k, beta, in this order",
            _step(rate=lambda b: b.sigmoid().flip(0)),
        ),
        (
            "key and query swapped",
            "the rows come as y, q, k, beta: the query before the key",
            _step(order=("y", "k", "q", "beta")),
        ),
        (
            "rates before the output",
            "the rows come as y, q, k, beta: the rates are the last four",
            _step(order=("beta", "y", "q", "k")),
        ),
        (
            "wrong sign",
            "the new value is W q, the old one W k: add W q - W k",
            _step(change=lambda W, q, k: times(W, k - q)),
        ),
        (
            "old value kept",
            "the old value under the key is taken away: W q - W k",
            _step(change=lambda W, q, k: times(W, q)),
        ),
        (
            "written under the query",
            "the change is written under the key: ... ⊗ k",
            _step(key=lambda q, k: q),
        ),
        (
            "outer product missing",
            "a column is added to all columns: use torch.outer(..., k)",
            _step(key=lambda q, k: torch.ones_like(k)),
        ),
    ],
)
