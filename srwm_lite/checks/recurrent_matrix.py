"""The exercise on a step of the Delta RNN, which has two fast matrices."""

from typing import Any

import torch
from torch import Tensor

from srwm_lite.checks.exercise import Function, register, times
from srwm_lite.checks.recurrent import (
    lose_the_old,
    read_early,
    softmax,
    sum_for_delta,
)
from srwm_lite.delta_rnn import delta_rnn_step
from srwm_lite.delta_rule import delta_step


def _delta_rnn(W: Tensor, R: Tensor, y: Tensor, *program: Tensor) -> Any:
    (W, R, y), _ = delta_rnn_step((W, R, y), *program)
    return W, R, y


def _two(
    first: Function = delta_step,
    second: Function = delta_step,
    heard: Function = softmax,
    out: Function = torch.add,
) -> Function:
    """Return the step of the Delta RNN, with what is given changed."""

    def run(W: Tensor, R: Tensor, y: Tensor, *x: Tensor) -> Any:
        W, z = first(W, *x[:4])
        R, r = second(R, heard(y), *x[4:])
        return W, R, out(z, r)

    return run


def _new(W: Tensor, R: Tensor, y: Tensor, *x: Tensor) -> Any:
    W, z = delta_step(W, *x[:4])
    R, r = delta_step(R, softmax(z), *x[4:])
    return W, R, z + r


def _own_key(R: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    return delta_step(R, q, q, v, beta)


def _same_strength(W: Tensor, R: Tensor, y: Tensor, *x: Tensor) -> Any:
    return _two()(W, R, y, *x[:6], x[3])


def _transposed(R: Tensor, q: Tensor, *x: Tensor) -> Any:
    R, _ = delta_step(R, q, *x)
    return R, times(R.mT, q)


register(
    "delta_rnn_step",
    "Write into W and R, then answer W q plus what R says to softmax(y).",
    _delta_rnn,
    {
        **{"W": "V K", "R": "V V", "y": "V", "q": "K", "k": "K", "v": "V"},
        **{"beta": "strength", "k_rec": "V", "v_rec": "V", "beta_rec": "strength"},
    },
    {"W": "V K", "R": "V V", "y": "V"},
    [
        (
            "the last output is not heard",
            "add R softmax(y) to W q",
            _two(out=lambda z, r: z),
        ),
        (
            "the input is not answered",
            "add W q to R softmax(y)",
            _two(out=lambda z, r: r),
        ),
        (
            "version one",
            "R is asked with softmax(y), and the new output is not squashed",
            _two(heard=lambda y: y, out=lambda z, r: softmax(z + r)),
        ),
        (
            "softmax missing",
            "R is asked with softmax(y)",
            _two(heard=lambda y: y),
        ),
        (
            "tanh for softmax",
            "R is asked with softmax(y): its keys are positive and sum to one",
            _two(heard=torch.tanh),
        ),
        (
            "output squashed",
            "return W q + R softmax(y) as it is",
            _two(out=lambda z, r: softmax(z + r)),
        ),
        (
            "hears the new answer",
            "R is asked with the last output y, not with W q",
            _new,
        ),
        (
            "read before write",
            "write into both matrices first, then read",
            _two(read_early, read_early),
        ),
        (
            "read before write",
            "write into R first, then read it",
            _two(second=read_early),
        ),
        ("read before write", "write into W first, then read it", _two(read_early)),
        (
            "sum for delta",
            "both matrices take away what they hold under the key",
            _two(sum_for_delta, sum_for_delta),
        ),
        (
            "sum for delta",
            "R takes away what it holds under k_rec: beta_rec * (v_rec - R k_rec)",
            _two(second=sum_for_delta),
        ),
        ("sum for delta", "W takes away what it holds under k", _two(sum_for_delta)),
        (
            "the old memory is lost",
            "add the write to R instead of replacing it",
            _two(second=lose_the_old),
        ),
        (
            "the output is the key",
            "the last output is the query of R; R is written under k_rec",
            _two(second=_own_key),
        ),
        ("one strength for both", "R is written with beta_rec", _same_strength),
        (
            "transposed memory",
            "R maps what was said to what is said next: R softmax(y), not R.T",
            _two(second=_transposed),
        ),
    ],
)
