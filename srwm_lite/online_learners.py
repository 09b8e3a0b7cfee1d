"""Learners to compare with: by gradient, by Hebb, by activations, by fast weights.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_online_learners.py, tests/test_online_gradient.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905 (the baselines).
          [2] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174 (DeltaNet).

All take and return what `srwm_lite.vsml_learner.VSML` does, and `online_loss` tunes
every parameter of theirs. `OnlineSGD` and `OnlineAdam` have the size of the stream, the
others a size of their own.

Shapes    B tasks, T examples of each, I inputs and O classes of the stream.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from srwm_lite.delta_rule import DeltaNet
from srwm_lite.models import Layer, SequenceModel
from srwm_lite.online_gradient import Learnt, OnlineAdam, OnlineSGD
from srwm_lite.online_nets import FixedSize, HebbianNet, MetaRNN, filled
from srwm_lite.online_tasks import ideal_gaussian

__all__ = [
    "ClassMeans",
    "FastWeightLearner",
    "HebbianNet",
    "Learnt",
    "MetaRNN",
    "OnlineAdam",
    "OnlineSGD",
]


class ClassMeans(nn.Module):
    """Take the mean of each class, and answer by Bayes' rule: learned without a step.

    It is `srwm_lite.online_tasks.ideal_gaussian` with a noise that is a parameter: the
    best learner of Gaussian problems, and a natural rival on all others.

    Parameters
    ----------
    noise : float
        To start from.

    Attributes
    ----------
    writes : bool
        Set to False, and no label is told: all classes stay alike.
    """

    def __init__(self, noise: float = 1.0) -> None:
        super().__init__()
        if not 1e-3 < noise < 100:
            raise ValueError(f"noise must be from 0.001 to 100: got {noise}; try 1")
        self.log_noise, self.writes = nn.Parameter(torch.tensor(math.log(noise))), True

    def forward(
        self, x: Tensor, targets: Tensor, state: None = None
    ) -> tuple[Tensor, None]:
        """Answer a stream, (B, T, I) and (B, T, O); there is no state to go on with."""
        if state is not None:
            raise ValueError("class means begin anew with every call: leave out state")
        return ideal_gaussian(x, self.writes * targets, self.log_noise.exp())


class FastWeightLearner(FixedSize):
    """A fast weight programmer that hears each label one step late [2].

    It reads ``[x_t, target_t-1, x_t-1]``, as in chapter 13: the example before comes
    once more, beside its label.

    Parameters
    ----------
    inputs, classes : int
        Its size: smaller streams are filled up, larger ones refused.
    d_model : int
    layer : callable
        ``layer(d_model, num_heads)``, see `srwm_lite.models.SequenceModel`.
    **model
        What `srwm_lite.models.SequenceModel` takes besides: ``num_layers``, ...

    Attributes
    ----------
    writes : bool
        Set to False, and no label is told; `srwm_lite.models.writes_off` also stops
        the memories of the layers.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        d_model: int = 64,
        *,
        layer: Layer = DeltaNet,
        **model: Any,
    ) -> None:
        super().__init__(inputs, classes)
        size = 2 * inputs + classes
        self.mixer = SequenceModel(
            size, classes, d_model, layer=layer, tokens=False, **model
        )

    def start(self, x: Tensor) -> tuple[Any, Tensor]:
        """Return the empty memories, and what is heard of an example before the first.

        The second is (B, classes + inputs).
        """
        return None, x.new_zeros(len(x), self.classes + self.inputs)

    def run(self, x: Tensor, targets: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Answer a stream at once: what comes late is an input, shifted by one."""
        memories, before = state
        told = torch.cat([self.writes * filled(targets, self.classes), x], dim=-1)
        late = torch.cat([before[:, None], told[:, :-1]], dim=1)
        y, memories = self.mixer(torch.cat([x, late], dim=-1), memories)
        return y[..., : targets.shape[2]], (memories, told[:, -1])
