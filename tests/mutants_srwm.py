"""Wrong answers to the exercise on the matrix that rewrites itself, see `mutants`."""

import torch
from mutants import MUTANTS, add
from torch import einsum

__all__ = ["MUTANTS"]


def rows(W, u, order="yqkb"):
    """Cut ``W u`` by hand, for blocks in this order."""
    K, z, start, parts = len(u), W @ u, 0, {}
    for name in order:
        n = {"y": len(W) - 2 * K - 4, "q": K, "k": K, "b": 4}[name]
        parts[name] = z[start : start + n]
        start += n
    return parts


def step(order="yqkb", soft=True, gate=torch.sigmoid, pick=range(4), sign=1, **other):
    """Rewrite block by block, row by row, with one thing changed."""

    def run(W, u):
        K, said = len(u), rows(W, u, order)
        q, k = (torch.softmax(said[n], 0) if soft else said[n] for n in "qk")
        key, old = other.get("key", lambda q, k: k)(q, k), other.get("old", 1)
        block = [0] * (len(W) - 2 * K - 4) + [1] * K + [2] * K + [3] * 4
        new = W.clone()
        for i, place in enumerate(block):
            b = gate(said["b"][pick[place]])
            new[i] = W[i] + sign * b * (W[i] @ q - old * (W[i] @ k)) * key
        return new, rows(new if other.get("late") else W, u, order)["y"]

    return run


def at_once(W, u):
    """Solve the exercise with einsum and the product form."""
    y, q, k, b = rows(W, u).values()
    q, k, b = q.softmax(0), k.softmax(0), 1 / (1 + torch.exp(-b))
    rates = torch.cat(
        [x.expand(n) for x, n in zip(b, [len(y), len(u), len(u), 4], strict=True)]
    )
    return W + einsum("r,rj,j,k->rk", rates, W, q - k, k), y


add(
    "self_reference_step",
    read_after_the_write=step(late=True),
    softmax_missing=step(soft=False),
    sigmoid_missing=step(gate=lambda b: b),
    one_rate_for_all=step(pick=[0] * 4),
    rates_in_another_order=step(pick=[3, 2, 1, 0]),
    key_and_query_swapped=step(order="ykqb"),
    rates_before_the_output=step(order="byqk"),
    wrong_sign=step(sign=-1),
    old_value_kept=step(old=0),
    written_under_the_query=step(key=lambda q, k: q),
    outer_product_missing=step(key=lambda q, k: 1),
)
