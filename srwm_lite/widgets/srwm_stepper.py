"""A self-referential matrix that reads, rewrites itself, and may be frozen in parts.

Chapter   chapters/11_srwm.ipynb
Module    srwm_stepper.js and the modules it imports; srwm_rules.js computes
Tests     tests/test_srwm_stepper.py, tests/test_srwm_stepper_browser.py

Shapes    T steps, K input size, V output size, C answers; W (V + 2 K + 4, K).
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from srwm_lite import trace
from srwm_lite.plots.look import COLOURS, LINES
from srwm_lite.self_reference import BLOCKS
from srwm_lite.srwm import SRWM
from srwm_lite.widgets.house import (
    INK,
    MUTED,
    HouseWidget,
    blank,
    draw_matrix,
    module,
    style,
)
from srwm_lite.widgets.srwm_film import (
    check_read_out,
    check_sizes,
    counted,
    films,
    listed,
    moved,
    named,
    numbers,
    rates_of,
)

VIEWS = ("matrix", "change", "shift")


class SRWMStepper(HouseWidget):
    """Step through a short sequence, and freeze blocks of rows.

    The browser computes the whole sequence again, in float64, whenever a block is
    frozen; a frozen block stays as it is, bit by bit.

    Parameters
    ----------
    u : array, (T, K)
        Inputs, at most 64 with at most 16 entries.
    W : array, (V + 2 K + 4, K)
        The matrix to start from, rows y | q | k | beta.
    labels : sequence of str, optional
        One per step, shown beside it.
    read_out : array, (C, V), optional
        Makes the logits of C answers from the output y.
    names : sequence of str, optional
        Of the answers; 0, 1, ... if omitted.
    frozen : collection of str
        Blocks frozen when the reader arrives: of "y", "q", "k" and "beta".
    view : {"matrix", "change", "shift"}
        What the pictures show first: the matrix after the step, its change in this
        step, or its shift from the start.
    step : int, optional
        The step to stand at, 0 (the start) to T; T if omitted.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or a name or step does not exist.
    """

    _esm = module("srwm_stepper")
    _css = style("house", "transport", "srwm_stepper")

    u: Any = traitlets.List().tag(sync=True)
    W: Any = traitlets.List().tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    read_out: Any = traitlets.List().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    frozen = traitlets.List(traitlets.Unicode()).tag(sync=True)
    view = traitlets.Unicode("matrix").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    title = traitlets.Unicode("A matrix that rewrites itself").tag(sync=True)

    def __init__(
        self,
        u: Any,
        W: Any,
        *,
        labels: Sequence[str] | None = None,
        read_out: Any = None,
        names: Sequence[str] | None = None,
        frozen: Collection[str] = (),
        view: str = "matrix",
        step: int | None = None,
    ) -> None:
        u, W = numbers("u", "T, K", u), numbers("W", "V + 2 K + 4, K", W)
        T, V = check_sizes(u, W)
        frozen = [frozen] if isinstance(frozen, str) else frozen
        films(u, W, frozen)  # names a block that does not exist
        if view not in VIEWS:
            raise ValueError(f"view must be one of {VIEWS}: got {view!r}")
        step = T if step is None else step
        if not 0 <= step <= T:
            raise ValueError(f"step must be from 0 to T = {T}: got {step}")
        answers = [] if read_out is None else check_read_out(read_out, V).tolist()
        super().__init__(
            u=u.tolist(),
            W=W.tolist(),
            labels=counted("labels", labels, T, "steps") if labels is not None else [],
            read_out=answers,
            names=named(names, len(answers)),
            frozen=[block for block in BLOCKS if block in frozen],
            view=view,
            step=step,
        )

    @classmethod
    def of(
        cls, layer: SRWM, x: Tensor, *, head: int = 0, **options: Any
    ) -> "SRWMStepper":
        """Show what one head of a layer does with its input `x` (T, D).

        The layer starts from its own `W`, frozen as its switches say; `options` are
        those of the class.
        """
        with torch.no_grad(), trace.record() as recording:
            layer(x[None])
        frozen = layer.frozen if layer.writes else BLOCKS
        options = {"frozen": frozen} | options
        return cls.recorded(recording, "srwm", head=head, **options)

    @classmethod
    def recorded(
        cls,
        recording: trace.Recording,
        layer: str,
        *,
        batch: int = 0,
        head: int = 0,
        **options: Any,
    ) -> "SRWMStepper":
        """Show one head of a recorded layer, such as "blocks.0.mix" of a model."""
        made = [
            recording.film(f"{layer}.{block}", batch=batch, head=head)
            for block in BLOCKS
        ]
        return cls(made[0].q, torch.cat([film.W[0] for film in made]), **options)

    def films(self) -> list[trace.Film]:
        """Return the films of the four blocks, with what is frozen now."""
        u, W = (torch.tensor(x, dtype=torch.float64) for x in (self.u, self.W))
        return films(u, W, self.frozen)

    def words(self) -> str:
        """Say the learning rates at the step, and how far each block has moved."""
        made, t = self.films(), self.step
        T, rows, K = len(self.u), len(self.W), len(self.W[0])
        frozen = f", frozen: {', '.join(self.frozen)}" if self.frozen else ""
        label = f" ({self.labels[t - 1]})" if t and self.labels else ""
        rates = f"Learning rates: {listed(rates_of(made)[t - 1])}. " if t else ""
        clocks = listed([moved(film)[t] for film in made])
        return (
            f"A matrix that rewrites itself: {rows} rows (y {rows - 2 * K - 4}, q {K}, "
            f"k {K}, beta 4), {K} columns, {T} steps{frozen}. "
            f"Step {t} of {T}{label}. {rates}"
            f"Moved from the start: {clocks}."
        )

    def picture(self) -> Figure:
        """Draw start, step and shift of each block, and both charts."""
        made, t = self.films(), self.step
        figure = blank(7.2, 4.2)
        halves: Any = figure.subfigures(1, 2, width_ratios=[1.7, 1])
        heights = [max(len(film.W[0]), 3) for film in made]
        grid = halves[0].subplots(4, 3, height_ratios=heights)
        for row, block, film in zip(grid, BLOCKS, made, strict=True):
            draw_block(row, f"{block} rows", film.W, t)
        for ax, title in zip(grid[0], ("start", f"step {t}", "shift"), strict=True):
            ax.set_title(title, fontsize=9, color=INK)
        top, bottom = halves[1].subplots(2, 1)
        draw_lines(top, "learning rates", rates_of(made).T, 1)
        draw_lines(bottom, "moved from the start", [moved(film) for film in made], 0)
        top.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        return figure


def draw_block(row: Any, name: str, W: Tensor, t: int) -> None:
    """Draw a block at the start, at step `t`, and how it has shifted."""
    shift = W - W[0]
    for ax, frames, at in zip(row, (W, W, shift), (0, t, t), strict=True):
        scale = float(frames.abs().max()) or 1.0
        draw_matrix(ax, frames[at].numpy(), scale)
        ax.set_aspect("auto")
    row[0].set_ylabel(name, fontsize=8, color=INK)


def draw_lines(ax: Any, title: str, lines: Iterable[Any], first: int) -> None:
    """Draw a line for each block from step `first` on."""
    for block, line, look, colour in zip(BLOCKS, lines, LINES, COLOURS, strict=False):
        steps = range(first, first + len(line))
        ax.plot(steps, line, color=colour, linestyle=look, linewidth=1.4, label=block)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(title, fontsize=9, color=INK)
    ax.set_xlabel("step", fontsize=8, color=MUTED)
    ax.tick_params(labelsize=7, colors=MUTED)
    ax.spines[["top", "right"]].set_visible(False)
