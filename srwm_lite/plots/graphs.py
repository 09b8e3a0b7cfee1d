"""Draw curves, bars and spectra, with their spread over seeds."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from srwm_lite.plots.data import Series, as_groups, as_matrix, as_series
from srwm_lite.plots.look import COLOURS, HATCHES, axes, style
from srwm_lite.plots.words import number


def curves(
    x: object,
    series: Series,
    xlabel: str,
    ylabel: str,
    *,
    xscale: str = "linear",
    yscale: str = "linear",
    marks: Mapping[str, float] | None = None,
    levels: Mapping[str, float] | None = None,
    height: float = 2.8,
) -> Figure:
    """Draw one curve for every series: the mean over the seeds, and a band to the ends.

    Parameters
    ----------
    x : array-like, (points,)
    series : mapping from name to array-like, (points,) or (seeds, points)
    xlabel, ylabel : str
    xscale, yscale : str
        ``"linear"`` or ``"log"``.
    marks, levels : mapping from words to a number, optional
        Vertical and horizontal lines, such as ``{"d_dot": 16}`` or ``{"chance": 0.1}``.
    height : float
        In inches.
    """
    at, lines = as_series(x, series)
    with style():
        figure, grid = axes(height=height)
        ax = grid[0, 0]
        for name, y in lines.items():
            (line,) = ax.plot(at, y.mean(dim=0), label=name, markevery=_every(len(at)))
            if len(y) > 1:
                band = line.get_color()
                ax.fill_between(at, y.amin(0), y.amax(0), color=band, alpha=0.2, lw=0)
        ax.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
        if len(at) <= 8:
            ax.set_xticks(at.tolist(), [number(point) for point in at], minor=False)
            ax.xaxis.minorticks_off()
        _guide(ax, marks or {}, levels or {})
        if len(lines) > 1:
            ax.legend()
    return figure


def _every(points: int) -> int:
    return max(1, points // 12)


def _guide(ax: Axes, marks: Mapping[str, float], levels: Mapping[str, float]) -> None:
    """Draw thin lines with words at them."""
    grey: dict[str, Any] = {
        "color": "#555555",
        "linewidth": 1,
        "linestyle": (0, (4, 3)),
        "marker": "",
    }
    along, up = ax.get_yaxis_transform(), ax.get_xaxis_transform()
    text: dict[str, Any] = {"color": "#333333", "fontsize": 8}
    for words, x in marks.items():
        ax.axvline(x, **grey)
        ax.text(x, 1.01, words, transform=up, ha="center", va="bottom", **text)
    for words, y in levels.items():
        ax.axhline(y, **grey)
        ax.text(1.01, y, words, transform=along, ha="left", va="center", **text)


def bars(
    groups: Series,
    ylabel: str,
    *,
    levels: Mapping[str, float] | None = None,
    height: float = 2.6,
) -> Figure:
    """Draw one bar for every group: its mean, and a dot for each seed.

    Parameters
    ----------
    groups : mapping from name to array-like, () or (seeds,)
    ylabel : str
    levels : mapping from words to a number, optional
        Horizontal lines, such as ``{"ceiling": 0.5}``.
    height : float
        In inches.
    """
    values = as_groups(groups)
    with style():
        figure, grid = axes(height=height)
        ax = grid[0, 0]
        ax.grid(False, axis="x")
        for i, y in enumerate(values.values()):
            _bar(ax, i, y)
        ax.set_xticks(range(len(values)), list(values))
        ax.set_xlim(-0.6, len(values) - 0.4)
        ax.set_ylabel(ylabel)
        _guide(ax, {}, levels or {})
        ax.margins(y=0.15)
    return figure


def _bar(ax: Axes, i: int, y: Tensor) -> None:
    mean, colour, hatch = float(y.mean()), COLOURS[i % 7], HATCHES[i % 7]
    ax.bar(i, mean, 0.6, fc="white", ec=colour, hatch=hatch, lw=1.6, zorder=2)
    if len(y) > 1:
        across = torch.linspace(-0.15, 0.15, len(y)) + i
        ax.plot(across, y, "o", ms=4, color="black", zorder=3)
    top = (i, max(mean, float(y.max())))
    ax.annotate(number(mean), top, (0, 4), textcoords="offset points", ha="center")


def spectrum(values: object, *, height: float = 2.6) -> Figure:
    """Draw singular values over time, (T + 1, n): the first the strongest colour."""
    S = as_matrix(values)
    T, n = S.shape
    with style():
        figure, grid = axes(height=height)
        ax = grid[0, 0]
        for i in range(n):
            colour = mpl.colormaps["cividis"](0.85 * i / n)
            ax.plot(range(T), S[:, i], color=colour, markevery=_every(T))
        ax.set(xlabel="step", ylabel="singular values")
    return figure
