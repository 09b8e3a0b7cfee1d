"""One style for all figures: white cards that read on light and dark pages.

Curves differ in colour, marker and line (the palette of Okabe and Ito); matrices run
from blue over white to orange, on a scale that is the same for both signs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

WIDTH, DPI = 6.6, 144
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "ooo")
DIVERGING = LinearSegmentedColormap.from_list(
    "blue-white-orange", ["#00568a", "#4f9fd0", "#ffffff", "#ee8a4a", "#c04a00"]
)
RC: Any = {
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS)
    + cycler(marker=MARKERS)
    + cycler(linestyle=LINES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "savefig.facecolor": "white",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the book inside the ``with`` block, whatever is set."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def axes(rows: int = 1, columns: int = 1, height: float = 2.8) -> tuple[Figure, Any]:
    """Return an empty figure as wide as the text, and its array of axes."""
    with style():
        figure = Figure(figsize=(WIDTH, height))
        return figure, figure.subplots(rows, columns, squeeze=False)
