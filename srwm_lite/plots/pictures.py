"""Draw pictures in rows, each under its name, and say in words what they are.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_plots.py
"""

import math
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from srwm_lite.plots.look import WIDTH, axes, style
from srwm_lite.plots.words import count, number

EMPTY = "pictures must have shape (n, h, w), none of them 0: got {}"


def pictures(images: object, titles: Sequence[str], *, columns: int = 6) -> Figure:
    """Draw pictures in which ink is 1 and paper 0, `columns` in a row.

    Parameters
    ----------
    images : array-like, (n, h, w)
    titles : sequence of str, (n,)
    columns : int
    """
    x = _checked(images, titles)
    columns = min(columns, len(x))
    rows, size = math.ceil(len(x) / columns), min(1.1, WIDTH / columns)
    with style():
        figure, grid = axes(rows, columns, rows * (size + 0.25))
        for ax in grid.flat:
            ax.set_axis_off()
        for ax, picture, title in zip(grid.flat, x, titles, strict=False):
            ax.set_axis_on()
            ax.imshow(picture.numpy(), cmap="Greys", vmin=0, vmax=1)
            ax.set(title=title, xticks=[], yticks=[])
            ax.grid(False)
            ax.spines[:].set_visible(True)
    return figure


def describe_pictures(images: object, titles: Sequence[str]) -> str:
    """Name the pictures in their order, with the share of each that is ink."""
    x = _checked(images, titles)
    inked = (100 * x.mean(dim=(1, 2))).round()
    each = [f"{t} ({number(i)} % ink)" for t, i in zip(titles, inked, strict=True)]
    n, h, w = x.shape
    return f"{count(n, 'picture')} of {h} by {w} pixels: {', '.join(each)}."


def _checked(images: object, titles: Sequence[str]) -> torch.Tensor:
    x = torch.as_tensor(images).detach().cpu().double()
    if x.dim() != 3 or not x.numel():
        raise ValueError(EMPTY.format(tuple(x.shape)))
    if len(titles) != len(x):
        raise ValueError(f"got {len(x)} pictures, {len(titles)} titles: one for each")
    return x
