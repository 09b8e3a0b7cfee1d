"""A lesson for the page: what is drawn, and what a net makes of it.

Tests     tests/test_teach.py

Shapes    H heads, R = 3 K + 4 rows, K head size, h and w pixels.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from srwm_lite.few_shot import FewShotNet, one_hot
from srwm_lite.strokes import (
    POINTS,
    SIDE,
    bezier,
    characters,
    ink,
    write_by_hand,
)

WAYS, SIZE = 5, 28
GAP = 0.02
Strokes = list[list[list[float]]]


class Lesson(NamedTuple):
    """What a net makes of a lesson: its shifts, and its answer after each picture."""

    shifts: list[list[Tensor]]
    chances: Tensor


def drawn_lesson(seed: int) -> tuple[list[Strokes], int]:
    """Return five characters and one of them by another hand, and which it is."""
    generator = torch.Generator().manual_seed(seed)
    meant = int(torch.randint(WAYS, (), generator=generator))
    by_hands = write_by_hand(characters(WAYS, generator), 2, generator=generator)
    chosen = [*by_hands[:, 0], by_hands[meant, 1]]
    return [lines(control) for control in chosen], meant


def lines(control: Tensor) -> Strokes:
    """Return the strokes of a character, (4, 4, 2), in the middle, as lists."""
    curves = bezier(control, torch.linspace(0, 1, POINTS))
    there = _fitted([curve for curve in curves if not curve.isnan().any()])
    return [[[round(x, 3) for x in place] for place in c.tolist()] for c in there]


def picture(strokes: Strokes, size: int = SIZE) -> Tensor:
    """Return what the network sees of strokes, (size, size)."""
    return drawing([torch.tensor(stroke) for stroke in strokes], size)


def drawing(strokes: Sequence[Tensor], size: int = SIZE) -> Tensor:
    """Turn what a reader drew into a picture like those of `srwm_lite.strokes.render`.

    The drawing is moved to the middle and made as large as every character; then each
    stroke gets points that lie at most `GAP` apart.

    Parameters
    ----------
    strokes : sequence of Tensor, (P, 2)
        Places where the pen went, in any unit; P may differ.
    size : int
        Pixels of a side.

    Returns
    -------
    Tensor, (size, size)
    """
    placed = [_dense(stroke) for stroke in _fitted(strokes)]
    return ink(torch.cat(placed or [torch.full((1, 2), torch.nan)]), size)


def _fitted(strokes: Sequence[Tensor]) -> list[Tensor]:
    if not strokes:
        return []
    every = torch.cat(list(strokes))
    low, high = every.amin(dim=0), every.amax(dim=0)
    extent = (high - low).amax()
    scale = SIDE / extent if extent > 0 else 1.0  # a dot stays a dot
    return [0.5 + (stroke - (low + high) / 2) * scale for stroke in strokes]


def _dense(stroke: Tensor) -> Tensor:
    """Add points on the lines between points, so that none is longer than `GAP`."""
    parts = [stroke[:1]]
    for a, b in pairwise(stroke):
        n = max(1, math.ceil(float((b - a).norm()) / GAP))
        steps = torch.arange(1, n + 1, dtype=stroke.dtype)[:, None] / n
        parts.append(a + (b - a) * steps)
    return torch.cat(parts)


@torch.no_grad()
def learn(
    net: FewShotNet, pictures: Tensor | None, labels: Tensor | None = None
) -> Lesson:
    """Read five pictures one by one, and ask about the sixth after each.

    Parameters
    ----------
    net : FewShotNet
    pictures : Tensor, (6, h, w), or None
        None reads nothing.
    labels : Tensor of integers, (5,), optional
        0 to 4 in this order if omitted.

    Returns
    -------
    Lesson
        shifts: from 0 to 6 pictures, for each layer (H, R, K); chances (6, ways).
    """
    blocks: list[Any] = list(net.mixer.blocks)
    states = [torch.zeros_like(block.layer.W)[None] for block in blocks]
    if pictures is None:
        return Lesson([[x[0] for x in states]], torch.full((1, WAYS), 1 / WAYS))
    seen = net.see(pictures[None].to(states[0].dtype))[0]
    labels = torch.arange(WAYS) if labels is None else labels
    told = torch.cat([one_hot(labels, WAYS), torch.zeros(1, WAYS)]).to(seen.dtype)
    query = torch.cat([seen[WAYS], told[WAYS]])[None, None]
    shifts, chances = [states], []
    for x in torch.cat([seen, told], dim=-1)[:, None, None]:
        chances.append(net.mixer(query, shifts[-1])[0][0, 0].softmax(dim=-1))
        shifts.append(net.mixer(x, shifts[-1])[1])
    return Lesson([[x[0] for x in one] for one in shifts], torch.stack(chances))
