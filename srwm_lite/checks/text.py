"""Exercises on language models: what a token costs, what counting predicts."""

import math

import torch
from torch import Tensor

from srwm_lite.checks.exercise import Function, register


def _in_base(base: float) -> Function:
    """Return the cost of every token, as a logarithm to `base`."""
    return lambda y: -y.log_softmax(dim=-1) / math.log(base)


register(
    "bits_of_tokens",
    "Turn the scores of every token at every step into the bits that it would cost.",
    _in_base(2),
    {"y": "T V"},
    {"bits": "T V"},
    [
        (
            "nats instead of bits",
            "the natural logarithm counts in nats: divide by log(2)",
            _in_base(math.e),
        ),
        (
            "wrong base",
            "bits are logarithms to the base 2",
            _in_base(10),
        ),
        (
            "multiplied instead of divided",
            "log2(x) is log(x) / log(2)",
            lambda y: -y.log_softmax(dim=-1) * math.log(2),
        ),
        (
            "wrong sign",
            "a logarithm of a probability is negative, a cost is positive",
            lambda y: -_in_base(2)(y),
        ),
        (
            "wrong axis",
            "the probabilities of one step add up to one: softmax over the tokens V",
            lambda y: -y.log_softmax(dim=0) / math.log(2),
        ),
        (
            "softmax missing",
            "scores are no probabilities yet: take log_softmax first",
            lambda y: -y / math.log(2),
        ),
        (
            "probability instead of bits",
            "a token of probability p costs -log2(p)",
            lambda y: y.softmax(dim=-1),
        ),
        (
            "perplexity instead of bits",
            "1 / p says among how many tokens one guesses; take its logarithm",
            lambda y: 1 / y.softmax(dim=-1),
        ),
        (
            "averaged already",
            "return the cost of every token at every step; the mean comes later",
            lambda y: _in_base(2)(y).mean(),
        ),
    ],
)


def _mixed(n: Tensor, p: Tensor, t: Tensor) -> Tensor:
    """Return ``(n + t p) / (sum n + t)``."""
    return (n + t * p) / (n.sum() + t)


register(
    "witten_bell",
    "Mix the counts n after a context with the probabilities p of a shorter one.",
    lambda n, p: _mixed(n, p, (n > 0).sum()),
    {"n": "V counts", "p": "V positive"},
    {"mixed": "V"},
    [
        (
            "counts alone",
            "what never came would have probability zero: add t p, divide by n + t",
            lambda n, p: n / n.sum(),
        ),
        (
            "one added to every count",
            "let the shorter context say how likely the new ones are: add t p, not 1",
            lambda n, p: (n + 1) / (n.sum() + len(n)),
        ),
        (
            "types and tokens confused",
            "t counts how many different tokens came: (n > 0).sum()",
            lambda n, p: _mixed(n, p, n.sum()),
        ),
        (
            "only those that came once",
            "t counts all that came: (n > 0).sum(), not (n == 1).sum()",
            lambda n, p: _mixed(n, p, (n == 1).sum()),
        ),
        (
            "those that never came",
            "t counts the tokens that came, n > 0",
            lambda n, p: _mixed(n, p, (n == 0).sum()),
        ),
        (
            "weight missing",
            "the shorter context weighs as much as t tokens: t p, not p",
            lambda n, p: _mixed(n, p, torch.ones(())),
        ),
        (
            "not divided by the whole",
            "the sum is n + t tokens: divide by n.sum() + t",
            lambda n, p: (n + (n > 0).sum() * p) / n.sum(),
        ),
        (
            "shorter context only for the new ones",
            "here every token gets its share of t p, those that came as well",
            lambda n, p: (
                torch.where(n > 0, n, (n > 0).sum() * p) / (n.sum() + (n > 0).sum())
            ),
        ),
    ],
)
