"""Draw stored results for the chapters, and say in words what is drawn.

Chapters  those that show stored results, see `srwm_lite.experiments`
Tests     tests/test_experiments.py
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srwm_lite.experiments.shown import AS_IT_IS, SWITCHES, Groups, groups, headline
from srwm_lite.experiments.store import Record
from srwm_lite.plots import axes, describe_bars, style
from srwm_lite.plots.look import COLOURS
from srwm_lite.plots.words import listing, number

MARKS = {
    AS_IT_IS: ("o", COLOURS[0], "as trained"),
    SWITCHES[0]: ("^", COLOURS[1], SWITCHES[0]),
    SWITCHES[1]: ("x", COLOURS[6], SWITCHES[1]),
}


def points(
    result: Record,
    setting: str,
    test: str | None = None,
    models: Sequence[str] | None = None,
    xlabel: str | None = None,
    known: Sequence[str] | None = None,
) -> Figure:
    """Draw one row for each model: its mean, a dot for each seed, and its switches.

    Full circles are the trained models; a triangle is the same model with its
    recurrence off, a cross with its writes off. `known` chooses among the numbers to
    compare with, all if omitted.
    """
    test = test or headline(result, setting)
    rows = groups(result, setting, test, models=models)
    levels = result["settings"][setting]["known"]
    with style():
        figure, grid = axes(height=0.9 + 0.28 * len(rows))
        ax = grid[0, 0]
        for switch in MARKS:
            _dots(ax, list(rows), groups(result, setting, test, switch), switch)
        for i, scores in enumerate(rows.values()):
            mean = sum(scores) / len(scores)
            ax.plot([mean, mean], [i - 0.35, i + 0.35], "-", color="black", marker="")
        _guides(ax, {n: x for n, x in levels.items() if known is None or n in known})
        ax.set_yticks(range(len(rows)), list(rows))
        ax.set_ylim(len(rows) - 0.4, -0.7)
        ax.set_xlabel(xlabel or f"{setting}: {test}")
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _dots(ax: Axes, rows: Sequence[str], found: Groups, switch: str) -> None:
    dots = [(x, i) for i, name in enumerate(rows) for x in found.get(name, [])]
    mark, colour, label = MARKS[switch]
    look: dict[str, Any] = {"color": colour, "linestyle": "", "alpha": 0.8}
    if dots:
        x, y = zip(*dots, strict=True)
        ax.plot(x, y, mark, label=label, **look)


def _guides(ax: Axes, levels: Mapping[str, float]) -> None:
    look: dict[str, Any] = {"color": "#555555", "linewidth": 1, "marker": ""}
    for i, (name, x) in enumerate(levels.items()):
        ax.axvline(x, linestyle=(0, (4, 3)), **look)
        ax.text(x, -0.75 - 0.6 * (i % 2), name, ha="center", fontsize=8)


def words(
    result: Record,
    setting: str,
    test: str | None = None,
    models: Sequence[str] | None = None,
) -> str:
    """Say in words what `points` draws, for its alternative text."""
    test = test or headline(result, setting)
    shown = describe_bars(groups(result, setting, test, models=models), test)
    parts = [f"{setting}. {shown.replace(' bars of ', ' rows of ', 1)}"]
    for switch in SWITCHES:
        off = groups(result, setting, test, switch, models)
        means = [f"{name} {number(sum(x) / len(x))}" for name, x in off.items()]
        if means:
            parts.append(f"With {switch}: {listing(means)}.")
    return " ".join(parts)
