"""Wrong answers to the exercises on recurrent fast weights, see `mutants`."""

import torch
from mutants import MUTANTS, add, mutant
from torch import einsum
from torch.nn import functional

__all__ = ["MUTANTS"]


def squash(x):
    return functional.softmax(x, dim=0)


def delta(W, k, v, b, keep=True, old=True):
    error = v - torch.mv(W, k) if old else v
    return (W if keep else 0 * W) + b * torch.outer(error, k)


def rdn(hear=torch.tanh, deaf="", late="", bare="", early=False, **options):
    """Return a step of the RDN; the letters name the parts that are wrong."""

    def run(W, y, q, k, v, beta, R_q, R_k, R_v, R_beta):
        h = hear(y)
        made = {"q": (q, R_q), "k": (k, R_k), "v": (v, R_v), "b": (beta, R_beta)}
        maps = {"q": squash, "k": squash, "v": lambda u: u, "b": torch.sigmoid}
        for name, (x, R) in made.items():
            r = (0 if name in deaf else 1) * einsum("...v,v->...", R, h)
            if name in late:
                made[name] = maps[name](x) + r
            else:
                made[name] = x + r if name in bare else maps[name](x + r)
        q, k, v, b = made.values()
        new = delta(W, k, v, b, **options)
        return new, torch.mv(W if early else new, q)

    return run


add(
    "recurrent_delta_step",
    nothing_is_heard=rdn(deaf="qkvb"),
    tanh_missing=rdn(hear=lambda y: y),
    softmax_for_tanh=rdn(hear=squash),
    query_not_heard=rdn(deaf="q"),
    key_not_heard=rdn(deaf="k"),
    value_not_heard=rdn(deaf="v"),
    strength_not_heard=rdn(deaf="b"),
    softmax_before_adding=rdn(late="qk"),
    softmax_missing=rdn(bare="qk"),
    sigmoid_missing=rdn(bare="b"),
    sigmoid_before_adding=rdn(late="b"),
    read_before_write=rdn(early=True),
    sum_for_delta=rdn(old=False),
    the_old_memory_is_lost=rdn(keep=False),
)
for part in "qk":
    mutant("recurrent_delta_step", "softmax missing")(rdn(bare=part))


@mutant("recurrent_delta_step", "sigmoid for softmax")
def _(W, y, q, k, v, beta, R_q, R_k, R_v, R_beta):
    h = torch.tanh(y)
    q, k, beta = (1 / (1 + torch.exp(-x)) for x in (q + R_q @ h, k + R_k @ h, beta))
    W = delta(W, k, v + R_v @ h, torch.sigmoid(torch.logit(beta) + R_beta @ h))
    return W, W @ q


@mutant("recurrent_delta_step", "value squashed")
def _(W, y, q, k, v, beta, R_q, R_k, R_v, R_beta):
    v = torch.tanh(v + R_v @ y.tanh())
    return rdn()(W, y, q, k, v, beta, R_q, R_k, 0 * R_v, R_beta)


@mutant("recurrent_delta_step", "value squashed")
def _(W, y, q, k, v, beta, R_q, R_k, R_v, R_beta):
    v = squash(v + R_v @ y.tanh())
    return rdn()(W, y, q, k, v, beta, R_q, R_k, 0 * R_v, R_beta)


@mutant("recurrent_delta_step", "weights of query and key swapped")
def _(W, y, q, k, v, beta, R_q, R_k, R_v, R_beta):
    return rdn()(W, y, q, k, v, beta, R_k, R_q, R_v, R_beta)


@mutant("recurrent_delta_step", "output squashed")
def _(*x):
    W, y = rdn()(*x)
    return W, torch.tanh(y)


def rnn(hear=squash, parts=(1, 1), out=lambda y: y, early="", sums="", lost=False):
    """Return a step of the Delta RNN; the letters name the matrices that are wrong."""

    def run(W, R, y, q, k, v, beta, k_rec, v_rec, beta_rec):
        new = delta(W, k, v, beta, old="W" not in sums)
        own = delta(R, k_rec, v_rec, beta_rec, keep=not lost, old="R" not in sums)
        z = (W if "W" in early else new) @ q
        r = (R if "R" in early else own) @ hear(y)
        return new, own, out(parts[0] * z + parts[1] * r)

    return run


add(
    "delta_rnn_step",
    the_last_output_is_not_heard=rnn(parts=(1, 0)),
    the_input_is_not_answered=rnn(parts=(0, 1)),
    version_one=rnn(hear=lambda y: y, out=squash),
    softmax_missing=rnn(hear=lambda y: y),
    tanh_for_softmax=rnn(hear=torch.tanh),
    output_squashed=rnn(out=squash),
    read_before_write=rnn(early="WR"),
    sum_for_delta=rnn(sums="WR"),
    the_old_memory_is_lost=rnn(lost=True),
)
for part in "WR":
    mutant("delta_rnn_step", "read before write")(rnn(early=part))
    mutant("delta_rnn_step", "sum for delta")(rnn(sums=part))


@mutant("delta_rnn_step", "hears the new answer")
def _(W, R, y, q, k, v, beta, k_rec, v_rec, beta_rec):
    return rnn()(W, R, delta(W, k, v, beta) @ q, q, k, v, beta, k_rec, v_rec, beta_rec)


@mutant("delta_rnn_step", "the output is the key")
def _(W, R, y, q, k, v, beta, k_rec, v_rec, beta_rec):
    return rnn()(W, R, y, q, k, v, beta, squash(y), v_rec, beta_rec)


@mutant("delta_rnn_step", "one strength for both")
def _(W, R, y, q, k, v, beta, k_rec, v_rec, beta_rec):
    return rnn()(W, R, y, q, k, v, beta, k_rec, v_rec, beta)


@mutant("delta_rnn_step", "transposed memory")
def _(W, R, y, q, k, v, beta, k_rec, v_rec, beta_rec):
    W = delta(W, k, v, beta)
    R = delta(R, k_rec, v_rec, beta_rec)
    return W, R, W @ q + squash(y) @ R
