"""Show a figure with its words, and keep numbers for the text."""

import base64
import io
import math
import re
import sys
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from srwm_lite.plots.look import DPI, style


def show(figure: Figure, alt: str) -> None:
    """Display `figure` with the words `alt`, and close it.

    The words are what a screen reader says, what a terminal prints, and what the tests
    of the chapters compare. Outside IPython nothing is displayed.

    Raises
    ------
    ValueError
        If `alt` is empty or no sentence, such as ``"<Figure size ...>"``.
    """
    alt = " ".join(alt.split())
    if not alt or alt.startswith("<"):
        raise ValueError(f"alt must say what the figure shows: got {alt!r}")
    _display({"image/png": _png(figure), "text/plain": alt}, {})
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)


def _png(figure: Figure) -> str:
    """Return the picture in base64, with a palette: a third of the bytes."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    with style():
        figure.savefig(drawn, format="png", dpi=DPI)
    palette = Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    palette.save(packed, format="png", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def glue(name: str, value: Any) -> None:
    """Keep a number for the text: ``{glue:text}`name``` or ``{glue:text}`name:.2f```.

    Parameters
    ----------
    name : str
        Must be the only one of its kind in the book.
    value : int, float, str, or an array or tensor of one number

    Raises
    ------
    ValueError
        If `value` is more than one number.
    """
    if hasattr(value, "item"):
        if math.prod(value.shape) != 1:
            raise ValueError(f"glue keeps one number: got shape {tuple(value.shape)}")
        value = value.item()
    prefix = "application/papermill.record/"
    book = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    _display({f"{prefix}text/plain": repr(value)}, book)


def glue_all(prefix: str, **values: Any) -> None:
    """Keep several numbers: ``glue_all("lm", no_writes=2)`` keeps ``lm-no-writes``.

    All that is no letter or digit becomes a hyphen, so labels of a figure may be names.
    """
    for name, value in values.items():
        glue("-".join(re.findall(r"[^\W_]+", f"{prefix} {name}")), value)


def _display(data: dict[str, str], metadata: dict[str, Any]) -> None:
    """Display a bundle in IPython, if it is running."""
    if "IPython" not in sys.modules:
        return
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    if get_ipython() is not None:
        display(data, raw=True, metadata=metadata)
