"""Backpropagation runs forwards: a cell made by hand, and a sweep up and a sweep down.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_message_cells.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, section 3.2.

No gradient is computed here. Every cell hears two messages, changes and sends two; with
the right cell, what runs through the layers is what backpropagation computes.

Shapes    B batch, that many independent networks; I inputs, O outputs, M size of a
          message, L layers.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from srwm_lite import backends
from srwm_lite.scan import scan
from srwm_lite.vsml import Cell, State, vsml_step

Error = Callable[[Tensor, Tensor], Tensor]
Pair = tuple[Tensor, Tensor]


def start(B: int, sizes: Sequence[int]) -> list[Pair]:
    """Draw the states ``(w, b)``, each (B, I, O), of layers between these sizes.

    `w` is normal with variance ``1 / I``; `b` is zero.
    """
    backends.check_whole(1, B=B, **{f"sizes_{i}": n for i, n in enumerate(sizes)})
    drawn = [torch.randn(B, *grid) / grid[0] ** 0.5 for grid in pairwise(sizes)]
    return [(w, torch.zeros_like(w)) for w in drawn]


def backprop_cell(rate: float) -> Cell:
    """Return the sub-RNN, built by hand, that does what backpropagation does [1].

    Equation: eq:backprop-cell, with state ``(w, b)`` ::

        forward = tanh(x) w + b,   backward = e w (1 - tanh(x)²)
        w = w - rate e tanh(x),    b = b - rate e

    Messages are added (``reduce="sum"``). Nothing changes while e is 0. Every cell has
    a bias of its own, so the bias of a unit, their sum, learns I times as fast.
    """
    backends.check_range(0, float("inf"), rate=rate)

    def cell(state: Pair, x: Tensor, e: Tensor) -> tuple[Pair, Tensor, Tensor]:
        (w, b), x, e = state, x[..., 0], e[..., 0]
        bent = x.tanh()
        forward, backward = bent * w + b, e * w * (1 - bent**2)
        state = w - rate * e * bent, b - rate * e
        return state, forward[..., None], backward[..., None]

    return cell


def forward_sweep(
    cell: Cell, states: Sequence[State], x: Tensor
) -> tuple[list[State], list[Tensor]]:
    """Send `x` (B, I, M) up through all layers while nothing comes back.

    Returns
    -------
    states : list
        One for each of L layers.
    fwds : list of Tensor
        What every layer heard, and at the end what the last one said: L + 1 messages.
    """
    fwds, after = [x], []
    for state in states:
        outputs = (state[0] if isinstance(state, tuple) else state).shape[2]
        silence = x.new_zeros(len(x), outputs, x.shape[2])
        state, (x, _) = vsml_step(cell, state, x, silence, reduce="sum")
        after.append(state)
        fwds.append(x)
    return after, fwds


def backward_sweep(
    cell: Cell,
    states: Sequence[State],
    fwds: Sequence[Tensor],
    error: Tensor,
    *,
    cut: Collection[int] = (),
) -> tuple[list[State], Tensor]:
    """Send `error` (B, O, M) down; every layer hears its forward message once more.

    Parameters
    ----------
    cell, states
        As in `forward_sweep`.
    fwds : sequence of Tensor
        What `forward_sweep` returned.
    error : Tensor, (B, O, M)
    cut : collection of int
        Layers, counted from 0, whose message to the layer before is lost.

    Returns
    -------
    states : list
    error : Tensor, (B, I, M)
        What arrives at the input.
    """
    after = []
    for i in reversed(range(len(states))):
        state, (_, error) = vsml_step(cell, states[i], fwds[i], error, reduce="sum")
        after.append(state)
        error = error * (i not in cut)
    return after[::-1], error


def squared_error(answer: Tensor, target: Tensor) -> Tensor:
    """Return ``answer - target``: the gradient of half the squared distance."""
    return answer - target


def softmax_error(answer: Tensor, target: Tensor) -> Tensor:
    """Return ``softmax(answer) - target``: the gradient of the cross-entropy."""
    return answer.softmax(dim=-1) - target


def example(
    cell: Cell,
    states: Sequence[State],
    x: Tensor,
    target: Tensor,
    *,
    error: Error = softmax_error,
    cut: Collection[int] = (),
) -> tuple[list[State], Tensor]:
    """Learn from one example: a sweep up, the error, a sweep down.

    Parameters
    ----------
    cell, states, cut
        As in `backward_sweep`.
    x : Tensor, (B, I)
        Stands in slot 0 of the messages to the first layer, which have one slot.
    target : Tensor, (B, O)
    error : callable
        ``error(answer, target)``, such as `squared_error`.

    Returns
    -------
    states : list
    answer : Tensor, (B, O)
        Given before the target was looked at.
    """
    states, fwds = forward_sweep(cell, states, x[..., None])
    answer = fwds[-1][..., 0]
    told = error(answer, target)[..., None]
    states, _ = backward_sweep(cell, states, fwds, told, cut=cut)
    return states, answer


def learn(
    cell: Cell,
    states: Sequence[State],
    x: Tensor,
    targets: Tensor,
    *,
    error: Error = softmax_error,
    cut: Collection[int] = (),
) -> tuple[Tensor, list[State]]:
    """Learn from a stream `x` (B, T, I), `targets` (B, T, O), one example at a time.

    All else is as in `example`.

    Returns
    -------
    answers : Tensor, (B, T, O)
    states : list

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree.
    """
    backends.check_rank("BTI", x=x)
    backends.check_rank("BTO", targets=targets)
    backends.check_agree("BT", x=x, targets=targets)
    backends.check_alike(x=x, targets=targets)
    return scan(partial(_by, cell, error, cut), list(states), x, targets)


def _by(cell: Cell, error: Error, cut: Any, states: Any, *of: Tensor) -> Any:
    return example(cell, states, *of, error=error, cut=cut)
