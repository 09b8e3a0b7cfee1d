"""Right answers to the exercises, in different ways: loops, einsum, library calls."""

import math

import mutants
import mutants_attention
import mutants_delta
import mutants_few_shot
import mutants_parallel
import mutants_programs
import mutants_recurrent
import mutants_srwm
import mutants_state
import mutants_switch
import mutants_text
import mutants_vsml
import torch
from torch import einsum
from torch.nn import functional


def loop(W, k, v):
    W = W.clone()
    for i in range(len(v)):
        for j in range(len(k)):
            W[i, j] = W[i, j] + v[i] * k[j]
    return W


def half_way(W, k, v):
    return (W.float() + torch.outer(v.float(), k.float())).double()


def forget_first(W, q, k, v, beta):
    W = W @ (torch.eye(len(k)) - beta * torch.outer(k, k)) + beta * torch.outer(v, k)
    return W, W @ q


def transposed_inside(W, q, k, v, beta):
    S = W.T
    S = S + beta * torch.outer(k, v - k @ S)
    return S.T, q @ S


def flash(q, k, v):
    q, k, v = (x[None, None] for x in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)[0, 0]


def cumulative(q, k, v):
    return einsum("tvk,tk->tv", torch.cumsum(einsum("tv,tk->tvk", v, k), 0), q)


def cumulative_normalised(q, k, v):
    return cumulative(q, k, v) / ((k.cumsum(0) * q).sum(-1, keepdim=True) + 1e-6)


def gather(x, nu):
    r = torch.relu(torch.cat((x, -x), 1))
    index = torch.arange(r.shape[1])
    return torch.cat([r * r[:, index - j] for j in range(1, nu + 1)], 1)


def favor_of_distance(x, P):
    P = torch.cat([P, -P])
    lengths = torch.einsum("mk,mk->m", P, P) / 2
    return torch.exp(lengths - torch.cdist(x, P) ** 2 / 2) / len(P) ** 0.5


def reduce_rows(k, beta, P):
    for x, b in zip(k, beta, strict=True):
        P = P - torch.outer(P @ x, b * x)
    return P


def accumulate(q, k, v, beta):
    W = torch.zeros(q.shape[0], q.shape[2], v.shape[3], k.shape[3]).to(q)
    y = torch.zeros_like(v)
    for t in range(q.shape[1]):
        e = beta[:, t, :, None] * (v[:, t] - (W @ k[:, t, :, :, None]).squeeze(-1))
        W += einsum("bhv,bhk->bhvk", e, k[:, t])
        y[:, t] = (W @ q[:, t, :, :, None]).squeeze(-1)
    return y, W


def hear_at_once(W, y, q, k, v, beta, R_q, R_k, R_v, R_beta):
    R = torch.vstack([R_q, R_k, R_v, R_beta])
    heard = torch.cat([q, k, v, beta[None]]) + R @ torch.tanh(y)
    q, k, v, beta = torch.split(heard, [len(q), len(k), len(v), 1])
    q, k = torch.exp(q) / torch.exp(q).sum(), torch.exp(k) / torch.exp(k).sum()
    return forget_first(W, q, k, v, 1 / (1 + torch.exp(-beta)))


def side_by_side(W, R, y, q, k, v, beta, k_rec, v_rec, beta_rec):
    W, _ = forget_first(W, q, k, v, beta)
    R, _ = forget_first(R, y, k_rec, v_rec, beta_rec)
    return W, R, torch.hstack([W, R]) @ torch.cat([q, torch.softmax(y, 0)])


def select(W, tested, bound, k, v):
    for t in range(len(k)):
        gate = torch.heaviside(bound[t] - W[0] @ tested[t], torch.zeros(()).to(k))
        W = W + gate * torch.outer(v[t] - W @ k[t], k[t])
    return W


RIGHT = {
    "write": [loop, half_way, lambda W, k, v: torch.addr(W, v, k)],
    "batched_write": [
        lambda W, k, v: W + einsum("bv,bk->bvk", v, k),
        lambda W, k, v: torch.baddbmm(W, v[:, :, None], k[:, None]),
        lambda W, k, v: torch.stack(list(map(loop, W, k, v))),
    ],
    "read": [torch.mv, torch.matmul, lambda W, q: einsum("vk,k", W, q)],
    "store_all": [
        lambda k, v: einsum("tv,tk->vk", v, k),
        lambda k, v: sum(map(torch.outer, v, k)),
        lambda k, v: (v[:, :, None] * k[:, None, :]).sum(0),
    ],
    "fast_weight_step": [
        mutants.fwp(),
        lambda W, x, k, v: (W + torch.outer(v, k), W @ x + v * (k @ x)),
        lambda W, x, k, v: (loop(W, k, v), loop(W, k, v) @ x),
    ],
    "causal_softmax_attention": [
        flash,
        mutants_attention.attention(),
        lambda q, k, v: torch.stack(
            [
                torch.softmax(k[: t + 1] @ q[t] / math.sqrt(len(q[t])), 0) @ v[: t + 1]
                for t in range(len(q))
            ]
        ),
    ],
    "linear_attention_recurrent": [
        cumulative,
        mutants_attention.recurrent(),
        lambda q, k, v: torch.tril(q @ k.T) @ v,
    ],
    "linear_attention_parallel": [
        cumulative,
        lambda q, k, v: (q @ k.T * torch.ones(len(q), len(q)).tril()) @ v,
        lambda q, k, v: (
            torch.where(
                torch.arange(len(q))[:, None] >= torch.arange(len(q)), q @ k.T, 0
            )
            @ v
        ),
    ],
    "linear_attention_normalised": [
        cumulative_normalised,
        lambda q, k, v: functional.normalize(torch.tril(q @ k.T), p=1, dim=1) @ v,
        mutants_attention.normalised(lambda q, z, k, ks, t: q @ z),
    ],
    "elu_plus_one": [
        lambda x: torch.where(x > 0, x + 1, torch.exp(x)),
        lambda x: torch.relu(x) + torch.exp(-torch.relu(-x)),
        lambda x: functional.elu(x.float()).double() + 1,
    ],
    "dpfp": [
        gather,
        mutants.dpfp(),
        lambda x, nu: torch.stack([gather(row[None], nu)[0] for row in x]),
    ],
    "favor_plus": [
        mutants.favor(mutants.half),
        favor_of_distance,
        lambda x, P: torch.cat([favor_of_distance(row[None], P) for row in x]),
    ],
    "sum_normalise": [
        lambda x: functional.normalize(x, p=1),
        lambda x: torch.stack([row / row.sum() for row in x]),
        lambda x: x / (x @ torch.ones(x.shape[1], 1).double() + 1e-9),
    ],
    "unit_norm": [
        functional.normalize,
        lambda x: x * torch.rsqrt((x**2).sum(-1, keepdim=True) + 1e-8),
        lambda x: torch.stack([row / torch.linalg.norm(row) for row in x]),
    ],
    "delta_step": [
        forget_first,
        transposed_inside,
        mutants_delta.ok,
        lambda *x: mutants_delta.ok(*(y.float() for y in x)),
    ],
    "unit_delta_step": [
        mutants_delta.over_units(mutants_delta.ok),
        mutants_delta.over_units(forget_first),
        mutants_delta.over_units(transposed_inside),
    ],
    "delta_rule": [
        accumulate,
        mutants_delta.loop(mutants_delta.ok),
        mutants_delta.loop(forget_first),
    ],
    "gated_delta_step": [
        mutants_delta.gate(mutants_delta.ok),
        mutants_delta.gate(forget_first),
        lambda W, q, k, v, b, a: transposed_inside(a * W, q, k, v, b),
    ],
    "chunk_writes": [
        mutants_parallel.writes(),
        mutants_parallel.dense(lambda A: torch.tril(A, -1)),
        lambda k, v, beta, W: torch.linalg.solve_triangular(
            torch.eye(len(k)) + torch.tril(beta[:, None] * (k @ k.T), -1),
            beta[:, None] * (v - k @ W.T),
            upper=False,
        ),
    ],
    "householder_product": [
        mutants_parallel.product(mutants_parallel.reflect),
        lambda k, beta: reduce_rows(k, beta, torch.eye(k.shape[1]).double()),
        lambda k, beta: torch.linalg.multi_dot(
            [torch.eye(k.shape[1]).double()] * 2
            + [
                torch.eye(k.shape[1]) - b * torch.outer(x, x)
                for b, x in zip(beta, k, strict=True)
            ]
        ),
    ],
    "recurrent_delta_step": [
        mutants_recurrent.rdn(),
        hear_at_once,
        lambda *x: tuple(u.double() for u in hear_at_once(*(u.float() for u in x))),
    ],
    "delta_rnn_step": [
        mutants_recurrent.rnn(),
        side_by_side,
        lambda *x: tuple(u.double() for u in side_by_side(*(u.float() for u in x))),
    ],
    "increment": [
        mutants_programs.increment(lambda old, d: old + d),
        lambda W, k, d: torch.addr(W, d, k / (k @ k)),
        lambda W, k, d: W + einsum("v,k->vk", d, k) / torch.linalg.norm(k) ** 2,
    ],
    "guarded_writes": [
        mutants_programs.guarded(lambda W, new, k, tested, b: W[0] @ tested < b),
        select,
        lambda *x: select(*(y.float() for y in x)).double(),
    ],
    "self_reference_step": [
        mutants_srwm.step(),
        mutants_srwm.at_once,
        lambda W, u: tuple(x.double() for x in mutants_srwm.at_once(W, u)),
    ],
    "prototypes": [
        lambda s, a: -mutants_few_shot.far(s, a) / mutants_few_shot.root(s),
        lambda s, a: -(torch.cdist(a, s.mean(1)) ** 2) / math.sqrt(s.shape[2]),
        lambda s, a: -((a[:, None] - s.mean(1)) ** 2).sum(2) / s.shape[2] ** 0.5,
    ],
    "centred_memory": [
        mutants_few_shot.memory(),
        mutants_few_shot.kernel,
        lambda x, v, q: v.T @ (x - x.mean(0)) @ (q - x.mean(0)),
    ],
    "same_write": [
        mutants_state.again(mutants_state.put),
        mutants_state.jump(lambda b, s, n: sum(b * (1 - b * s) ** i for i in range(n))),
        lambda W, k, v, beta, n: (
            v[:, None] * k / (k @ k)
            + (W - v[:, None] * k / (k @ k))
            @ torch.matrix_power(
                torch.eye(len(k)).double() - beta * torch.outer(k, k), n
            )
        ),
    ],
    "parity_step": [
        mutants_state.machine(),
        lambda y, x, high: y - x * (y + high * (y.tanh() / high.tanh() - x)),
        lambda y, x, high: torch.lerp(
            y, high * (x - torch.tanh(y) / torch.tanh(high)), x
        ),
    ],
    "one_step_late": [
        mutants_switch.padded(),
        mutants_switch.step_by_step,
        lambda v: v.roll(1, 1) * (torch.arange(v.shape[1]) > 0)[:, None],
    ],
    "count_appearances": [
        mutants_switch.tally(),
        mutants_switch.among(0, 1),
        lambda labels, switch: torch.stack(
            [
                (labels[(t >= switch) * switch : t] == labels[t]).sum()
                for t in range(len(labels))
            ]
        ).double(),
    ],
    "bits_of_tokens": [
        mutants_text.cost(),
        lambda y: (torch.logsumexp(y, 1, keepdim=True) - y) / math.log(2),
        lambda y: torch.stack([-torch.log2(row.softmax(0)) for row in y]),
    ],
    "witten_bell": [
        mutants_text.mix(),
        lambda n, p: torch.lerp(
            n / n.sum(), p, n.count_nonzero() / (n.sum() + n.count_nonzero())
        ),
        lambda n, p: (n + len(n[n > 0]) * p) / (n.sum() + len(n[n > 0])),
    ],
    "grid_step": [
        mutants_vsml.cells(),
        lambda w, x, e: (torch.addr(w, x, e), x @ w),
        lambda w, x, e: (w + einsum("i,o->io", x, e), torch.mv(w.T, x)),
    ],
    "backprop_cell": [
        mutants_vsml.layer(),
        mutants_vsml.by_autograd,
        lambda *u: tuple(
            y.double() for y in mutants_vsml.layer()(*(x.float() for x in u))
        ),
    ],
    "tick": [
        mutants_vsml.think(),
        mutants_vsml.at_once,
        lambda gates, c: mutants_vsml.at_once(gates[None, :].flatten(), 1 * c),
    ],
}
