"""Wrong answers to the exercises on the delta rule, see `mutants`."""

import torch
from mutants import MUTANTS, add, mutant
from torch import einsum
from torch.nn import functional

__all__ = ["MUTANTS"]


def step(change, keep=True, early=False, flip=False):
    """Return a step that writes ``change(W, q, k, v, beta)``, on any leading axes."""

    def run(W, q, k, v, beta):
        delta = change(W, q, k, v, beta[..., None])
        if flip:
            write = einsum("...k,...v->...kv", k, delta)
        else:
            write = einsum("...v,...k->...vk", delta, k)
        new = W + write if keep else write
        return new, mul(W if early else new, q)

    return run


def mul(W, x):
    return einsum("...vk,...k->...v", W, x)


def right(W, q, k, v, b):
    return b * v - b * mul(W, k)


def mixed(W, q, k, v, beta):
    b = beta[..., None, None]
    new = W - b * W + b * einsum("...v,...k->...vk", v, k)
    return new, mul(new, q)


STEPS = {
    "sum for delta": [step(lambda W, q, k, v, b: b * v), step(lambda W, q, k, v, b: v)],
    "beta on the wrong term": [
        step(lambda W, q, k, v, b: b * v - mul(W, k)),
        step(lambda W, q, k, v, b: v - b * mul(W, k)),
    ],
    "beta on the whole memory": [mixed],
    "beta missing": [step(lambda W, q, k, v, b: v - mul(W, k))],
    "beta twice": [step(lambda W, q, k, v, b: b * right(W, q, k, v, b))],
    "wrong sign": [step(lambda W, q, k, v, b: -right(W, q, k, v, b))],
    "old value added": [step(lambda W, q, k, v, b: b * v + b * mul(W, k))],
    "read before write": [step(right, early=True)],
    "transposed outer product": [step(right, flip=True)],
    "transposed memory": [
        step(lambda W, q, k, v, b: b * (v - einsum("...kv,...k->...v", W, k)))
    ],
    "query and key swapped": [lambda W, q, k, v, beta: step(right)(W, k, q, v, beta)],
    "read with the key": [lambda W, q, k, v, beta: step(right)(W, k, k, v, beta)],
    "old value of the query": [step(lambda W, q, k, v, b: b * (v - mul(W, q)))],
    "the old memory is lost": [step(right, keep=False)],
}


def unit(x):
    return x / torch.sqrt((x * x).sum(-1, keepdim=True))


def over_units(f):
    return lambda W, q, k, v, beta: f(W, unit(q), unit(k), v, beta)


def loop(f):
    """Run a step over (B, T, H, ...), from zeros, batch and heads by hand."""

    def run(q, k, v, beta):
        B, T, H, K = q.shape
        y, Ws = torch.empty_like(v), []
        for b in range(B):
            for h in range(H):
                W = torch.zeros(v.shape[-1], K).double()
                for t in range(T):
                    at = (b, t, h)
                    W, y[at] = f(W, q[at], k[at], v[at], beta[at])
                Ws.append(W)
        return y, torch.stack(Ws).reshape(B, H, -1, K)

    return run


def gate(f):
    return lambda W, q, k, v, beta, alpha: f(alpha * W, q, k, v, beta)


for name, functions in STEPS.items():
    for function in functions:
        mutant("delta_step", name)(function)
        mutant("unit_delta_step", name)(over_units(function))
        mutant("delta_rule", name)(loop(function))
        mutant("gated_delta_step", name)(gate(function))

ok = step(right)
add(
    "delta_step",
    key_normalised=lambda W, q, k, v, beta: ok(
        W, q, functional.normalize(k, dim=0), v, beta
    ),
)
add(
    "unit_delta_step",
    key_not_normalised=lambda W, q, k, v, beta: ok(
        W, functional.normalize(q, dim=0), k, v, beta
    ),
    query_not_normalised=lambda W, q, k, v, beta: ok(W, q, unit(k), v, beta),
    root_missing=lambda W, q, k, v, beta: ok(
        W, q / (q**2).sum(), k / (k**2).sum(), v, beta
    ),
    value_normalised=lambda W, q, k, v, beta: ok(W, unit(q), unit(k), unit(v), beta),
)
mutant("unit_delta_step", "key not normalised")(ok)


@mutant("delta_rule", "state shared over the batch")
def _(q, k, v, beta):
    W, ys = torch.zeros(k.shape[2], v.shape[3], k.shape[3]).double(), []
    for t in range(q.shape[1]):
        old = einsum("hvk,bhk->bhv", W, k[:, t])
        W = W + einsum("bh,bhv,bhk->hvk", beta[:, t], v[:, t] - old, k[:, t])
        ys.append(einsum("hvk,bhk->bhv", W, q[:, t]))
    return torch.stack(ys, 1), W


@mutant("delta_rule", "state shared over the batch")
def _(q, k, v, beta):
    B, T, H, K = q.shape
    W, y, Ws = torch.zeros(H, v.shape[-1], K).double(), torch.empty_like(v), []
    for b in range(B):
        for t in range(T):
            W, y[b, t] = ok(W, q[b, t], k[b, t], v[b, t], beta[b, t])
        Ws.append(W)
    return y, torch.stack(Ws)


@mutant("delta_rule", "state shared over the heads")
def _(q, k, v, beta):
    W, ys = torch.zeros(len(q), v.shape[-1], k.shape[-1]).double(), []
    for t in range(q.shape[1]):
        old = einsum("bvk,bhk->bhv", W, k[:, t])
        W = W + einsum("bh,bhv,bhk->bvk", beta[:, t], v[:, t] - old, k[:, t])
        ys.append(einsum("bvk,bhk->bhv", W, q[:, t]))
    return torch.stack(ys, 1), W[:, None].expand(-1, q.shape[2], -1, -1)


@mutant("delta_rule", "the memory is lost")
def _(q, k, v, beta):
    return loop(lambda W, *x: ok(torch.zeros_like(W), *x))(q, k, v, beta)


def gated(new):
    def run(W, q, k, v, beta, alpha):
        W = new(W, k, v, beta, alpha)
        return W, torch.mv(W, q)

    return run


def put(W, k, v, beta, seen=None):
    return W + beta * torch.outer(v - (W if seen is None else seen) @ k, k)


add(
    "gated_delta_step",
    decay_after_instead_of_before=gated(lambda W, k, v, b, a: put(W, k, v, b) * a),
    error_before_the_decay=gated(lambda W, k, v, b, a: put(a * W, k, v, b, seen=W)),
    gate_on_the_write=gated(lambda W, k, v, b, a: put(W, k, v, b * a)),
    decay_missing=gated(lambda W, k, v, b, a: put(W, k, v, b)),
    alpha_is_what_is_kept=gated(lambda W, k, v, b, a: put(W - a * W, k, v, b)),
    alpha_and_beta_swapped=gated(lambda W, k, v, b, a: put(b * W, k, v, a)),
    one_gate_for_both=gated(lambda W, k, v, b, a: put(W - b * W, k, v, b)),
)
mutant("gated_delta_step", "gate on the write")(
    gated(lambda W, k, v, b, a: put(a * W, k, v, a * b))
)
