"""The door to the recurrent fast weight programmers: every model of the chapter.

Chapter   chapters/07_recurrent_fwp.ipynb
Tests     tests/test_recurrent_fwp.py
Sources   Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295.
"""

from srwm_lite.delta_delta import DeltaDelta, delta_delta
from srwm_lite.delta_lstm import DeltaLSTM, delta_lstm, delta_lstm_step
from srwm_lite.delta_mlp import DeltaMLP, delta_mlp
from srwm_lite.delta_rnn import DeltaRNN, delta_rnn, delta_rnn_one_step, delta_rnn_step
from srwm_lite.recurrent_delta import (
    RecurrentDeltaNet,
    recurrent_delta,
    recurrent_delta_step,
)

__all__ = [
    "DeltaDelta",
    "DeltaLSTM",
    "DeltaMLP",
    "DeltaRNN",
    "RecurrentDeltaNet",
    "delta_delta",
    "delta_lstm",
    "delta_lstm_step",
    "delta_mlp",
    "delta_rnn",
    "delta_rnn_one_step",
    "delta_rnn_step",
    "recurrent_delta",
    "recurrent_delta_step",
]
