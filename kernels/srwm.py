"""Launch ``srwm.cpp`` and ``srwm.cu``.

The reference is ``srwm_lite/self_reference.py``.

Tests     tests/test_srwm_fused.py, tests/test_srwm_cuda.py
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .cuda import Idea, Launch, Tensors
from .cuda import ready as ready_on_chip
from .launch import Array, Once, check, matrix, ready, rows, run
from .recurrent_delta import one_after_the_other

IDEA = "srwm"
EVERY = 64  # steps between two matrices that the CUDA kernels keep


def fused() -> Callable[..., Any]:
    """Return ``(u, W, live) -> (y, W)`` in C++, or raise ``RuntimeError``."""
    return ready(IDEA, _apply)


def cuda() -> Callable[..., Any]:
    """Return the same in CUDA C++ for tensors on a GPU, or raise ``RuntimeError``."""
    return ready_on_chip(ON_CHIP, "cuda")


def emulated() -> Callable[..., Any]:
    """Return the CUDA C++ run on the CPU, or raise ``RuntimeError``."""
    return ready_on_chip(ON_CHIP, "emulated")


def _apply(u: Tensor, W: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
    check(u=u)
    return _SelfReference.apply(u, W, live)


class _SelfReference(Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, W: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
        K, R = u.shape[-1], W.shape[2]
        y, W_T = u.new_empty(*u.shape[:3], R - 2 * K - 4), W.new_empty(W.shape)
        kept = one_after_the_other(u, 2 * K + R + 4)  # q, k, w, b
        x = rows(u), matrix(W), _plain(live), rows(kept), rows(y), matrix(W_T)
        run(IDEA, "forward", u, y, *x)
        ctx.save_for_backward(u, W, live, kept)
        ctx.set_materialize_grads(False)
        return y, W_T

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dW_T: Tensor | None) -> Any:
        return Once.apply(_gradients, *ctx.saved_tensors, dy, dW_T)


def _plain(x: Tensor) -> Array:
    array = Array(x.data_ptr())
    array.tensor = x
    return array


def _gradients(
    u: Tensor,
    W: Tensor,
    live: Tensor,
    kept: Tensor,
    dy: Tensor | None,
    dW_T: Tensor | None,
) -> tuple[Tensor | None, ...]:
    if dy is None:
        dy = u.new_zeros(*u.shape[:3], W.shape[2] - 2 * u.shape[3] - 4)
    du, dW = u.new_empty(u.shape), W.new_empty(W.shape)
    saved = rows(u), matrix(W), _plain(live), rows(kept)
    x = *saved, rows(dy), matrix(dW_T), rows(du), matrix(dW)
    run(IDEA, "backward", u, dy, *x)
    return du, dW, None


def _launch_forward(
    launch: Launch, u: Tensor, W: Tensor, live: Tensor
) -> tuple[Tensors, Tensors]:
    B, T, H, K, V = sizes(u, W)
    y, used = (u.new_empty(B, T, H, n) for n in (V, V + 4 * K + 8))
    kept = u.new_empty(B, H, (T - 1) // EVERY, K, W.shape[2])
    W_T = torch.empty_like(W)
    start, _ = threads(W)
    launch("forward", start, u, W, live, used, kept, y, W_T, EVERY)
    return (y, W_T), (u, live, used, kept, W_T)


def _launch_backward(
    launch: Launch,
    u: Tensor,
    live: Tensor,
    used: Tensor,
    kept: Tensor,
    W_T: Tensor,
    dy: Tensor | None,
    dW_T: Tensor | None,
) -> Tensors:
    du, dW = torch.empty_like(u), torch.empty_like(W_T)
    _, walk = threads(W_T)
    saved = u, live, used, kept, W_T
    launch("backward", walk, *saved, dy, dW_T, du, dW, EVERY)
    return du, dW, None


def sizes(u: Tensor, W: Tensor, *_: Tensor) -> tuple[int, ...]:
    """Return B, T, H, K, V."""
    return *u.shape, W.shape[2] - 2 * W.shape[3] - 4


def threads(W: Tensor) -> tuple[int, int]:
    """Return how many threads FORWARD and BACKWARD are."""
    R, K = W.shape[-2:]
    return -(-R // 32) * 32, -(-K // 4) * 32


ON_CHIP = Idea(
    "srwm.cu", _launch_forward, _launch_backward, else_use="loop", sizes=sizes
)
