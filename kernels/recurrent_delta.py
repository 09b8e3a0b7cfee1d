"""Launch ``recurrent_delta.cpp`` and ``recurrent_delta.cu``.

The reference is ``srwm_lite/recurrent_delta.py``.

Tests     tests/test_recurrent_kernels_fused.py, tests/test_recurrent_cuda_kernels.py
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .cuda import Idea, Launch, Tensors
from .cuda import ready as ready_on_chip
from .launch import Once, check, matrix, ready, rows, run

IDEA = "recurrent_delta"


def fused() -> Callable[..., Any]:
    """Return ``(q, k, v, beta, R, W, y) -> (y, W, y)`` in C++.

    Takes queries, keys and strengths before softmax and sigmoid; raises
    ``RuntimeError`` if there is no compiler.
    """
    return ready(IDEA, _fused)


def cuda() -> Callable[..., Any]:
    """Return the same in CUDA C++ for tensors on a GPU, or raise ``RuntimeError``."""
    return _on_chip("cuda")


def emulated() -> Callable[..., Any]:
    """Return the CUDA C++ run on the CPU, or raise ``RuntimeError``."""
    return _on_chip("emulated")


def _on_chip(backend: str) -> Callable[..., Any]:
    apply = ready_on_chip(ON_CHIP, backend)

    def run(*x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out, last = apply(*x)
        return out, last, out[:, -1]

    run.largest = ON_CHIP.largest  # type: ignore[attr-defined]
    return run


def _fused(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, R: Tensor, W: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    check(k=k)
    out, last = _RecurrentDelta.apply(q, k, v, beta, R, W, y)
    return out, last, out[:, -1]


class _RecurrentDelta(Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        beta: Tensor,
        R: Tensor,
        W: Tensor,
        y: Tensor,
    ) -> tuple[Tensor, Tensor]:
        K, V = k.shape[-1], v.shape[-1]
        out, W_T = (x.new_empty(x.shape) for x in (v, W))
        kept = one_after_the_other(k, 2 * K + 2 * V + 1)  # q, k, e, h, beta
        memories = each(R, len(k)), W, W_T
        x = [*map(rows, (q, k, v, beta, kept, out)), *map(matrix, memories)]
        run(IDEA, "forward", k, v, *x, rows(y[:, None]))
        ctx.save_for_backward(kept, R, W)
        ctx.set_materialize_grads(False)
        return out, W_T

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dW_T: Tensor | None) -> Any:
        return Once.apply(_gradients, *ctx.saved_tensors, dy, dW_T)


def one_after_the_other(like: Tensor, size: int) -> Tensor:
    """Return room (B, T, H, size) where the steps of a sequence are neighbours."""
    B, T, H, _ = like.shape
    return like.new_empty(B, H, T, size).transpose(1, 2)


def each(R: Tensor, B: int) -> Tensor:
    """Return slow weights as if every sequence of the batch had its own."""
    return R.contiguous().expand(B, *R.shape)


def _gradients(
    kept: Tensor, R: Tensor, W: Tensor, dy: Tensor | None, dW_T: Tensor | None
) -> tuple[Tensor, ...]:
    B, H, V, K = W.shape
    dR, dW, dy_0 = (R.new_empty(B, *x) for x in (R.shape, W.shape[1:], (1, H, V)))
    dz = one_after_the_other(kept, 2 * K + V + 1)  # dq, dk, dv, dbeta
    dq, dk, dv, dbeta = dz.split([K, K, V, 1], dim=-1)
    reads = dy is not None
    if dy is None:  # the last query was not heard: not even NaN times zero comes back
        kept, dy = kept.clone(), torch.zeros_like(dv)
        kept[:, -1, :, :K] = 0
    memories = each(R, B), W, dW_T, dW, dR
    x = [*map(rows, (kept, dy, dz)), *map(matrix, memories), rows(dy_0)]
    run(IDEA, "backward", dk, dv, *x)
    if not reads:
        dq[:, -1] = 0
    return dq, dk, dv, dbeta[..., 0], dR.sum(dim=0), dW, dy_0[:, 0]


def _launch_forward(
    launch: Launch,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    R: Tensor,
    W: Tensor,
    y_0: Tensor,
) -> tuple[Tensors, Tensors]:
    x = torch.cat([q, k, v, beta[..., None]], dim=-1)
    used, y, W_T = (torch.empty_like(a) for a in (x, v, W))
    launch("forward", threads(k, v)[0], x, R, W, y_0, used, y, W_T)
    return (y, W_T), (used, R, W_T, y_0, y)


def _launch_backward(
    launch: Launch,
    used: Tensor,
    R: Tensor,
    W_T: Tensor,
    y_0: Tensor,
    y: Tensor,
    dy: Tensor | None,
    dW_T: Tensor | None,
) -> Tensors:
    dx, dW, dy_0 = (torch.empty_like(a) for a in (used, W_T, y_0))
    dR = R.new_empty(len(y), *R.shape)
    _, walk, add = threads(W_T, y)
    launch("backward", walk, used, R, W_T, y_0, y, dy, dW_T, dx, dW, dy_0)
    launch("backward_R", add, dx, y_0, y, dR)
    K, V = W_T.shape[-1], y.shape[-1]
    dq, dk, dv, dbeta = dx.split([K, K, V, 1], dim=-1)
    return dq, dk, dv, dbeta[..., 0], dR.sum(dim=0), dW, dy_0


def threads(k: Tensor, v: Tensor) -> tuple[int, int, int]:
    """Return how many threads FORWARD, BACKWARD and RECURRENT are."""
    K, V = k.shape[-1], v.shape[-1]
    rows = 2 * K + V + 1
    forward, backward = max(64, 2 * K + 2 * V), max(96, rows, 4 * V)
    return _warps(forward), _warps(backward), _warps(rows)


def _warps(n: int) -> int:
    return -(-n // 32) * 32


ON_CHIP = Idea("recurrent_delta.cu", _launch_forward, _launch_backward, else_use="loop")
