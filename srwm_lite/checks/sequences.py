"""Exercises on the delta rule over a batch of sequences, and on its gate."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from srwm_lite import delta_rule as rules
from srwm_lite.checks.delta import STEP, STEP_MISTAKES
from srwm_lite.checks.exercise import Function, outer, register, times
from srwm_lite.scan import scan

OWN = "every sequence has its own memory, W is (B, H, V, K): nothing is summed over B"
OWN_START = "every sequence starts from zeros; make W new for each element of the batch"
HEADS = "every head has its own memory, W is (B, H, V, K): nothing is summed over H"
FADE = "let W fade first, W' = alpha W, and then take the delta step on W'"


def _over_time(step: Function) -> Function:
    """Run `step` over (B, T, H, ...) from empty memories."""

    def run(q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
        B, _, H, K = k.shape
        return scan(step, k.new_zeros(B, H, v.shape[-1], K), q, k, v, beta)

    return run


def _shared(mix: Callable[[Tensor], Tensor]) -> Function:
    """Return a delta step in which `mix` joins the writes of several memories."""

    def step(W: Tensor, q: Tensor, *others: Tensor) -> Any:
        new, _ = rules.delta_step(W, q, *others)
        W = W + mix(new - W)
        return W, times(W, q)

    return _over_time(step)


def _one_after_the_other(q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    joined = (x.flatten(0, 1)[None] for x in (q, k, v, beta))
    y, _ = rules.delta_rule(*joined, backend="loop")
    B, T, H, K = k.shape
    ends, W = [], k.new_zeros(1, H, v.shape[-1], K)
    for b in range(B):
        q_b, k_b, v_b, beta_b = (x[b : b + 1] for x in (q, k, v, beta))
        _, W = rules.delta_rule(q_b, k_b, v_b, beta_b, W, backend="loop")
        ends.append(W)
    return y.unflatten(1, (B, T))[0], torch.cat(ends)


def _no_state(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    return rules.delta_step(torch.zeros_like(W), q, k, v, beta)


def _reference(q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    return rules.delta_rule(q, k, v, beta, backend="loop")


register(
    "delta_rule",
    "Take a delta step for every time, in each sequence and head, from W = 0.",
    _reference,
    {
        "q": "B T H K",
        "k": "B T H K unit",
        "v": "B T H V",
        "beta": "B T H strength",
    },
    {"y": "B T H V", "W": "B H V K"},
    [
        ("state shared over the batch", OWN, _shared(lambda x: x.sum(0, keepdim=True))),
        (
            "state shared over the batch",
            OWN,
            _shared(lambda x: x.mean(0, keepdim=True)),
        ),
        ("state shared over the batch", OWN_START, _one_after_the_other),
        (
            "state shared over the heads",
            HEADS,
            _shared(lambda x: x.sum(1, keepdim=True)),
        ),
        (
            "the memory is lost",
            "hand W from one step to the next; start from zeros only once",
            _over_time(_no_state),
        ),
        *((name, hint, _over_time(step)) for name, hint, step in STEP_MISTAKES),
    ],
)


def _gated(change: Function) -> Function:
    """Return the step to the memory ``change(W, k, v, beta, alpha)``, then read."""

    def step(*x: Tensor) -> Any:
        W, q, *others = x
        W = change(W, *others)
        return W, times(W, q)

    return step


def _delta(W: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
    return W + beta * outer(v - times(W, k), k)


def _without_gate(step: Function) -> Function:
    return lambda W, q, k, v, beta, alpha: step(alpha * W, q, k, v, beta)


def _early(*x: Tensor) -> Any:
    return rules.gated_delta_step(*x)[0], times(x[0], x[1])


register(
    "gated_delta_step",
    "Let the whole memory W fade by alpha, then take a delta step and read.",
    rules.gated_delta_step,
    {**STEP, "alpha": "strength"},
    {"W": "V K", "y": "V"},
    [
        (
            "decay after instead of before",
            FADE,
            _gated(lambda W, k, v, b, a: a * _delta(W, k, v, b)),
        ),
        (
            "error before the decay",
            "the old value is read from the memory that has faded: v - W' k",
            _gated(lambda W, k, v, b, a: a * W + b * outer(v - times(W, k), k)),
        ),
        (
            "gate on the write",
            "alpha scales the memory, not the write",
            _gated(lambda W, k, v, b, a: W + a * b * outer(v - times(W, k), k)),
        ),
        (
            "gate on the write",
            "alpha scales the memory alone, and beta alone the write",
            _gated(lambda W, k, v, b, a: _delta(a * W, k, v, a * b)),
        ),
        (
            "decay missing",
            FADE,
            _gated(lambda W, k, v, b, a: _delta(W, k, v, b)),
        ),
        (
            "alpha is what is kept",
            "W' = alpha W, not (1 - alpha) W",
            _gated(lambda W, k, v, b, a: _delta((1 - a) * W, k, v, b)),
        ),
        (
            "alpha and beta swapped",
            "alpha scales the memory, beta the write",
            _gated(lambda W, k, v, b, a: _delta(b * W, k, v, a)),
        ),
        (
            "one gate for both",
            "the decay is alpha, not 1 - beta",
            _gated(lambda W, k, v, b, a: _delta((1 - b) * W, k, v, b)),
        ),
        ("read before write", "write first, then read from the new W", _early),
        *((name, hint, _without_gate(step)) for name, hint, step in STEP_MISTAKES),
    ],
)
