"""Launch ``delta_rule.cpp`` and ``delta_rule.cu``, plain and gated.

The reference is ``srwm_lite/delta_rule.py``.

Tests     tests/test_kernels_fused.py, tests/test_cuda_kernels.py
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .cuda import Idea, Launch, Tensors
from .cuda import ready as ready_on_chip
from .launch import Array, Once, check, matrix, ready, rows, run


def fused() -> Callable[..., Any]:
    """Return ``(q, k, v, beta, W) -> (y, W)`` in C++, or raise ``RuntimeError``."""
    return ready("delta_rule", _plain)


def gated() -> Callable[..., Any]:
    """Return ``(q, k, v, beta, alpha, W) -> (y, W)``, or raise ``RuntimeError``."""
    return ready("gated_delta_rule", _gated)


def cuda() -> Callable[..., Any]:
    """Return the same in CUDA C++ for tensors on a GPU, or raise ``RuntimeError``."""
    return ready_on_chip(ON_CHIP, "cuda")


def emulated() -> Callable[..., Any]:
    """Return the CUDA C++ run on the CPU, or raise ``RuntimeError``."""
    return ready_on_chip(ON_CHIP, "emulated")


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
        return Once.apply(gradients, *ctx.saved_tensors, dy, dW_T)


def gradients(
    q: Tensor,
    k: Tensor,
    e: Tensor,
    beta: Tensor,
    alpha: Tensor | None,
    W: Tensor,
    dy: Tensor | None,
    dW_T: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """Return dq, dk, dv, dbeta, dalpha and dW from what `_DeltaRule` saves."""
    dq, dk, dv, dbeta, dW = (x.new_empty(x.shape) for x in (q, k, e, beta, W))
    dalpha = None if alpha is None else alpha.new_empty(alpha.shape)
    reads = dy is not None
    if dy is None:  # nothing was read: not even NaN times zero may come back
        q, dy = torch.zeros_like(q), torch.zeros_like(e)
    given = q, k, None, beta, alpha, None, e, dy, dq, dk, dv, dbeta, dalpha
    run(_idea(alpha), "backward", k, e, *_places(given, (W, None, dW_T, dW)))
    return dq if reads else None, dk, dv, dbeta, dalpha, dW


def _launch_forward(
    launch: Launch,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    alpha: Tensor | None,
    W: Tensor,
) -> tuple[Tensors, Tensors]:
    y, e, W_T = (torch.empty_like(x) for x in (v, v, W))
    launch("forward", _warps(v), q, k, v, beta, alpha, W, y, e, W_T)
    return (y, W_T), (q, k, beta, alpha, e, W)


def launch_backward(
    launch: Launch,
    q: Tensor,
    k: Tensor,
    beta: Tensor,
    alpha: Tensor | None,
    e: Tensor,
    W: Tensor,
    dy: Tensor | None,
    dW_T: Tensor | None,
) -> Tensors:
    """Return the gradients of q, k, v, beta, alpha and W; `e` are the errors."""
    dq, dk, dv, dbeta, dW = (torch.empty_like(x) for x in (q, k, e, beta, W))
    reads, dalpha = dy is not None, None
    if dy is None:
        q, dy = torch.zeros_like(q), torch.zeros_like(e)
    x = q, k, beta, alpha, e
    launch("backward_rows", _warps(e), *x, dy, dW_T, dv, dbeta, dW)
    launch("backward_columns", _warps(k), *x, W, dy, dW_T, dv, dq, dk)
    if alpha is not None:
        dalpha, (B, T, H) = torch.empty_like(alpha), alpha.shape
        size = math.isqrt(T - 1) + 1
        starts = W.new_empty(B, H, -(-T // size), *W.shape[2:])
        inside = W.new_empty(B, H, size, *W.shape[2:])
        x_more = W, dy, dW_T, dv, starts, inside, dalpha
        launch("decay_gradient", _warps(k), *x, *x_more, size)
    return dq if reads else None, dk, dv, dbeta, dalpha, dW


def _warps(x: Tensor) -> int:
    return -(-x.shape[-1] // 32) * 32


def _launch_plain(
    launch: Launch, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, W: Tensor
) -> tuple[Tensors, Tensors]:
    return _launch_forward(launch, q, k, v, beta, None, W)


def _launch_plain_backward(launch: Launch, *x: Tensor | None) -> Tensors:
    dq, dk, dv, dbeta, _, dW = launch_backward(launch, *x)  # type: ignore[arg-type]
    return dq, dk, dv, dbeta, dW


FILE = "delta_rule.cu"
ON_CHIP = Idea(FILE, _launch_plain, _launch_plain_backward, ("GATED=0",))
GATED_ON_CHIP = Idea(FILE, _launch_forward, launch_backward, ("GATED=1",))
