"""Show what a cell gave when the book was made, where it cannot run.

Chapter   chapters/15_kernels.ipynb
Tests     tests/test_stored.py

A cell that begins with ``# needs g++`` or ``# needs nvrtc`` runs where there is such a
compiler. Elsewhere its stored outputs are shown in its place.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srwm_lite.kernels.cpu.build import gcc
from srwm_lite.kernels.nvrtc import library

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
NEEDS: dict[str, Callable[[], Any]] = {"# needs g++": gcc, "# needs nvrtc": library}


def stored_where_missing(chapter: str) -> None:
    """Replace the cells of `chapter` that need a compiler which is not here.

    Parameters
    ----------
    chapter : str
        The name of the notebook, without ``.ipynb``.
    """
    from IPython.core.getipython import get_ipython

    missing = {mark: problem for mark in NEEDS if (problem := _problem(mark))}
    for mark, problem in missing.items():
        print(f"Cells that begin with {mark!r} show stored outputs here: {problem}")
    shell = get_ipython()
    if shell is not None and missing:
        shell.input_transformers_cleanup.append(
            lambda lines: replaced(lines, chapter, missing)
        )


def replaced(lines: list[str], chapter: str, missing: dict[str, str]) -> list[str]:
    """Return the lines of a cell, or one that shows what it gave."""
    mark = lines[0].strip() if lines else ""
    if mark not in missing:
        return lines
    text = "".join(lines).strip()
    call = f"from srwm_lite.plots import stored\nstored.show({chapter!r}, {text!r})\n"
    return call.splitlines(keepends=True)


def show(chapter: str, source: str) -> None:
    """Display the outputs that the cell with this text has in the notebook's file."""
    from IPython.display import display

    found = outputs(chapter, source)
    if found is None:
        print("This cell has been changed, or never run: there is no stored output.")
    for out in found or ():
        if "text" in out:
            print("".join(out["text"]), end="")
        else:
            data = {kind: "".join(text) for kind, text in out["data"].items()}
            display(data, raw=True, metadata=out["metadata"])


def outputs(chapter: str, source: str) -> list[dict[str, Any]] | None:
    """Return the stored outputs of the cell with this text, or None."""
    path = CHAPTERS / f"{chapter}.ipynb"
    if not path.exists():
        return None
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    same = [c for c in cells if "".join(c["source"]).strip() == source]
    return same[0].get("outputs") if same else None


def _problem(mark: str) -> str:
    try:
        NEEDS[mark]()
    except RuntimeError as problem:
        return str(problem)
    return ""
