"""One block of a CUDA kernel, request by request, as the emulator saw it.

Chapter   chapters/15_kernels.ipynb
Module    block_stepper.js and the modules it imports
Tests     tests/test_block_stepper.py, tests/test_block_stepper_browser.py
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from srwm_lite.widgets.block_film import (
    BlockFilm,
    block_film,
    pack,
    shared_shapes,
)
from srwm_lite.widgets.house import INK, MUTED, HouseWidget, blank, module, style

MOST = 20_000  # accesses in a film
READ, WRITE = "#1f6fa8", "#cc5a12"


class BlockStepper(HouseWidget):
    """Run a kernel in the emulator, and step through what one of its blocks did.

    The kernel really runs: its results stand in `args` afterwards.

    Parameters
    ----------
    kernel : Kernel
        Of `srwm_lite.kernels.cpu.emulate`.
    grid, block, args : sequence
        What the kernel is called with.
    order : str
        Which thread goes first, as in a call.
    number : int
        The block to show.
    array : str, optional
        The argument whose cells are shown first.
    step : int
        The request to stand at.

    Raises
    ------
    ValueError
        If the film is too long, or has no such block, array or step.
    """

    _esm = module("block_stepper")
    _css = style("house", "transport", "block_stepper")

    film = traitlets.Dict().tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    array = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        kernel: Any,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        *,
        order: str = "forward",
        number: int = 0,
        array: str | None = None,
        step: int = 0,
    ) -> None:
        report = kernel.check(grid, block, args, order=order, events=MOST)
        if len(report.events) >= MOST:
            raise ValueError(
                f"a film holds fewer than {MOST} accesses: take fewer steps, threads "
                "or blocks"
            )
        source = kernel.module.source
        names = kernel.module.parameters[kernel.name]
        shapes = {n: getattr(a, "shape", ()) for n, a in zip(names, args, strict=True)}
        constants = dict(d[2:].split("=") for d in kernel.module.defines)
        whole = {n: int(x) for n, x in constants.items() if x.isdigit()}
        shapes |= shared_shapes(source, whole)
        threads = math.prod(block)
        self._film = block_film(report, source, kernel.name, threads, shapes, number)
        super().__init__(
            film=pack(self._film),
            title=f"One block of the kernel {kernel.name}",
            step=self._checked(step),
            array=self._chosen(array),
        )

    def _checked(self, step: int) -> int:
        last = len(self._film.requests) - 1
        if not 0 <= step <= last:
            raise ValueError(f"step must be from 0 to {last}: got {step}")
        return step

    def _chosen(self, array: str | None) -> str:
        names = [a["name"] for a in self._film.arrays if a["space"] == "global"]
        if array is not None and array not in names:
            raise ValueError(f"array must be one of {', '.join(names)}: got {array!r}")
        return array or next(iter(names), "")

    def words(self) -> str:
        """Say what the block does, and its first race."""
        return self._film.words()

    def picture(self) -> Figure:
        """Draw the time line: which array is read and written when; barriers."""
        arrays = [a["name"] for a in self._film.arrays]
        figure = blank(7.2, 0.6 + 0.26 * len(arrays))
        draw_times(figure.subplots(), self._film, arrays)
        return figure


def draw_times(ax: Axes, film: BlockFilm, arrays: Sequence[str]) -> None:
    """Draw a row for each array, a mark for each request, a line for a barrier."""
    for access, mark, colour in (("read", "|", READ), ("write", "s", WRITE)):
        at = points(film, arrays, access)
        ax.plot(*at, mark, color=colour, markersize=4, linestyle="", label=access)
    when = [r.interval for r in film.requests]
    for n in range(1, len(when)):
        if when[n] != when[n - 1]:
            ax.axvline(n - 0.5, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    racing = {(r.interval, r.array) for r in film.races}
    at = points(film, arrays, "", racing)
    if at.size:
        ax.plot(*at, "x", color=INK, markersize=6, linestyle="", label="race")
    ax.set_yticks(range(len(arrays)), arrays, fontsize=8, color=INK)
    ax.set_ylim(len(arrays) - 0.5, -0.5)
    ax.set_xlabel("request; dashed: barrier", fontsize=8, color=MUTED)
    ax.tick_params(labelsize=8, colors=MUTED)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def points(
    film: BlockFilm, arrays: Sequence[str], access: str, among: Any = None
) -> NDArray[np.int64]:
    """Return where the requests of one kind stand, (2, n)."""
    found = [
        (n, arrays.index(r.array))
        for n, r in enumerate(film.requests)
        if access in ("", r.access)
        and (among is None or (r.interval, r.array) in among)
    ]
    return np.array(found, np.int64).reshape(-1, 2).T
