"""The film of a fast weight matrix, to play, to scrub and to ask.

Chapter   chapters/03_linear_attention.ipynb, chapters/05_delta_rule.ipynb
Module    weight_player.js and the modules it imports
Tests     tests/test_weight_player.py, tests/test_widgets_browser.py

Shapes    T steps, V value size, K key size; W (T + 1, V, K) begins with the start.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure
from numpy.typing import NDArray

from srwm_lite.widgets.film import Reel, pack, reel
from srwm_lite.widgets.house import (
    INK,
    MUTED,
    HouseWidget,
    blank,
    draw_matrix,
    module,
    print_numbers,
    style,
)


class WeightPlayer(HouseWidget):
    """Play one film of fast weights, or several side by side on one clock.

    Parameters
    ----------
    *films : Film or array, (T + 1, V, K)
        What `srwm_lite.trace` records for one sequence and one head, or the bare
        matrices. All films must have the same number of steps.
    titles : sequence of str, optional
        One per film; the idea that the film names if omitted.
    labels : sequence of str, optional
        One per step, shown beside it.
    k, q : array, (T, K), optional
        Keys and queries for films given as bare matrices.
    v : array, (T, V), optional
        Values for bare matrices.
    beta : array, (T,), optional
        Write strengths for bare matrices; one if omitted.
    step : int, optional
        The step to stand at, 0 (the start) to T; T if omitted.

    Raises
    ------
    ValueError
        If there is no film, shapes or numbers of steps disagree, or a long film is
        not finite.
    """

    _esm = module("weight_player")
    _css = style("house", "transport", "weight_player")

    data = traitlets.Bytes(b"").tag(sync=True)
    films = traitlets.List(traitlets.Dict()).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        *films: Any,
        titles: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        k: Any = None,
        v: Any = None,
        q: Any = None,
        beta: Any = None,
        step: int | None = None,
    ) -> None:
        if not films:
            raise ValueError(
                "WeightPlayer needs at least one film: pass recording.film(...) "
                "of srwm_lite.trace.record, or matrices (T + 1, V, K)"
            )
        bare = {"k": k, "v": v, "q": q, "beta": beta}
        self._reels = [reel(film, labels, bare) for film in films]
        self._name(titles)
        self._check_clock(step)
        data, described = pack(self._reels)
        T = self._reels[0].T
        title = "Film of fast weights: " + ", ".join(r.title for r in self._reels)
        super().__init__(
            data=data, films=described, title=title, step=T if step is None else step
        )

    def _name(self, titles: Sequence[str] | None) -> None:
        if titles is None:
            return
        if isinstance(titles, str):
            raise TypeError(f"titles must be a list of names: use [{titles!r}]")
        if len(titles) != len(self._reels):
            raise ValueError(
                f"titles must name each film: got {len(titles)} titles, "
                f"{len(self._reels)} films"
            )
        for one, title in zip(self._reels, titles, strict=True):
            one.title = title

    def _check_clock(self, step: int | None) -> None:
        lengths = [one.T for one in self._reels]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"films side by side must have the same number of steps: "
                f"got {lengths}; cut the longer ones"
            )
        if step is not None and not 0 <= step <= lengths[0]:
            raise ValueError(f"step must be from 0 to T = {lengths[0]}: got {step}")

    def words(self) -> str:
        """Say what the films show, from their numbers."""
        T = self._reels[0].T
        return f"Film of fast weights, {T} steps. " + " ".join(
            one.words() for one in self._reels
        )

    def picture(self) -> Figure:
        """Draw each film as four frames and the line of its norm."""
        T = self._reels[0].T
        figure = blank(7.2, 1.75 * len(self._reels))
        axes = figure.subplots(len(self._reels), 5, squeeze=False)
        for row, one in zip(axes, self._reels, strict=True):
            for ax, t in zip(row, telling(T), strict=False):
                draw_matrix(ax, one.W[t], one.scale, f"t = {t}")
                if max(one.V, one.K) <= 5:
                    print_numbers(ax, one.W[t], one.scale)
            row[0].set_ylabel(one.title, fontsize=9, color=INK)
            draw_norm(row[4], one)
        return figure


def telling(T: int) -> list[int]:
    """Return four steps that tell the film: the first write to the last."""
    return [int(t) for t in np.linspace(min(1, T), T, 4).round()]


def draw_norm(ax: Any, one: Reel) -> None:
    """Draw how the norm goes over time."""
    norm: NDArray[Any] = np.where(np.isfinite(one.norm), one.norm, np.nan)
    ax.plot(norm, color=INK, linewidth=1.4)
    ax.set_title("norm", fontsize=9, color=INK)
    ax.tick_params(labelsize=7, colors=MUTED)
    ax.spines[["top", "right"]].set_visible(False)
