"""Five kernels for the delta rule, forward only, each one idea faster than the last.

Tests     tests/test_ladder.py
"""

import torch
from torch import Tensor

from ..cuda import Idea, Launch, Tensors, ready, source

STEPS = ("1_naive", "2_shared", "3_padded", "4_shuffles", "5_registers")
WARPS = 4  # of step 4, where a row belongs to a warp


def text(step: str) -> str:
    """Return the CUDA C++ of a step."""
    return source(f"ladder/{step}.cu")


def run(
    step: str,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    W: Tensor,
    *,
    backend: str = "emulated",
) -> tuple[Tensor, Tensor]:
    """Compute `srwm_lite.delta_rule.delta_rule` with a step's kernel, forward only.

    `backend` is ``"emulated"`` or ``"cuda"``; K and V go up to 64.
    """
    with torch.no_grad():
        return ready(_idea(step), backend)(q, k, v, beta, W)


def _idea(step: str) -> Idea:
    if step not in STEPS:
        raise ValueError(f"no step {step!r}: use one of {', '.join(STEPS)}")

    def forward(
        launch: Launch, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, W: Tensor
    ) -> tuple[Tensors, Tensors]:
        y, W_T = torch.empty_like(v), torch.empty_like(W)
        threads = 32 * WARPS if step == "4_shuffles" else v.shape[-1]
        launch("forward", threads, q, k, v, beta, W, y, W_T)
        return (y, W_T), ()

    return Idea(f"ladder/{step}.cu", forward, _no_gradients)


def _no_gradients(*_: object) -> Tensors:
    raise RuntimeError("the steps of the ladder have no backward: use delta_rule")
