"""The exercise on causal softmax attention."""

import math

import torch
from torch import Tensor

from srwm_lite.checks.exercise import register

QKV = {"q": "T K", "k": "T K", "v": "T V"}
Y = {"y": "T V"}
CAUSAL = "at time t only keys up to t may be seen; later scores must be masked out"
DIAGONAL = "a query sees its own key too: keep the diagonal of the mask"
ANTICAUSAL = "keep what lies below the diagonal, s <= t: tril, not triu"
SWAPPED = "row t of the scores belongs to query t: q @ k.T, not k @ q.T"


def below(n: int, diagonal: int = 0) -> Tensor:
    """Return the mask that is true where a key may be seen, (n, n)."""
    return torch.ones(n, n, dtype=torch.bool).tril(diagonal)


def softmax_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dim: int = -1, scale: float = 0.5
) -> Tensor:
    """Return softmax attention where `mask` is true, scores over ``K**scale``."""
    scores = q @ k.T / q.shape[-1] ** scale
    return scores.masked_fill(~mask, -math.inf).softmax(dim) @ v


def _softmax_of_zeros(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.T / math.sqrt(q.shape[-1])).tril().softmax(dim=-1) @ v


def _masked_after(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.T / math.sqrt(q.shape[-1])).softmax(dim=-1).tril() @ v


def _all(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool)


def _first_row_even(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    y = softmax_attention(q, k, v, below(len(q), -1))
    return torch.cat([v.mean(dim=0, keepdim=True), y[1:]])


register(
    "causal_softmax_attention",
    "Softmax attention in which query t sees the keys 1 to t; scores over sqrt(K).",
    lambda q, k, v: softmax_attention(q, k, v, below(len(q))),
    QKV,
    Y,
    [
        (
            "forgot the causal mask",
            CAUSAL,
            lambda q, k, v: softmax_attention(q, k, v, _all(len(q))),
        ),
        (
            "mask excludes the diagonal",
            DIAGONAL,
            lambda q, k, v: softmax_attention(q, k, v, below(len(q), -1)),
        ),
        (
            "mask excludes the diagonal",
            DIAGONAL,
            lambda q, k, v: softmax_attention(q, k, v, below(len(q), -1)).nan_to_num(),
        ),
        ("mask excludes the diagonal", DIAGONAL, _first_row_even),
        (
            "mask one too wide",
            "query t sees its own key and no later one: tril(), not tril(1)",
            lambda q, k, v: softmax_attention(q, k, v, below(len(q), 1)),
        ),
        (
            "mask the wrong way round",
            ANTICAUSAL,
            lambda q, k, v: softmax_attention(q, k, v, below(len(q)).T),
        ),
        (
            "softmax on the wrong axis",
            "the weights of one query add up to one: softmax over the keys, dim=-1",
            lambda q, k, v: softmax_attention(q, k, v, below(len(q)), dim=0),
        ),
        (
            "query and key swapped",
            SWAPPED,
            lambda q, k, v: softmax_attention(k, q, v, below(len(q))),
        ),
        (
            "scale missing",
            "divide the scores by sqrt(K) before the softmax",
            lambda q, k, v: softmax_attention(q, k, v, below(len(q)), scale=0.0),
        ),
        (
            "root missing in the scale",
            "divide the scores by sqrt(K), not by K",
            lambda q, k, v: softmax_attention(q, k, v, below(len(q)), scale=1.0),
        ),
        (
            "masked with zeros",
            "exp(0) is one, so a score of zero still counts: mask with -inf",
            _softmax_of_zeros,
        ),
        (
            "mask after the softmax",
            "the weights no longer add up to one: mask the scores, then softmax",
            _masked_after,
        ),
        (
            "softmax missing",
            "this is linear attention: take the softmax of the masked scores",
            lambda q, k, v: (q @ k.T / math.sqrt(q.shape[-1])).tril() @ v,
        ),
    ],
)
