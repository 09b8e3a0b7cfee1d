"""Exercises on streams: labels one step late, and a count that begins anew."""

from collections.abc import Callable

import torch
from torch import Tensor

from srwm_lite.checks.exercise import Function, register

EARLIER = "at step t the input may hold the label of step t - 1, not its own"


def _late(v: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(v[:, :1]), v[:, :-1]], dim=1)


def _first_again(v: Tensor) -> Tensor:
    return torch.cat([v[:, :1], v[:, :-1]], dim=1)


register(
    "one_step_late",
    "Move the labels one step back in time; nothing is known at the first step.",
    _late,
    {"v": "B T V"},
    {"told": "B T V"},
    [
        ("the label is given away", EARLIER, lambda v: v),
        (
            "the wrong way",
            "step t hears of step t - 1; here it hears of step t + 1",
            lambda v: torch.cat([v[:, 1:], torch.zeros_like(v[:, :1])], dim=1),
        ),
        (
            "the last label comes first",
            "the label of the last step is not known at the first: put zeros there",
            lambda v: v.roll(1, dims=1),
        ),
        (
            "the first label is given away",
            "before the first label arrives nothing is known: put zeros there",
            _first_again,
        ),
        ("two steps late", EARLIER, lambda v: _late(_late(v))),
        (
            "shifted over the batch",
            "v is (B, T, V): time is the axis 1",
            lambda v: torch.cat([torch.zeros_like(v[:1]), v[:-1]]),
        ),
    ],
)


def _count(
    known: Callable[[Tensor], Tensor] = lambda x: x.tril(-1),
    side: Callable[[Tensor, int], Tensor] = lambda t, switch: t >= switch,
    alike: Callable[[Tensor, Tensor], Tensor] = torch.logical_and,
) -> Function:
    """Return a count of earlier appearances with one thing changed."""

    def run(labels: Tensor, switch: int) -> Tensor:
        after = side(torch.arange(len(labels)), switch)
        same = labels[:, None] == labels, after[:, None] == after
        return known(alike(*same).to(labels)).sum(dim=1)

    return run


register(
    "count_appearances",
    "Count how often a label was there before, since the stream or the switch began.",
    _count(),
    {"labels": "T counts", "switch": "number"},
    {"count": "T"},
    [
        (
            "the present step is counted",
            "a label that appears for the first time has the count 0",
            _count(torch.tril),
        ),
        (
            "the switch is not noticed",
            "after the switch a label is a new class: the count begins anew",
            _count(alike=lambda same, side: same),
        ),
        (
            "later steps are counted",
            "count only the steps before: s < t",
            _count(lambda x: x.triu(1)),
        ),
        (
            "later steps are counted",
            "count only the steps before, not all others",
            _count(lambda x: x - torch.eye(len(x)).to(x)),
        ),
        (
            "later steps are counted",
            "count only the steps before, not all",
            _count(lambda x: x),
        ),
        (
            "the switch is one step late",
            "the picture at the time of the switch is the first of the new task",
            _count(side=lambda t, switch: t > switch),
        ),
        (
            "the switch is one step early",
            "the picture before the switch is the last of the old task",
            _count(side=lambda t, switch: t >= switch - 1),
        ),
        (
            "all labels are counted",
            "count only the steps that had the same label",
            _count(alike=lambda same, side: side),
        ),
    ],
)
