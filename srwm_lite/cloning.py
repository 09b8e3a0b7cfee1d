"""Clone a learning algorithm: an LSTM learns to do what backpropagation does.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_cloning.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, sections 3.2 and 4.1. Their
          code for this experiment was not published; sizes and samples are ours.

By construction, a clone has the state ``(w, b)`` of `srwm_lite.sweeps.backprop_cell` in
two entries of its cell state, and begins every step with the rest of its state at zero.
Learned, from random numbers and never from a network at work, is all that it does with
them: that it answers, what it sends back, by how much w and b change, and that they
stay as they are while nothing comes back.

Shapes    n situations; B networks, T examples, I inputs, O outputs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from srwm_lite import backends
from srwm_lite.sweeps import (
    Error,
    Pair,
    backprop_cell,
    forward_sweep,
    learn,
    softmax_error,
)
from srwm_lite.vsml import Cell, SubRNN

SCALE = 0.25  # of w and b in the cell state, where tanh is nearly a line
PARTS = ("forward", "backward", "change of w", "change of b")
ROOM = {"w": (-2, 0.2), "b": (-2, 0), "x": (-1, 0.5), "e": (-3, 0.2)}
SILENT = 0.4  # share of e = 0
ERROR, WEIGHT = 0.02, 0.05  # what counts as next to nothing
CHUNK = 20  # test pictures at a time


class Clone(nn.Module):
    """A `SubRNN` in the place of `srwm_lite.sweeps.backprop_cell`.

    It takes and returns what that cell does: a state ``(w, b)`` and messages of one
    number.

    Parameters
    ----------
    rate : float
        The learning rate of what is imitated. An error that is sent r times as large
        makes it r times as high.
    state_size, ticks : int
        Of the LSTM.
    forget_shift, input_shift : float
        What is added to its gates.

    Attributes
    ----------
    writes : bool
        Set to False to switch learning off: no error is heard.
    """

    def __init__(
        self,
        rate: float = 0.1,
        state_size: int = 32,
        *,
        ticks: int = 3,
        forget_shift: float = 5.0,
        input_shift: float = 0.0,
    ) -> None:
        super().__init__()
        backends.check_range(0, float("inf"), rate=rate)
        backends.check_whole(2, state_size=state_size)
        self.rate, self.writes = rate, True
        self.cell = SubRNN(
            state_size,
            1,
            ticks=ticks,
            forget_shift=forget_shift,
            input_shift=input_shift,
        )

    def forward(self, state: Pair, x: Tensor, e: Tensor) -> tuple[Pair, Tensor, Tensor]:
        """Hear `x` and `e` (..., 1), and return state, forward and backward message."""
        c = SCALE * torch.stack(state, dim=-1)
        c = nn.functional.pad(c, (0, self.cell.state_size - 2))
        (_, c), forward, backward = self.cell(
            (torch.zeros_like(c), c), x, self.writes * e
        )
        w, b = (c[..., :2] / SCALE).unbind(dim=-1)
        return (w, b), forward, backward


def situations(generator: Generator, n: int) -> tuple[Tensor, ...]:
    """Draw ``w, b, x, e`` (n,) of all sizes that a cell may meet.

    Normal numbers times a power of ten that is uniform in the range of `ROOM`; e is 0
    now and then, as in a sweep up.
    """
    w, b, x, e = (_drawn(generator, n, *ROOM[name]) for name in "wbxe")
    return w, b, x, e * (torch.rand(n, generator=generator) >= SILENT)


def _drawn(generator: Generator, n: int, low: float, high: float) -> Tensor:
    power = low + (high - low) * torch.rand(n, generator=generator)
    return torch.randn(n, generator=generator) * 10**power


def deviations(
    cell: Cell, rate: float, w: Tensor, b: Tensor, x: Tensor, e: Tensor
) -> Tensor:
    """Return by how much a cell is not backpropagation, (n, 4): see `PARTS`.

    Equation, with y the forward message, d the backward one and ``t = tanh(x)`` ::

        (y - t w - b) / (|w| + |b| + 0.05)
        (d - e w (1 - t²)) / ((|w| + 0.05) (|e| + 0.02))
        (dw / rate + e t) / (|e| + 0.02)
        (db / rate + e) / (|e| + 0.02)

    So a small error is answered as exactly as a large one, in shares of itself.
    """
    (w2, b2), y, d = cell((w, b), x[:, None], e[:, None])
    t, told, large = x.tanh(), e.abs() + ERROR, w.abs() + WEIGHT
    off = (
        (y[:, 0] - t * w - b) / (large + b.abs()),
        (d[:, 0] - e * w * (1 - t**2)) / (large * told),
        ((w2 - w) / rate + e * t) / told,
        ((b2 - b) / rate + e) / told,
    )
    return torch.stack(off, dim=-1)


def cloning_loss(clone: Clone, *situation: Tensor) -> Tensor:
    """Return the mean square of the `deviations` from backpropagation."""
    return deviations(clone, clone.rate, *situation).square().mean()


def imitation(clone: Clone, *situation: Tensor) -> Tensor:
    """Return the root mean square of each of the `deviations`, (4,)."""
    return deviations(clone, clone.rate, *situation).square().mean(dim=0).sqrt()


@torch.no_grad()
def drift(
    clone: Clone, w: Tensor, b: Tensor, x: Tensor, e: Tensor, *, steps: int = 1000
) -> Tensor:
    """Return how far w and b stray while no error comes back, (2,): root mean squares.

    In each of the steps a cell hears the `x` of another situation; `e` is not heard.
    """
    state = w, b
    for t in range(steps):
        heard = x.roll(t)[:, None]
        state, _, _ = clone(state, heard, torch.zeros_like(heard))
    moved = torch.stack(state) - torch.stack([w, b])
    return moved.square().mean(dim=1).sqrt()


class Race(NamedTuple):
    """What two networks that began alike became: one of clones, one by hand.

    Attributes
    ----------
    answers, exact_answers : Tensor, (B, T, O)
    states, exact_states : list
        As `srwm_lite.sweeps.learn` returns them.
    """

    answers: Tensor
    states: list[Pair]
    exact_answers: Tensor
    exact_states: list[Pair]


@torch.no_grad()
def race(
    clone: Clone,
    start: Sequence[Pair],
    x: Tensor,
    targets: Tensor,
    *,
    error: Error = softmax_error,
) -> Race:
    """Let clones, and the cell they imitate, learn from one stream.

    Parameters
    ----------
    clone : Clone
    start : sequence
        Layers, such as `srwm_lite.sweeps.start` draws.
    x : Tensor, (B, T, I)
    targets : Tensor, (B, T, O)
    error : callable
    """
    cells = clone, backprop_cell(clone.rate)
    (mine, states), (theirs, exact) = (
        learn(cell, start, x, targets, error=error) for cell in cells
    )
    return Race(mine, states, theirs, exact)


def distance(
    states: Sequence[Pair], exact: Sequence[Pair], start: Sequence[Pair]
) -> Tensor:
    """Return how far apart the weights are, as a share of the way they have come, (L,).

    0 for the same weights, about 1 if one of them had not moved at all.
    """

    def apart(one: Sequence[Pair], two: Sequence[Pair]) -> Tensor:
        return torch.stack(
            [(p[0] - q[0]).norm() for p, q in zip(one, two, strict=True)]
        )

    return apart(states, exact) / apart(exact, start)


@torch.no_grad()
def answers(cell: Cell, states: Sequence[Pair], x: Tensor) -> Tensor:
    """Let one network (B = 1) answer pictures (n, I), without learning: (n, O)."""
    found = []
    for some in x.split(CHUNK):
        copies = [tuple(p.expand(len(some), -1, -1) for p in pair) for pair in states]
        _, fwds = forward_sweep(cell, copies, some[..., None])
        found.append(fwds[-1][..., 0])
    return torch.cat(found)
