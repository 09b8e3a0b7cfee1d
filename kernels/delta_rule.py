"""Launch ``delta_rule.cpp``, plain and gated; the reference has the same file name.

Tests     tests/test_kernels_fused.py
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .launch import Array, Once, check, matrix, ready, rows, run


def fused() -> Callable[..., Any]:
    """Return ``(q, k, v, beta, W) -> (y, W)`` in C++, or raise ``RuntimeError``."""
    return ready("delta_rule", _plain)


def gated() -> Callable[..., Any]:
    """Return ``(q, k, v, beta, alpha, W) -> (y, W)``, or raise ``RuntimeError``."""
    return ready("gated_delta_rule", _gated)


def _plain(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, W: Tensor
) -> tuple[Tensor, Tensor]:
    return _gated(q, k, v, beta, None, W)


def _gated(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, alpha: Tensor | None, W: Tensor
) -> tuple[Tensor, Tensor]:
    check(k=k)
    return _DeltaRule.apply(q, k, v, beta, alpha, W)


def _places(
    over_time: tuple[Tensor | None, ...], memories: tuple[Tensor | None, ...]
) -> list[Array]:
    return [*map(rows, over_time), *map(matrix, memories)]


def _idea(alpha: Tensor | None) -> str:
    return "delta_rule" if alpha is None else "gated_delta_rule"


class _DeltaRule(Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        beta: Tensor,
        alpha: Tensor | None,
        W: Tensor,
    ) -> tuple[Tensor, Tensor]:
        y, e, W_T = (x.new_empty(x.shape) for x in (v, v, W))
        given = q, k, v, beta, alpha, y, e, *[None] * 6
        run(_idea(alpha), "forward", k, v, *_places(given, (W, W_T, None, None)))
        ctx.save_for_backward(q, k, e, beta, alpha, W)
        ctx.set_materialize_grads(False)
        return y, W_T

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dW_T: Tensor | None) -> Any:
        return Once.apply(_gradients, *ctx.saved_tensors, dy, dW_T)


def _gradients(
    q: Tensor,
    k: Tensor,
    e: Tensor,
    beta: Tensor,
    alpha: Tensor | None,
    W: Tensor,
    dy: Tensor | None,
    dW_T: Tensor | None,
) -> tuple[Tensor | None, ...]:
    dq, dk, dv, dbeta, dW = (x.new_empty(x.shape) for x in (q, k, e, beta, W))
    dalpha = None if alpha is None else alpha.new_empty(alpha.shape)
    reads = dy is not None
    if dy is None:  # nothing was read: not even NaN times zero may come back
        q, dy = torch.zeros_like(q), torch.zeros_like(e)
    given = q, k, None, beta, alpha, None, e, dy, dq, dk, dv, dbeta, dalpha
    run(_idea(alpha), "backward", k, e, *_places(given, (W, None, dW_T, dW)))
    return dq if reads else None, dk, dv, dbeta, dalpha, dW
