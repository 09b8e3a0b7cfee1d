"""Run a one-step rule over time: the only loop over time in the reference code.

Chapter   every chapter; first used in chapters/03_linear_attention.ipynb
Tests     tests/test_scan.py
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

Step = Callable[..., tuple[Any, Tensor]]


def unroll(step: Step, state: Any, *inputs: Tensor) -> Iterator[tuple[Any, Tensor]]:
    """Yield ``(state_t, y_t)`` for every time step.

    Parameters
    ----------
    step : callable
        ``step(state, *inputs_t) -> (state, y_t)``, for example
        `srwm_lite.delta_rule.delta_step`.
    state : Tensor or tuple of Tensors
        The state before the first step.
    *inputs : Tensor, (B, T, ...)
        One tensor per argument of `step`; time is axis 1.
    """
    for inputs_t in zip(*(x.unbind(dim=1) for x in inputs), strict=True):
        state, y_t = step(state, *inputs_t)
        yield state, y_t


def scan(step: Step, state: Any, *inputs: Tensor) -> tuple[Tensor, Any]:
    """Return all outputs ``y`` (B, T, ...) and the last state.

    Takes what `unroll` takes. A sequence of no steps has no outputs to stack, so it
    raises ``ValueError``.
    """
    ys = []
    for state, y_t in unroll(step, state, *inputs):  # noqa: B007, B020
        ys.append(y_t)
    if not ys:
        raise ValueError("the sequence is empty: T is 0, need at least one time step")
    return torch.stack(ys, dim=1), state
