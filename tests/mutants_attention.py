"""Wrong answers to the exercises on attention, see `mutants`."""

import math

import torch
from mutants import MUTANTS, add, mutant
from torch import einsum

__all__ = ["MUTANTS"]


def attention(seen=lambda s, t: s <= t, axis=1, scale=True, fill=-math.inf):
    """Return softmax attention by loops, with one thing changed."""

    def run(q, k, v):
        T, K = q.shape
        scores = q.new_empty(T, T)
        for t in range(T):
            for s in range(T):
                score = torch.dot(q[t], k[s]) / (math.sqrt(K) if scale else 1)
                scores[t, s] = score if seen(s, t) else fill
        return torch.softmax(scores, axis) @ v

    return run


add(
    "causal_softmax_attention",
    forgot_the_causal_mask=attention(lambda s, t: True),
    mask_excludes_the_diagonal=attention(lambda s, t: s < t, fill=-1e9),
    mask_one_too_wide=attention(lambda s, t: s <= t + 1),
    mask_the_wrong_way_round=attention(lambda s, t: s >= t),
    softmax_on_the_wrong_axis=attention(axis=0),
    query_and_key_swapped=lambda q, k, v: attention()(k, q, v),
    scale_missing=attention(scale=False),
    masked_with_zeros=attention(fill=0),
)


def masked(q, k):
    return torch.tril(einsum("tk,sk->ts", q, k))


@mutant("causal_softmax_attention", "mask excludes the diagonal")
def _(q, k, v):
    hidden = torch.triu(torch.ones(len(q), len(q))) == 1
    scores = q @ k.T / math.sqrt(k.shape[1])
    scores[hidden] = float("-inf")
    return torch.softmax(scores, 1) @ v


@mutant("causal_softmax_attention", "mask excludes the diagonal")
def _(q, k, v):
    hidden = torch.triu(torch.ones(len(q), len(q))) == 1
    scores = (q @ k.T / math.sqrt(k.shape[1])).masked_fill(hidden, -1e9)
    return torch.softmax(scores, 1) @ v


@mutant("causal_softmax_attention", "root missing in the scale")
def _(q, k, v):
    return attention()(q / math.sqrt(q.shape[1]), k, v)


@mutant("causal_softmax_attention", "mask after the softmax")
def _(q, k, v):
    return torch.tril(torch.softmax(q @ k.T / q.shape[1] ** 0.5, 1)) @ v


@mutant("causal_softmax_attention", "softmax missing")
def _(q, k, v):
    return masked(q, k) @ v / k.shape[1] ** 0.5


def corrected(q, k, v):
    W, ys = torch.zeros(v.shape[1], k.shape[1]).double(), []
    for t in range(len(q)):
        W = W + torch.outer(v[t] - W @ k[t], k[t])
        ys.append(W @ q[t])
    return torch.stack(ys)


LEFT_IN = {
    "softmax_left_in": attention(scale=False),
    "scaled": lambda q, k, v: masked(q, k) @ v / math.sqrt(q.shape[1]),
    "normalised": lambda q, k, v: masked(q, k) @ v / masked(q, k).sum(1)[:, None],
    "delta_for_sum": corrected,
}
add(
    "linear_attention_parallel",
    mask_excludes_the_diagonal=lambda q, k, v: (masked(q, k).tril(-1)) @ v,
    forgot_the_causal_mask=lambda q, k, v: einsum("tk,sk,sv->tv", q, k, v),
    mask_the_wrong_way_round=lambda q, k, v: torch.triu(q @ k.T) @ v,
    query_and_key_swapped=lambda q, k, v: masked(k, q) @ v,
    only_the_diagonal=lambda q, k, v: torch.diag(torch.diag(q @ k.T)) @ v,
    **LEFT_IN,
)


def recurrent(early=False, transposed=False, lost=False, late=False):
    def run(q, k, v):
        W, ys = torch.zeros(v.shape[1], k.shape[1], dtype=v.dtype), []
        for t in range(q.shape[0]):
            before = W
            if lost:
                W = torch.zeros_like(W)
            W = W + (torch.outer(k[t], v[t]) if transposed else torch.outer(v[t], k[t]))
            ys.append((before if early else W) @ q[t])
        return torch.stack([W @ x for x in q] if late else ys)

    return run


add(
    "linear_attention_recurrent",
    read_before_write=recurrent(early=True),
    transposed_outer_product=recurrent(transposed=True),
    the_memory_is_lost=recurrent(lost=True),
    read_after_the_end=recurrent(late=True),
    query_and_key_swapped=lambda q, k, v: recurrent()(k, q, v),
    **LEFT_IN,
)


def normalised(total, diagonal=0):
    """Return linear attention by a loop, divided by ``total(q_t, z, k_t, k, t)``."""

    def run(q, k, v):
        ys, z = [], torch.zeros_like(k[0])
        for t in range(len(q)):
            z = z + k[t]
            top = sum((q[t] @ k[s]) * v[s] for s in range(t + 1))
            ys.append(top / total(q[t], z, k[t], k, t))
        return torch.stack(ys)

    return run


def ratio(scores, v, axis=1):
    return scores @ v / scores.sum(axis)[:, None]


add(
    "linear_attention_normalised",
    normaliser_missing=normalised(lambda q, z, k, ks, t: 1),
    normaliser_of_one_key=normalised(lambda q, z, k, ks, t: q @ k),
    normaliser_of_all_keys=normalised(lambda q, z, k, ks, t: q @ ks.sum(0)),
    normaliser_without_the_query=normalised(lambda q, z, k, ks, t: z.sum()),
    normaliser_too_early=normalised(lambda q, z, k, ks, t: q @ (z - k)),
    mean_for_normaliser=normalised(lambda q, z, k, ks, t: t + 1),
    mask_excludes_the_diagonal=lambda q, k, v: ratio(masked(q, k).tril(-1), v),
    forgot_the_causal_mask=lambda q, k, v: ratio(q @ k.T, v),
    normalised_over_the_wrong_axis=lambda q, k, v: (
        masked(q, k) / masked(q, k).sum(0, keepdim=True) @ v
    ),
    query_and_key_swapped=lambda q, k, v: ratio(masked(k, q), v),
    softmax_for_normaliser=attention(scale=False),
)
