"""The exercise on a step of the Recurrent Delta Net, and slips that others share."""

from typing import Any

import torch
from torch import Tensor

from srwm_lite.checks.exercise import Function, outer, register, times
from srwm_lite.delta_rule import delta_step
from srwm_lite.recurrent_delta import hear


def _reference(W: Tensor, y: Tensor, *x: Tensor) -> Any:
    R_q, R_k, R_v, R_beta = x[4:]
    R = torch.cat([R_q, R_k, R_v, R_beta[None]])
    q, k, v, beta = x[:4]
    return delta_step(W, *hear(q, k, v, beta, R, y))


def softmax(x: Tensor) -> Tensor:
    """Return the softmax over the entries."""
    return x.softmax(dim=-1)


def _hearing(
    q: Function = lambda q, r: softmax(q + r),
    k: Function = lambda k, r: softmax(k + r),
    v: Function = torch.add,
    beta: Function = lambda beta, r: torch.sigmoid(beta + r),
    h: Function = torch.tanh,
    step: Function = delta_step,
) -> Function:
    """Return the step of the Recurrent Delta Net, with what is given changed."""

    def run(W: Tensor, y: Tensor, *x: Tensor) -> Any:
        parts = zip((q, k, v, beta), x[:4], x[4:], strict=True)
        return step(W, *(part(u, R @ h(y)) for part, u, R in parts))

    return run


def _not_heard(x: Tensor, r: Tensor) -> Tensor:
    return softmax(x)


def _outside(x: Tensor, r: Tensor) -> Tensor:
    return softmax(x) + r


def _bare(x: Tensor, r: Tensor) -> Tensor:
    return x + r


def _swapped(W: Tensor, y: Tensor, q: Tensor, k: Tensor, *x: Tensor) -> Any:
    v, beta, R_q, R_k, R_v, R_beta = x
    return _hearing()(W, y, q, k, v, beta, R_k, R_q, R_v, R_beta)


def read_early(W: Tensor, q: Tensor, *x: Tensor) -> Any:
    """Take a delta step, but read before the write."""
    return delta_step(W, q, *x)[0], times(W, q)


def sum_for_delta(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    """Add the value without taking away the old one."""
    W = W + outer(beta[..., None] * v, k)
    return W, times(W, q)


def lose_the_old(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    """Keep what is written and nothing else."""
    W = outer(beta[..., None] * (v - times(W, k)), k)
    return W, times(W, q)


def _squashed(*x: Tensor) -> Any:
    W, y = delta_step(*x)
    return W, y.tanh()


register(
    "recurrent_delta_step",
    "Let q, k, v and beta hear tanh(y), then take a delta step.",
    _reference,
    {
        **{"W": "V K", "y": "V", "q": "K", "k": "K", "v": "V", "beta": ""},
        **{"R_q": "K V", "R_k": "K V", "R_v": "V V", "R_beta": "V"},
    },
    {"W": "V K", "y": "V"},
    [
        (
            "nothing is heard",
            "add R_q h, R_k h, R_v h and R_beta h with h = tanh(y)",
            _hearing(h=torch.zeros_like),
        ),
        (
            "tanh missing",
            "the network hears h = tanh(y), not y",
            _hearing(h=lambda y: y),
        ),
        (
            "softmax for tanh",
            "h is tanh(y); the softmax is for keys and queries",
            _hearing(h=softmax),
        ),
        ("query not heard", "the query is softmax(q + R_q h)", _hearing(q=_not_heard)),
        ("key not heard", "the key is softmax(k + R_k h)", _hearing(k=_not_heard)),
        ("value not heard", "the value is v + R_v h", _hearing(v=lambda v, r: v)),
        (
            "strength not heard",
            "the strength is sigmoid(beta + R_beta h)",
            _hearing(beta=lambda beta, r: beta.sigmoid()),
        ),
        (
            "softmax before adding",
            "add what is heard first: softmax(k + R_k h), not softmax(k) + R_k h",
            _hearing(q=_outside, k=_outside),
        ),
        (
            "softmax missing",
            "query and key go through a softmax",
            _hearing(q=_bare, k=_bare),
        ),
        (
            "softmax missing",
            "the query goes through a softmax, as the key does",
            _hearing(q=_bare),
        ),
        (
            "softmax missing",
            "the key goes through a softmax, as the query does",
            _hearing(k=_bare),
        ),
        (
            "sigmoid for softmax",
            "keys and queries sum to one: a softmax over their entries",
            _hearing(
                q=lambda q, r: (q + r).sigmoid(), k=lambda k, r: (k + r).sigmoid()
            ),
        ),
        (
            "sigmoid missing",
            "the strength is sigmoid(beta + R_beta h)",
            _hearing(beta=torch.add),
        ),
        (
            "sigmoid before adding",
            "add what is heard first: sigmoid(beta + R_beta h)",
            _hearing(beta=lambda beta, r: beta.sigmoid() + r),
        ),
        (
            "value squashed",
            "the value is v + R_v h as it is",
            _hearing(v=lambda v, r: softmax(v + r)),
        ),
        (
            "value squashed",
            "the value is v + R_v h as it is",
            _hearing(v=lambda v, r: (v + r).tanh()),
        ),
        ("weights of query and key swapped", "R_q is for the query", _swapped),
        (
            "read before write",
            "write first, then read from the new W: y = W q",
            _hearing(step=read_early),
        ),
        (
            "sum for delta",
            "take away what the memory holds under k: beta * (v - W k)",
            _hearing(step=sum_for_delta),
        ),
        (
            "the old memory is lost",
            "add the write to W instead of replacing it",
            _hearing(step=lose_the_old),
        ),
        (
            "output squashed",
            "return y = W q as it is; it is squashed when it is heard",
            _hearing(step=_squashed),
        ),
    ],
)
