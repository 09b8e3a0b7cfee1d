"""Characters nobody has ever seen: alphabets drawn by a random hand.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_strokes.py

Shapes    C characters (classes), N drawings of each, S strokes, P points of a stroke.
          Places are (x, y) in a unit square, y downwards.
"""

import math

import torch
from torch import Generator, Tensor

from srwm_lite.arguments import check_range, check_whole

POINTS = 24
WIDTH = 0.035  # half the width of the pen, as a share of the side
SIDE = 0.72  # the longer side of every character
CHUNK = 2048  # drawings rendered at once: bounds the memory


def characters(
    count: int, generator: Generator | None = None, *, straight: bool = False
) -> Tensor:
    """Invent characters of two to four strokes, each a cubic Bézier curve.

    A stroke begins at a random place or where an earlier one passes, and goes on in a
    bow. Of an absent stroke all entries are NaN.

    Parameters
    ----------
    count : int
        Number C of characters.
    generator : torch.Generator, optional
    straight : bool
        Draw every stroke as a straight line between the same ends.

    Returns
    -------
    Tensor, (C, 4, 4, 2)
        Four control points of each stroke.
    """
    check_whole(0, count=count)
    start = 0.2 + 0.6 * torch.rand(count, 4, 2, generator=generator)
    angle = 2 * math.pi * torch.rand(count, 4, 1, generator=generator)
    length = 0.35 + 0.4 * torch.rand(count, 4, 1, generator=generator)
    end = start + length * torch.cat([angle.cos(), angle.sin()], dim=-1)
    end = end.clamp(0.12, 0.88)
    bows = 0.3 * torch.randn(count, 4, 2, 2, generator=generator)
    middle = (
        start[:, :, None] + (end - start)[:, :, None] * torch.tensor([[1.0], [2]]) / 3
    )
    control = torch.cat([start[:, :, None], middle + bows, end[:, :, None]], dim=2)
    control = _joined(control.clamp(0.08, 0.92), generator)
    control = _straightened(control) if straight else control
    strokes = torch.randint(2, 5, (count, 1), generator=generator)
    absent = torch.arange(4) >= strokes
    return centred(control.masked_fill(absent[..., None, None], torch.nan))


def centred(control: Tensor) -> Tensor:
    """Move every character to the middle, `SIDE` wide or high, whichever is more."""
    here = ~control.isnan()
    low = torch.where(here, control, torch.inf).amin(dim=(1, 2))
    high = torch.where(here, control, -torch.inf).amax(dim=(1, 2))
    scale = SIDE / (high - low).amax(dim=-1)
    middle = (low + high)[:, None, None] / 2
    return 0.5 + (control - middle) * scale[:, None, None, None]


def _straightened(control: Tensor) -> Tensor:
    """Put the middle control points onto the line between the ends."""
    s = torch.arange(4)[:, None] / 3
    return (1 - s) * control[..., :1, :] + s * control[..., 3:, :]


def _joined(control: Tensor, generator: Generator | None) -> Tensor:
    """Let about half of the later strokes begin in the middle of the one before."""
    half = bezier(control, torch.tensor([0.5]))[:, :-1, 0]
    joined = torch.rand(len(control), 3, 1, generator=generator) < 0.5
    control = control.clone()
    control[:, 1:, 0] = torch.where(joined, half, control[:, 1:, 0])
    return control


def bezier(control: Tensor, s: Tensor) -> Tensor:
    """Return the points of cubic Bézier curves.

    ::

        (1-s)³ c_0 + 3 (1-s)² s c_1 + 3 (1-s) s² c_2 + s³ c_3

    Parameters
    ----------
    control : Tensor, (..., 4, 2)
    s : Tensor, (P,)
        Places on the curve, from 0 to 1.

    Returns
    -------
    Tensor, (..., P, 2)
    """
    r = 1 - s
    weights = torch.stack([r**3, 3 * r**2 * s, 3 * r * s**2, s**3], dim=-1)
    return weights @ control


def write_by_hand(
    control: Tensor,
    drawings: int,
    hand: float = 1.0,
    generator: Generator | None = None,
) -> Tensor:
    """Draw every character again and again, each time by another hand.

    A hand slants, stretches, turns and shifts the whole character a little, and misses
    every control point a little.

    Parameters
    ----------
    control : Tensor, (C, 4, 4, 2)
    drawings : int
        Number N of drawings of each.
    hand : float
        How much drawings of one character differ, from 0 (not at all) to 3.
    generator : torch.Generator, optional

    Returns
    -------
    Tensor, (C, N, 4, 4, 2)
    """
    check_whole(1, drawings=drawings)
    check_range(0, 3, hand=hand)
    shape = len(control), drawings
    affine = torch.eye(2) + 0.12 * hand * torch.randn(*shape, 2, 2, generator=generator)
    shift = 0.5 + 0.04 * hand * torch.randn(*shape, 1, 1, 2, generator=generator)
    noise = 0.025 * hand * torch.randn(*shape, 4, 4, 2, generator=generator)
    place = (control[:, None] - 0.5 + noise) @ affine[:, :, None]
    return place + shift


def render(control: Tensor, size: int, width: float = WIDTH) -> Tensor:
    """Turn strokes into pictures: the `ink` of `POINTS` points of every curve.

    Parameters
    ----------
    control : Tensor, (..., 4, 4, 2)
    size : int
        Pixels of a side.
    width : float
        Half the width of the pen.

    Returns
    -------
    Tensor, (..., size, size)
    """
    places = torch.linspace(0, 1, POINTS, dtype=control.dtype)
    return ink(bezier(control, places).flatten(-3, -2), size, width)


def ink(points: Tensor, size: int, width: float = WIDTH) -> Tensor:
    """Let ink flow from points: ink is 1, paper 0.

    ::

        ink = exp(-d² / 2 width²)        d: distance to the nearest point

    Parameters
    ----------
    points : Tensor, (..., P, 2)
        Those that are NaN leave no ink; `size`, `width` as in `render`.

    Returns
    -------
    Tensor, (..., size, size)
    """
    check_whole(1, size=size)
    check_range(1e-3, 1, width=width)
    leading = points.shape[:-2]
    flat = points.nan_to_num(nan=1e3).reshape(-1, *points.shape[-2:])
    pictures = [_ink(part, size, width) for part in flat.split(CHUNK)]
    pictures = pictures or [points.new_zeros(0, size, size)]
    return torch.cat(pictures).reshape(*leading, size, size)


def _ink(points: Tensor, size: int, width: float) -> Tensor:
    middle = (torch.arange(size, dtype=points.dtype) + 0.5) / size
    dx, dy = ((middle - points[..., i, None]) ** 2 for i in (0, 1))
    ink_x, ink_y = (torch.exp(-d / (2 * width**2)) for d in (dx, dy))
    return (ink_y[..., :, None] * ink_x[..., None, :]).amax(dim=1)


def alphabet(
    count: int,
    drawings: int = 20,
    size: int = 28,
    *,
    hand: float = 1.0,
    straight: bool = False,
    seed: int = 0,
) -> Tensor:
    """Invent `count` characters and return pictures of them by many hands.

    Parameters
    ----------
    count, drawings : int
        Number C of characters, and N of drawings of each.
    size : int
        Pixels of a side.
    hand : float
        How much the hands differ, see `write_by_hand`.
    straight : bool
        Draw straight lines, see `characters`.
    seed : int

    Returns
    -------
    Tensor, (C, N, size, size)
        Ink is 1, paper 0.
    """
    generator = torch.Generator().manual_seed(seed)
    control = characters(count, generator, straight=straight)
    return render(write_by_hand(control, drawings, hand, generator), size)
