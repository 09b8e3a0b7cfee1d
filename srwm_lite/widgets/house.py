"""What the widgets of the book share: one module, one style, one printed form.

Tests     tests/test_weight_player.py, tests/test_memory_bench.py
"""

import base64
import io
import re
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from srwm_lite.plots.look import DIVERGING

LOCAL_IMPORT = re.compile(r'^import [^;]* from "\./(\w+)\.js";$', re.MULTILINE)
HERE = Path(__file__).parent
PAPER, INK, MUTED = "#ffffff", "#1b2430", "#566171"


def module(entry: str) -> str:
    """Join an ES module and all it imports from here into one that stands alone."""
    parts: dict[str, str] = {}

    def visit(stem: str) -> None:
        text = (HERE / f"{stem}.js").read_text(encoding="utf-8")
        for needed in LOCAL_IMPORT.findall(text):
            if needed not in parts:
                visit(needed)
        parts[stem] = LOCAL_IMPORT.sub("", text)

    visit(entry)
    return "\n".join(parts.values())


def style(*stems: str) -> str:
    """Join style sheets."""
    return "\n".join((HERE / f"{s}.css").read_text(encoding="utf-8") for s in stems)


class HouseWidget(anywidget.AnyWidget):
    """A widget that also prints: a picture and words where no script runs."""

    def words(self) -> str:
        """Say what the widget shows; stands in the notebook and as alternative text."""
        raise NotImplementedError

    def picture(self) -> Figure:
        """Draw a telling frame on white paper."""
        raise NotImplementedError

    def png(self) -> bytes:
        """Return the printed form."""
        canvas = FigureCanvasAgg(self.picture())
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        buffer = io.BytesIO()
        image.quantize(64).save(buffer, "png", optimize=True)
        return buffer.getvalue()

    def __repr__(self) -> str:
        return self.words()

    def _repr_mimebundle_(
        self, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/plain"] = self.words()
            bundle[0]["image/png"] = base64.b64encode(self.png()).decode("ascii")
        return bundle


def blank(width: float, height: float) -> Figure:
    """Return an empty figure on white paper, in inches, that no backend shows."""
    return Figure((width, height), dpi=110, facecolor=PAPER, layout="constrained")


def draw_matrix(ax: Axes, W: NDArray[Any], scale: float, title: str = "") -> None:
    """Draw a matrix in the colours of the widgets."""
    ax.imshow(W, cmap=DIVERGING, vmin=-scale, vmax=scale, interpolation="nearest")
    ax.set_title(title, fontsize=9, color=INK)
    ax.set_xticks([])
    ax.set_yticks([])
    rows, cols = W.shape
    if max(rows, cols) <= 16:  # tiles, as on the screen
        ax.set_xticks(np.arange(cols - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
        ax.grid(which="minor", color="#e3e7ec", linewidth=0.8)
        ax.tick_params(which="minor", length=0)
    for spine in ax.spines.values():
        spine.set_color("#d5dbe3")


def print_numbers(ax: Axes, W: NDArray[Any], scale: float, size: float = 8) -> None:
    """Print the entries of a small matrix into its cells."""
    text: dict[str, Any] = {"ha": "center", "va": "center", "size": size}
    for (i, j), x in np.ndenumerate(W):
        said = f"{x:.2g}".replace("-", "−") if abs(x) >= 0.005 else "0"
        ax.text(j, i, said, color=PAPER if abs(x) > 0.7 * scale else INK, **text)
