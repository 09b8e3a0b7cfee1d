"""Launch ``linear_attention.cpp`` and ``linear_attention.cu``.

The reference is ``srwm_lite/linear_attention.py``.

Tests     tests/test_kernels_fused.py, tests/test_cuda_kernels.py
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .cuda import Idea, Launch, Tensors
from .cuda import ready as ready_on_chip
from .launch import Once, check, matrix, ready, rows, run

IDEA = "linear_attention"


def fused() -> Callable[..., Any]:
    """Return ``(q, k, v, W) -> (y, W)`` in C++, or raise ``RuntimeError``."""
    return ready(IDEA, _apply)


def cuda() -> Callable[..., Any]:
    """Return the same in CUDA C++ for tensors on a GPU, or raise ``RuntimeError``."""
    return ready_on_chip(ON_CHIP, "cuda")


def emulated() -> Callable[..., Any]:
    """Return the CUDA C++ run on the CPU, or raise ``RuntimeError``."""
    return ready_on_chip(ON_CHIP, "emulated")


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


def _launch_forward(
    launch: Launch, q: Tensor, k: Tensor, v: Tensor, W: Tensor
) -> tuple[Tensors, Tensors]:
    y, W_T = torch.empty_like(v), torch.empty_like(W)
    launch("forward", v.shape[-1], q, k, v, W, y, W_T)
    return (y, W_T), (q, k, v, W)


def _launch_backward(
    launch: Launch,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    W: Tensor,
    dy: Tensor | None,
    dW_T: Tensor | None,
) -> Tensors:
    dq, dk, dv, dW = (torch.empty_like(x) for x in (q, k, v, W))
    reads = dy is not None
    if dy is None:
        q, dy = torch.zeros_like(q), torch.zeros_like(v)
    launch("backward_rows", v.shape[-1], q, k, dy, dW_T, dv, dW)
    launch("backward_columns", k.shape[-1], q, k, v, W, dy, dW_T, dq, dk)
    return dq if reads else None, dk, dv, dW


ON_CHIP = Idea(  # one row more than 64: the one that sums the keys
    "linear_attention.cu", _launch_forward, _launch_backward, largest=65
)
