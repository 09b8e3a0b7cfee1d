"""Exercises on programs: a step, and writes under conditions."""

from collections.abc import Callable

import torch
from torch import Tensor

from srwm_lite.checks.exercise import outer, register, times


def _length(k: Tensor) -> Tensor:
    return k.square().sum(dim=-1)


register(
    "increment",
    "Raise what the memory answers to k, of any length, by d, and nothing else.",
    lambda W, k, d: W + outer(d, k) / _length(k),
    {"W": "V K", "k": "K", "d": "V"},
    {"W": "V K"},
    [
        (
            "overwritten instead of raised",
            "the new value is W k + d, not d; the old one has to be read first",
            lambda W, k, d: W + outer(d - times(W, k), k) / _length(k),
        ),
        (
            "length of the key forgotten",
            "the answer grows by d |k|^2: divide by |k|^2",
            lambda W, k, d: W + outer(d, k),
        ),
        (
            "length not squared",
            "the answer grows by d |k|: divide by |k|^2, not by |k|",
            lambda W, k, d: W + outer(d, k) / _length(k).sqrt(),
        ),
        (
            "doubled",
            "the delta rule takes the old answer away again: v - W k is d",
            lambda W, k, d: W + outer(times(W, k) + d, k) / _length(k),
        ),
        (
            "wrong sign",
            "add d, do not take it away",
            lambda W, k, d: W - outer(d, k) / _length(k),
        ),
    ],
)


def _guarded(
    test: Callable[..., Tensor] = lambda answer, bound: answer[0] < bound,
    *,
    asked: str = "tested",
    error: Callable[[Tensor, Tensor], Tensor] = lambda v, old: v - old,
    after: bool = False,
    now: Callable[[Tensor, Tensor], Tensor] = lambda W, start: W,
) -> Callable[..., Tensor]:
    """Return the writes under conditions, with one thing changed."""

    def run(W: Tensor, tested: Tensor, bound: Tensor, k: Tensor, v: Tensor) -> Tensor:
        start = W
        for tested_t, bound_t, k_t, v_t in zip(tested, bound, k, v, strict=True):
            written = W + outer(error(v_t, times(W, k_t)), k_t)
            memory = now(written if after else W, start)
            answer = times(memory, k_t if asked == "k" else tested_t)
            W = torch.where(test(answer, bound_t), written, W)
        return W

    return run


register(
    "guarded_writes",
    "In each step, replace the value under k by v if entry 0 of the answer to tested "
    "is below bound.",
    _guarded(),
    {
        "W": "V K",
        "tested": "T K unit",
        "bound": "T",
        "k": "T K unit",
        "v": "T V",
    },
    {"W": "V K"},
    [
        (
            "conditions ignored",
            "write only if the answer to tested is below the bound",
            _guarded(lambda answer, bound: torch.ones_like(bound).bool()),
        ),
        (
            "conditions reversed",
            "the write happens if the answer is below the bound",
            _guarded(lambda answer, bound: answer[0] > bound),
        ),
        (
            "condition read after the write",
            "ask the memory as it was: the condition stands before the statement",
            _guarded(after=True),
        ),
        (
            "conditions read from the first memory",
            "ask the memory as it is now: a condition depends on earlier writes",
            _guarded(now=lambda W, start: start),
        ),
        (
            "wrong variable tested",
            "ask with tested, not with k",
            _guarded(asked="k"),
        ),
        (
            "added instead of replaced",
            "take the old value away: write v - W k, not v",
            _guarded(error=lambda v, old: v),
        ),
        (
            "length tested instead of the entry",
            "compare entry 0 of the answer with the bound, not its length",
            _guarded(lambda answer, bound: answer.norm() < bound),
        ),
    ],
)
