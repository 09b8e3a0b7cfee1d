"""Launch ``delta_rnn.cpp`` and ``delta_rnn.cu``.

The reference is ``srwm_lite/delta_rnn.py``.

Tests     tests/test_recurrent_kernels_fused.py, tests/test_recurrent_cuda_kernels.py
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from . import delta_rule
from .cuda import Idea, Launch, Tensors
from .cuda import ready as ready_on_chip
from .launch import Once, check, matrix, ready, rows, run

IDEA = "delta_rnn"


def fused() -> Callable[..., Any]:
    """Return the rule in C++, or raise ``RuntimeError``.

    ``(q, k, v, beta, k_rec, v_rec, beta_rec, W, R, y) -> (y, W, R, y)``, version 2.
    """
    return ready(IDEA, partial(_fused, delta_rule.fused()))


def cuda() -> Callable[..., Any]:
    """Return the same in CUDA C++ for tensors on a GPU, or raise ``RuntimeError``."""
    return _on_chip("cuda")


def emulated() -> Callable[..., Any]:
    """Return the CUDA C++ run on the CPU, or raise ``RuntimeError``."""
    return _on_chip("emulated")


def _on_chip(backend: str) -> Callable[..., Any]:
    ask = ready_on_chip(delta_rule.ON_CHIP._replace(else_use="loop"), backend)
    hear = ready_on_chip(HALF_ON_CHIP, backend)

    def run(*x: Tensor) -> tuple[Tensor, ...]:
        q, k, v, beta, k_rec, v_rec, beta_rec, W, R, y = x
        z, W_T = ask(q, k, v, beta, W)
        out, R_T = hear(z, k_rec, v_rec, beta_rec, R, y)
        return out, W_T, R_T, out[:, -1]

    run.largest = HALF_ON_CHIP.largest  # type: ignore[attr-defined]
    return run


def _fused(ask: Callable[..., Any], *x: Tensor) -> tuple[Tensor, ...]:
    q, k, v, beta, k_rec, v_rec, beta_rec, W, R, y = x
    z, W_T = ask(q, k, v, beta, W)
    check(k_rec=k_rec)
    out, R_T = _Hear.apply(z, k_rec, v_rec, beta_rec, R, y)
    return out, W_T, R_T, out[:, -1]


class _Hear(Function):
    """Write into R and read it with what was said a step before; `z` is added."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, k: Tensor, v: Tensor, beta: Tensor, R: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor]:
        s, e, out = (x.new_empty(x.shape) for x in (v, v, v))
        R_T = R.new_empty(R.shape)
        over_time = z, k, v, beta, s, e, out
        x = [*map(rows, over_time), *map(matrix, (R, R_T)), rows(y[:, None])]
        run(IDEA, "forward", k, v, *x)
        ctx.save_for_backward(s, k, e, beta, R)
        ctx.set_materialize_grads(False)
        return out, R_T

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dR_T: Tensor | None) -> Any:
        return Once.apply(_gradients, *ctx.saved_tensors, dy, dR_T)


def _gradients(
    s: Tensor,
    k: Tensor,
    e: Tensor,
    beta: Tensor,
    R: Tensor,
    dy: Tensor | None,
    dR_T: Tensor | None,
) -> tuple[Tensor | None, ...]:
    dz = dy_0 = None
    if dy is not None:
        dz, dy_0 = e.new_empty(e.shape), e.new_empty(e[:, :1].shape)
        x = [*map(rows, (k, beta, s, e, dy, dz)), matrix(R), rows(dy_0)]
        run(IDEA, "backward", k, e, *x)
        dy_0 = dy_0[:, 0]
    _, dk, dv, dbeta, _, dR = delta_rule.gradients(s, k, e, beta, None, R, dz, dR_T)
    return dz, dk, dv, dbeta, dR, dy_0


def _launch_forward(
    launch: Launch,
    z: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    R: Tensor,
    y_0: Tensor,
) -> tuple[Tensors, Tensors]:
    s, y, e, R_T = (torch.empty_like(x) for x in (v, v, v, R))
    launch("forward", _warps(v) + 32, z, k, v, beta, R, y_0, s, y, e, R_T)
    return (y, R_T), (s, k, beta, e, R, R_T)


def _launch_backward(
    launch: Launch,
    s: Tensor,
    k: Tensor,
    beta: Tensor,
    e: Tensor,
    R: Tensor,
    R_T: Tensor,
    dy: Tensor | None,
    dR_T: Tensor | None,
) -> Tensors:
    dz = dy_0 = None
    if dy is not None:
        dz, dy_0 = torch.empty_like(dy), torch.empty_like(dy[:, 0])
        launch("backward", _warps(e), s, k, beta, e, R_T, dy, dz, dy_0)
    rule = partial(launch, file=delta_rule.FILE)  # its queries are s
    x = s, k, beta, None, e, R, dz, dR_T
    _, dk, dv, dbeta, _, dR = delta_rule.launch_backward(rule, *x)
    return dz, dk, dv, dbeta, dR, dy_0


def _warps(x: Tensor) -> int:
    return -(-x.shape[-1] // 32) * 32


HALF_ON_CHIP = Idea(
    "delta_rnn.cu", _launch_forward, _launch_backward, ("GATED=0",), else_use="loop"
)
