"""The rules that ``benchmarks/gpu.py`` measures: inputs, floors and competitors.

A floor counts what must move and what must be computed, in float32, by any program: not
what a kernel moves or computes twice. All sequences have one head.
"""

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from srwm_lite.delta_rnn import delta_rnn
from srwm_lite.delta_rule import delta_rule
from srwm_lite.recurrent_delta import recurrent_delta
from srwm_lite.self_reference import self_reference

LONGEST_LOOP = 1024  # steps; a Python loop on a GPU is launches and nothing else
Run = Callable[..., tuple[Any, ...]]


class Rule(NamedTuple):
    """What is to be measured.

    ``run(*inputs, backend=...)`` returns y and more; ``inputs(BH, T, D)`` are B * H
    sequences on the GPU, the first one as y; ``cost(BH, T, D, both)`` are bytes and
    operations; ``reference`` is a backend to compare with, ``others(T)`` compete.
    """

    name: str
    run: Run
    inputs: Callable[[int, int, int], list[Tensor]]
    cost: Callable[[int, int, int, bool], tuple[int, int]]
    reference: str
    others: Callable[[int], dict[str, Run]]


def delta_cost(BH: int, T: int, D: int, both: bool) -> tuple[int, int]:
    """Return the bytes that must move and the operations of the delta rule.

    Forward: q, k, v, beta and W in, y and W_T out; ``W k``, the write and ``W q`` take
    2 D^2 operations each. Backward: the errors e are stored and read again, q, k, beta,
    dy and W in, dq, dk, dv, dbeta and dW out; each of ``G += dy q``, ``G k``, ``G e``,
    ``G -= de k``, ``W de``, ``W += u k``, ``W dy`` takes 2 D^2 a step.
    """
    step, state = BH * T, BH * D * D
    words, operations = step * (4 * D + 1) + 2 * state, 6 * D * D * step
    if both:
        words += step * (2 * D + 6 * D + 2) + 2 * state
        operations += 14 * D * D * step
    return 4 * words, operations


def recurrent_delta_cost(BH: int, T: int, D: int, both: bool) -> tuple[int, int]:
    """Return the bytes that must move and the operations of the recurrent delta rule.

    Forward: q, k, v, beta, the slow weights R (one for all sequences), W and y in, y
    and W_T out; ``R h`` and what the delta rule takes. Backward: q, k, e, beta are
    stored and read again, y, dy, R, W in, the gradients out; ``Rᵀ da``, ``dR += da h``
    and what the delta rule takes.
    """
    step, state, numbers = BH * T, BH * D * D, 3 * D + 1
    R = numbers * D
    words = step * (numbers + D) + 2 * state + BH * D + R
    operations = step * (6 * D * D + 2 * R)
    if both:
        words += step * (3 * numbers + 2 * D) + 2 * state + 2 * BH * D + 2 * R
        operations += step * (14 * D * D + 4 * R)
    return 4 * words, operations


def delta_rnn_cost(BH: int, T: int, D: int, both: bool) -> tuple[int, int]:
    """Return the bytes that must move and the operations of the Delta RNN.

    Two delta rules, but one output, which is the query of the second.
    """
    step, state = BH * T, BH * D * D
    words, operations = step * (6 * D + 2) + 4 * state + BH * D, 12 * D * D * step
    if both:
        words += step * (14 * D + 4) + 4 * state + 2 * BH * D
        operations += 28 * D * D * step
    return 4 * words, operations


def srwm_cost(BH: int, T: int, D: int, both: bool) -> tuple[int, int]:
    """Return the bytes that must move and the operations of a self-referential W.

    Forward: u and W in, y and W_T out; ``W u``, ``W (q - k)`` and the write take two
    operations for each number of W. Backward: q, k, the four b and what was written are
    stored and read again, u, dy and W in, du and dW out; each of ``G k``, ``Gᵀ w``,
    ``Wᵀ e``, ``Wᵀ z``, ``W -= w k``, ``G += z u``, ``G += e (q - k)`` takes as many.
    """
    step, numbers = BH * T, (3 * D + 4) * D
    words, operations = step * 2 * D + 2 * BH * numbers, 6 * numbers * step
    if both:
        words += step * (2 * (5 * D + 8) + 3 * D) + 2 * BH * numbers
        operations += 14 * numbers * step
    return 4 * words, operations


def delta_inputs(BH: int, T: int, D: int) -> list[Tensor]:
    """Return q, k, v, beta and W."""
    q, k, v = (torch.randn(BH, T, 1, D, device="cuda") for _ in range(3))
    beta = torch.rand(BH, T, 1, device="cuda")
    W = torch.zeros(BH, 1, D, D, device="cuda")
    return [q, functional.normalize(k, dim=-1), v, beta, W]


def recurrent_delta_inputs(BH: int, T: int, D: int) -> list[Tensor]:
    """Return q, k, v, beta, R, W and y."""
    *x, W = delta_inputs(BH, T, D)
    R = torch.randn(1, 3 * D + 1, D, device="cuda") / D**0.5
    return [*x, R, W, W[..., 0].clone()]


def delta_rnn_inputs(BH: int, T: int, D: int) -> list[Tensor]:
    """Return q, k, v, beta, k_rec, v_rec, beta_rec, W, R and y."""
    (*x, W), (_, k, v, beta, R) = delta_inputs(BH, T, D), delta_inputs(BH, T, D)
    return [*x, k.softmax(dim=-1), v, beta, W, R, W[..., 0].clone()]


def srwm_inputs(BH: int, T: int, D: int) -> list[Tensor]:
    """Return u and W."""
    W = torch.randn(BH, 1, 3 * D + 4, D, device="cuda") / D**0.5
    return [torch.randn(BH, T, 1, D, device="cuda"), W]


def _recurrent_delta(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, R: Tensor, *state: Any, backend: str
) -> tuple[Any, ...]:
    return recurrent_delta(q, k, v, beta, R, state, backend=backend)


def _delta_rnn(*x: Any, backend: str) -> tuple[Any, ...]:
    q, k, v, beta, k_rec, v_rec, beta_rec, *state = x
    more = k_rec, v_rec, beta_rec, tuple(state)
    return delta_rnn(q, k, v, beta, *more, backend=backend)


def delta_others(T: int) -> dict[str, Run]:
    """Return what else computes the delta rule."""
    found: dict[str, Run] = {"chunk": partial(delta_rule, backend="chunk")}
    if T <= LONGEST_LOOP // 4:  # torch.compile unrolls the loop over T
        found["compiled loop"] = torch.compile(partial(delta_rule, backend="loop"))
    if importlib.util.find_spec("fla"):
        found |= {"fla recurrent": fla("fused_recurrent"), "fla chunk": fla("chunk")}
    return found


def fla(kind: str) -> Run:
    """Return a kernel of flash-linear-attention behind our door; W transposed."""
    from fla.ops import delta_rule as theirs

    kernel = getattr(theirs, f"{kind}_delta_rule")
    chunked = kind == "chunk"

    def run(
        q: Tensor, k: Tensor, v: Tensor, beta: Tensor, W: Tensor
    ) -> tuple[Tensor, Tensor]:
        x = [a.bfloat16() for a in (q, k, v, beta)] if chunked else [q, k, v, beta]
        y, state = kernel(
            *x, scale=1.0, initial_state=W.mT.contiguous(), output_final_state=True
        )
        return y, state.mT

    return run


def _nothing_else(T: int) -> dict[str, Run]:
    return {}


def competitors(rule: Rule, T: int) -> dict[str, Run]:
    """Return what is to be measured at this length."""
    found: dict[str, Run] = {"cuda": partial(rule.run, backend="cuda")} | rule.others(T)
    if T <= LONGEST_LOOP:
        found["loop"] = partial(rule.run, backend="loop")
    return found


DELTA_RULE = Rule(
    "delta_rule", delta_rule, delta_inputs, delta_cost, "chunk", delta_others
)
RECURRENT_DELTA = Rule(
    "recurrent_delta",
    _recurrent_delta,
    recurrent_delta_inputs,
    recurrent_delta_cost,
    "loop",
    _nothing_else,
)
DELTA_RNN = Rule(
    "delta_rnn", _delta_rnn, delta_rnn_inputs, delta_rnn_cost, "loop", _nothing_else
)
SRWM = Rule("srwm", self_reference, srwm_inputs, srwm_cost, "loop", _nothing_else)
RULES = (DELTA_RULE, RECURRENT_DELTA, DELTA_RNN, SRWM)
