"""Draw who feeds whom: small diagrams of slow nets, fast matrices and what they hear.

Chapter   chapters/07_recurrent_fwp.ipynb
Tests     tests/test_wiring.py
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from srwm_lite.plots.look import COLOURS, axes, style
from srwm_lite.plots.words import count, listing

Place = tuple[float, float]
KINDS: dict[str, dict[str, Any]] = {
    "passes": {"color": "#222222", "linestyle": "-", "linewidth": 1.2},
    "makes": {"color": COLOURS[0], "linestyle": "-", "linewidth": 1.8},
    "hears": {"color": COLOURS[1], "linestyle": "--", "linewidth": 1.8},
}
ALL, WRITE = "q k v β", "k v β"


@dataclass(frozen=True)
class Edge:
    """An arrow from one part to another.

    Attributes
    ----------
    start, end : str
        Names of parts.
    kind : str
        ``"passes"``: a vector goes on; ``"makes"``: what is read or written there is
        made here; ``"hears"``: the same, one step later.
    what : str
        What is made or heard, in letters with spaces between.
    bend, shift : float
        How far the arrow is bent, and how far right of its middle the letters stand.
    """

    start: str
    end: str
    kind: str = "passes"
    what: str = ""
    bend: float = 0.0
    shift: float = 0.14

    def words(self) -> str:
        """Say the arrow in words."""
        if self.kind == "passes":
            return f"{self.start} goes to {self.end}"
        what = listing(self.what.replace("β", "beta").split())
        if self.kind == "makes":
            return f"{self.start} makes {what} of {self.end}"
        return f"{self.end} hears the last {self.start} in {what}"


@dataclass(frozen=True)
class Wiring:
    """The parts of one model, with their places from 0 to 1, and its arrows."""

    parts: Mapping[str, Place]
    edges: tuple[Edge, ...]


BOTTOM = {"x": (0.5, 0.06), "slow": (0.5, 0.3)}
INPUT = Edge("x", "slow")
ONE = {**BOTTOM, "W": (0.5, 0.64), "y": (0.5, 0.94)}
PAIR = {**BOTTOM, "W": (0.26, 0.64), "R": (0.74, 0.64), "y": (0.5, 0.94)}
SIX = {**BOTTOM, "3 W": (0.2, 0.6), "3 R": (0.8, 0.6), "c": (0.5, 0.74), "y": (0.5, 1)}
TWO = {**BOTTOM, "W1": (0.5, 0.55), "W2": (0.5, 0.79), "y": (0.5, 1)}
NET = {**BOTTOM, "S": (0.5, 0.55), "W": (0.5, 0.79), "y": (0.5, 1)}
PLAIN = (INPUT, Edge("slow", "W", "makes", ALL, shift=-0.14), Edge("W", "y"))
MODELS = {
    "DeltaNet": Wiring(ONE, PLAIN),
    "Delta RNN": Wiring(
        PAIR,
        (
            INPUT,
            Edge("slow", "W", "makes", ALL, shift=-0.14),
            Edge("slow", "R", "makes", WRITE, shift=0.13),
            Edge("W", "y"),
            Edge("R", "y"),
            Edge("y", "R", "hears", "q", -0.5, shift=0.06),
        ),
    ),
    "Recurrent Delta Net": Wiring(
        ONE, (*PLAIN, Edge("y", "slow", "hears", ALL, -0.9, shift=0.14))
    ),
    "Delta LSTM": Wiring(
        SIX,
        (
            INPUT,
            Edge("slow", "3 W", "makes", ALL, shift=-0.14),
            Edge("slow", "3 R", "makes", WRITE, shift=0.13),
            Edge("3 W", "c"),
            Edge("3 R", "c"),
            Edge("c", "y"),
            Edge("y", "3 R", "hears", "q", -0.4, shift=0.06),
        ),
    ),
    "Delta MLP": Wiring(
        TWO,
        (
            INPUT,
            Edge("slow", "W1", "makes", ALL, shift=-0.14),
            Edge("slow", "W2", "makes", WRITE, 0.6),
            Edge("W1", "W2", "makes", "q", shift=-0.05),
            Edge("W2", "y"),
        ),
    ),
    "Delta Delta Net": Wiring(
        NET,
        (
            INPUT,
            Edge("slow", "S", "makes", ALL),
            Edge("S", "W", "makes", ALL),
            Edge("W", "y"),
        ),
    ),
}


def diagrams(models: Mapping[str, Wiring] = MODELS) -> Figure:
    """Draw the models side by side, three in a row.

    Parameters
    ----------
    models : mapping from name to Wiring
        The models of the chapter on recurrence if omitted.
    """
    lines = -(-len(models) // 3)
    with style():
        figure, grid = axes(lines, 3, height=2.6 * lines)
        for ax in grid.flat:
            ax.axis("off")
        for ax, (name, model) in zip(grid.flat, models.items(), strict=False):
            ax.set(xlim=(0, 1), ylim=(0, 1.06), title=name)
            for edge in model.edges:
                _arrow(ax, model.parts, edge)
            for part, place in model.parts.items():
                _box(ax, part, place)
    return figure


def _box(ax: Axes, part: str, place: Place) -> None:
    vector = part in ("x", "y", "c")
    edge = "none" if vector else "#222222"
    box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": edge}
    ax.text(*place, part, ha="center", va="center", fontsize=10, bbox=box, zorder=3)


def _arrow(ax: Axes, parts: Mapping[str, Place], edge: Edge) -> None:
    start, end = parts[edge.start], parts[edge.end]
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=10,
            shrinkA=11,
            shrinkB=11,
            connectionstyle=f"arc3,rad={edge.bend}",
            **KINDS[edge.kind],
        )
    )
    if edge.what:
        x, y = _middle(start, end, edge.bend)
        colour = KINDS[edge.kind]["color"]
        letters = ax.text(x + edge.shift, y, edge.what, color=colour, fontsize=8)
        letters.set(ha="center", va="center")


def _middle(start: Place, end: Place, bend: float) -> Place:
    """Return the middle of a bent arrow, which is a curve of degree two."""
    (a, b), (c, d) = start, end
    return (a + c + bend * (d - b)) / 2, (b + d - bend * (c - a)) / 2


def describe(models: Mapping[str, Wiring] = MODELS) -> str:
    """Say the diagrams in words, arrow by arrow."""
    each = [
        f"{name}: {'; '.join(edge.words() for edge in model.edges)}."
        for name, model in models.items()
    ]
    return " ".join([f"{count(len(models), 'diagram')}.", *each])
