"""Watch several learners on the same streams.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_online_scores.py

Shapes    B tasks, T examples of each, I inputs, O classes. A learner is called as
          `srwm_lite.vsml_learner.VSML` is: ``learner(x, targets) -> (logits, state)``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.models import writes_off
from srwm_lite.vsml_learner import Learner, online_curve


@torch.no_grad()
def online_curves(
    learners: Mapping[str, Learner], x: Tensor, targets: Tensor, *, window: int = 1
) -> dict[str, Tensor]:
    """Return the share of right answers of each learner, in windows of examples.

    Parameters
    ----------
    learners : mapping
        Name to learner.
    x : Tensor, (B, T, I)
    targets : Tensor, (B, T, O)
    window : int
        Examples that are averaged; those at the end that fill no window are left out.

    Returns
    -------
    dict of Tensor, (T // window,)

    Raises
    ------
    ValueError
        If no window is full.
    """
    backends.check_whole(1, window=window)
    whole = x.shape[1] // window * window
    if not whole:
        raise ValueError(
            f"window must be at most the T = {x.shape[1]} examples: got {window}"
        )
    return {
        name: online_curve(one, x, targets)[:whole].reshape(-1, window).mean(dim=1)
        for name, one in learners.items()
    }


@torch.no_grad()
def certainty(learner: Learner, x: Tensor, targets: Tensor) -> Tensor:
    """Return the probability of the class that is told next, mean over the tasks, (T,).

    It is the certainty *before* the target of this example is heard.
    """
    logits, _ = learner(x, targets)
    return (logits.softmax(dim=-1) * targets).sum(dim=-1).mean(dim=0)


def errors_off(learner: nn.Module) -> Learner:
    """Return a learner that runs as `learner` does, but never hears of an error."""

    def run(*stream: Any) -> tuple[Tensor, Any]:
        with writes_off(learner):
            return learner(*stream)

    return run
