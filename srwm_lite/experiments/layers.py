"""The models that are compared, by the names they have on the pages.

Chapters  those that show stored results, see `srwm_lite.experiments`
Tests     tests/test_experiments.py
"""

from functools import partial
from typing import Any

from torch import nn

from srwm_lite.delta_rule import DeltaNet
from srwm_lite.feature_maps import unit_norm
from srwm_lite.linear_attention import LinearAttention
from srwm_lite.models import LSTM, Layer, SoftmaxAttention
from srwm_lite.recurrent_fwp import (
    DeltaDelta,
    DeltaLSTM,
    DeltaMLP,
    DeltaRNN,
    RecurrentDeltaNet,
)
from srwm_lite.srwm import SRWM, FakeSR


def deaf(layer: Layer, *sizes: int) -> nn.Module:
    """Return a recurrent layer that never hears its own output."""
    made: Any = layer(*sizes)
    made.recurrence = False
    return made


LAYERS: dict[str, Layer] = {
    "LSTM": LSTM,
    "Transformer": SoftmaxAttention,
    "Linear Transformer": LinearAttention,
    "DeltaNet": DeltaNet,
    "DeltaNet, unit keys": partial(DeltaNet, feature_map=unit_norm),
    "DeltaNet, gated": partial(DeltaNet, feature_map=unit_norm, gated=True),
    "DeltaNet, beta to 2": partial(DeltaNet, feature_map=unit_norm, beta_max=2.0),
    "Delta RNN": DeltaRNN,
    "Delta RNN, deaf": partial(deaf, DeltaRNN),
    "RDN": RecurrentDeltaNet,
    "RDN, deaf": partial(deaf, RecurrentDeltaNet),
    "Delta LSTM": DeltaLSTM,
    "Delta MLP": DeltaMLP,
    "Delta Delta": DeltaDelta,
    "SRWM": SRWM,
    "Fake SR": FakeSR,
}
