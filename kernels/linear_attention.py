"""Launch ``linear_attention.cpp``; the reference is ``srwm_lite/linear_attention.py``.

Tests     tests/test_kernels_fused.py
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .launch import Once, check, matrix, ready, rows, run

IDEA = "linear_attention"


def fused() -> Callable[..., Any]:
    """Return ``(q, k, v, W) -> (y, W)`` in C++, or raise ``RuntimeError``."""
    return ready(IDEA, _apply)


def _apply(q: Tensor, k: Tensor, v: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
    check(k=k)
    return _LinearAttention.apply(q, k, v, W)


class _LinearAttention(Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, W: Tensor
    ) -> tuple[Tensor, Tensor]:
        y, W_T = v.new_empty(v.shape), W.new_empty(W.shape)
        x = rows(q), rows(k), rows(v), matrix(W), rows(y), matrix(W_T)
        run(IDEA, "forward", k, v, *x)
        ctx.save_for_backward(q, k, v, W)
        ctx.set_materialize_grads(False)
        return y, W_T

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dW_T: Tensor | None) -> Any:
        return Once.apply(_gradients, *ctx.saved_tensors, dy, dW_T)


def _gradients(
    q: Tensor, k: Tensor, v: Tensor, W: Tensor, dy: Tensor | None, dW_T: Tensor | None
) -> tuple[Tensor | None, ...]:
    dq, dk, dv, dW = (x.new_empty(x.shape) for x in (q, k, v, W))
    reads = dy is not None
    if dy is None:  # nothing was read: not even NaN times zero may come back
        q, dy = torch.zeros_like(q), torch.zeros_like(v)
    x = rows(q), rows(k), rows(v), matrix(W), rows(dy), matrix(dW_T)
    run(IDEA, "backward", k, v, *x, rows(dq), rows(dk), rows(dv), matrix(dW))
    return dq if reads else None, dk, dv, dW
