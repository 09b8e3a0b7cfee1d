"""Exercises on linear attention: parallel, recurrent, normalised."""

import math

import torch
from torch import Tensor

from srwm_lite.checks.attention import (
    ANTICAUSAL,
    CAUSAL,
    DIAGONAL,
    QKV,
    SWAPPED,
    Y,
    below,
    softmax_attention,
)
from srwm_lite.checks.exercise import Function, outer, over_time, register, times
from srwm_lite.linear_attention import linear_attention

POSITIVE = {"q": "T K positive", "k": "T K positive", "v": "T V"}
EARLY = "write first, then read: y_t sees the write at t"


def _sum(normalise: bool) -> Function:
    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x[None, :, None] for x in (q, k, v))
        return linear_attention(q, k, v, normalise=normalise, backend="loop")[0][
            0, :, 0
        ]

    return run


def _step(write: Function, read: Function = times) -> Function:
    return over_time(lambda W, q, k, v: ((A := write(W, k, v)), read(A, q)))


def _add(W: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return W + outer(v, k)


LINEAR = [
    (
        "mask excludes the diagonal",
        DIAGONAL + ", s <= t",
        lambda q, k, v: (q @ k.T).tril(-1) @ v,
    ),
    ("forgot the causal mask", CAUSAL, lambda q, k, v: q @ k.T @ v),
    ("mask the wrong way round", ANTICAUSAL, lambda q, k, v: (q @ k.T).triu() @ v),
    ("query and key swapped", SWAPPED, lambda q, k, v: (k @ q.T).tril() @ v),
    (
        "only the diagonal",
        "each query sees its own key alone: nothing is remembered",
        lambda q, k, v: (q * k).sum(dim=-1, keepdim=True) * v,
    ),
    (
        "softmax left in",
        "linear attention has none: the masked scores multiply v as they are",
        lambda q, k, v: softmax_attention(q, k, v, below(len(q)), scale=0.0),
    ),
    (
        "scaled",
        "the scores are used as they are, without sqrt(K)",
        lambda q, k, v: (q @ k.T).tril() @ v / math.sqrt(q.shape[-1]),
    ),
    (
        "normalised",
        "this exercise has no normaliser: do not divide by the sum of the scores",
        _sum(normalise=True),
    ),
    (
        "delta for sum",
        "linear attention only adds v ⊗ k",
        _step(lambda W, k, v: W + outer(v - W @ k, k)),
    ),
]

register(
    "linear_attention_parallel",
    "Compute linear attention with matrix products and a causal mask, without a loop.",
    _sum(normalise=False),
    QKV,
    Y,
    LINEAR,
)

register(
    "linear_attention_recurrent",
    "Compute linear attention step by step: write v_t ⊗ k_t, then read with q_t.",
    _sum(normalise=False),
    QKV,
    Y,
    [
        (
            "read before write",
            EARLY,
            over_time(lambda W, q, k, v: (_add(W, k, v), times(W, q))),
        ),
        (
            "transposed outer product",
            "the value runs down the rows: v[:, None] * k[None, :]",
            _step(lambda W, k, v: W + outer(k, v)),
        ),
        (
            "the memory is lost",
            "start from zeros before the loop, and add inside it: W = W + ...",
            _step(lambda W, k, v: outer(v, k)),
        ),
        (
            "read after the end",
            "read inside the loop: a query must not see later writes",
            lambda q, k, v: q @ (v.T @ k).T,
        ),
        (
            "query and key swapped",
            "write with the key, read with the query",
            lambda q, k, v: _sum(normalise=False)(k, q, v),
        ),
        *LINEAR[5:],
    ],
)


def _normaliser(total: Function) -> Function:
    return lambda q, k, v: (q @ k.T).tril() @ v / total(q, k)[:, None]


register(
    "linear_attention_normalised",
    "Linear attention divided by z_t . q_t, where z_t is the sum of the keys up to t.",
    _sum(normalise=True),
    POSITIVE,
    Y,
    [
        (
            "normaliser missing",
            "divide every answer by z . q",
            _normaliser(lambda q, k: q.new_ones(len(q))),
        ),
        (
            "normaliser of one key",
            "z is the sum of all keys so far, not the last one",
            _normaliser(lambda q, k: (q * k).sum(dim=-1)),
        ),
        (
            "normaliser of all keys",
            "z_t holds the keys up to t, not later ones",
            _normaliser(lambda q, k: q @ k.sum(dim=0)),
        ),
        (
            "normaliser without the query",
            "divide by z . q, not by the sum of z",
            _normaliser(lambda q, k: k.cumsum(dim=0).sum(dim=-1)),
        ),
        (
            "normaliser too early",
            "add the key to z before dividing",
            _normaliser(lambda q, k: (q * (k.cumsum(dim=0) - k)).sum(dim=-1)),
        ),
        (
            "mean for normaliser",
            "divide by z . q, not by the number of keys",
            _normaliser(lambda q, k: torch.arange(1, len(q) + 1).double()),
        ),
        (
            "mask excludes the diagonal",
            DIAGONAL,
            lambda q, k, v: (A := (q @ k.T).tril(-1)) @ v / A.sum(dim=-1, keepdim=True),
        ),
        (
            "forgot the causal mask",
            CAUSAL,
            lambda q, k, v: (A := q @ k.T) @ v / A.sum(dim=-1, keepdim=True),
        ),
        (
            "normalised over the wrong axis",
            "the weights of one query add up to one: sum over the keys, dim=-1",
            lambda q, k, v: ((A := (q @ k.T).tril()) / A.sum(dim=0)) @ v,
        ),
        (
            "query and key swapped",
            SWAPPED,
            lambda q, k, v: _sum(normalise=True)(k, q, v),
        ),
        (
            "softmax for normaliser",
            "no exponential here: divide by the sum of the masked scores",
            lambda q, k, v: softmax_attention(q, k, v, below(len(q)), scale=0.0),
        ),
    ],
)
