"""Draw matrices: one, several on the same scale, or the frames of a film."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from srwm_lite.plots.data import as_matrix
from srwm_lite.plots.look import DIVERGING, WIDTH, axes, style
from srwm_lite.trace import Film

LUMINANCE = (0.2126, 0.7152, 0.0722)


def matrix(W: object, title: str = "", *, limit: float | None = None) -> Figure:
    """Draw one matrix; rows are entries of the value, columns entries of the key.

    Parameters
    ----------
    W : array-like, (V, K)
    title : str
    limit : float, optional
        The value with the strongest colour; the largest size in `W` if omitted.
    """
    return matrices([W], [title], limit=limit)


def matrices(
    Ws: Sequence[object],
    titles: Sequence[str],
    *,
    limit: float | None = None,
    columns: int = 5,
    of: tuple[str, str] = ("value entry", "key entry"),
) -> Figure:
    """Draw matrices side by side on one scale of colours, `columns` in a row.

    Small matrices show their numbers, all others a scale. `of` says what a row and
    what a column is.
    """
    Ms = [as_matrix(W) for W in Ws]
    if not Ms or len(titles) != len(Ms):
        raise ValueError(f"got {len(Ms)} matrices, {len(titles)} titles: one for each")
    finite = torch.cat([M[M.isfinite()].abs() for M in Ms])
    limit = limit or float(finite.max() if len(finite) else 1.0) or 1.0
    columns = min(columns, len(Ms))
    width = min(WIDTH / columns, max(2.2, min(0.36 * Ms[0].shape[1], 4.2)))
    numbers = _numbers(Ms, width)
    width = width if numbers else min(width, 3.0)
    rows, tall = math.ceil(len(Ms) / columns), max(M.shape[0] / M.shape[1] for M in Ms)
    with style():
        figure, grid = axes(rows, columns, rows * (min(width * tall, 4.5) + 0.6))
        figure.set_layout_engine("compressed")
        for ax, M, title in zip(grid.flat, Ms, titles, strict=False):
            image = _draw(ax, M, limit, title, of)
            _write(ax, M, limit, numbers)
        for ax in grid.flat[len(Ms) :]:
            ax.set_axis_off()
        if not numbers:
            figure.colorbar(image, ax=grid, shrink=0.85, aspect=25, pad=0.02)
    return figure


def _draw(ax: Axes, M: Tensor, limit: float, title: str, of: tuple[str, str]) -> Any:
    V, K = M.shape
    image = ax.imshow(M.numpy(), cmap=DIVERGING, vmin=-limit, vmax=limit)
    ax.set(title=title, xlabel=of[1])
    ax.grid(False)
    ax.spines[:].set_visible(True)
    for axis, size in ((ax.xaxis, K), (ax.yaxis, V)):
        step = max(1, math.ceil(size / 8))
        axis.set_ticks(range(0, size, step), [str(i + 1) for i in range(0, size, step)])
        axis.set_tick_params(length=0)
    if ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        ax.set_ylabel(of[0])
    return image


def _numbers(Ms: Sequence[Tensor], width: float) -> str:
    """Return the format of the numbers in the cells, nothing if they do not fit."""
    if not all(M.isfinite().all() for M in Ms):
        return ""
    form = ".0f" if all((M == M.round()).all() for M in Ms) else ".2f"
    longest = max(len(f"{x:{form}}") for M in Ms for x in M.flatten().tolist())
    most = max(M.shape[1] for M in Ms)
    return form if most * (longest + 0.6) * 0.085 < width else ""


def _write(ax: Axes, M: Tensor, limit: float, numbers: str) -> None:
    for i, row in enumerate(M.tolist() if numbers else []):
        for j, x in enumerate(row):
            text = f"{x:z{numbers}}".replace("-", "\N{MINUS SIGN}")
            rgb = DIVERGING(0.5 + x / (2 * limit))[:3]
            light = sum(w * c**2.2 for w, c in zip(LUMINANCE, rgb, strict=True))
            colour = "black" if light > 0.18 else "white"
            ax.text(j, i, text, ha="center", va="center", color=colour)


def film_strip(film: Film, times: Sequence[int] | None = None) -> Figure:
    """Draw the memory at several times, 0 is before the first write.

    Five times spread over the film are taken if `times` is omitted.
    """
    T = len(film)
    times = sorted({round(i * T / 4) for i in range(5)}) if times is None else times
    wrong = [t for t in times if not 0 <= t <= T]
    if wrong or not times:
        raise ValueError(f"times must be from 0 to T = {T}: got {list(times)}")
    return matrices([film.W[t] for t in times], [f"after step {t}" for t in times])
