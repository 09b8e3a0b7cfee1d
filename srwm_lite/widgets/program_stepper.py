"""A program runs through a fast weight programmer: source, write, matrix, answer.

Chapter   chapters/08_programs_and_lists.ipynb
Module    program_stepper.js and the modules it imports
Tests     tests/test_program_stepper.py, tests/test_program_stepper_browser.py

Shapes    T tokens, P prints, V value size, K key size; W (T + 1, V, K).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from srwm_lite.arguments import check_flag
from srwm_lite.programs import CodeExecution
from srwm_lite.trace import Film
from srwm_lite.widgets.house import (
    INK,
    MUTED,
    HouseWidget,
    blank,
    draw_matrix,
    module,
    style,
)
from srwm_lite.widgets.program_film import Matrix, Run, most, runs
from srwm_lite.widgets.program_pack import pack
from srwm_lite.widgets.program_script import Script, script

SHOWN = 18  # lines in the printed form


class ProgramStepper(HouseWidget):
    """Run a model over a program, and step through it token by token.

    Python itself executes the program and says what is right. The model runs as it is
    and with its switches thrown, and its fast weights are recorded.

    Parameters
    ----------
    model : Module
        A `srwm_lite.models.SequenceModel` of layers with fast weights, such as
        `DeltaNet` or `RecurrentDeltaNet`, that answers `task`.
    program : str or Tensor of integers, (T,)
        As in ``"x = 5 ; x ++ ; print x ;"``, or one program of ``task.sample``.
    task : CodeExecution
        Whose words and answers the program uses.
    layer, head : int
        The block and the head whose matrix is shown first.
    matrix : str, optional
        Its name, where a layer has several: "W" or "R" in a `DeltaRNN`.
    writes_off, recurrence_off : bool
        Whether the switch is thrown when the reader arrives.
    step : int, optional
        The number of tokens read, 0 to T; T if omitted.

    Raises
    ------
    ValueError
        If the program is none, the model has no such matrix, or its films are too many.
    """

    _esm = module("program_stepper")
    _css = style(
        "house", "transport", "program_source", "program_memory", "program_stepper"
    )

    data = traitlets.Bytes(b"").tag(sync=True)
    story = traitlets.Dict().tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    matrix = traitlets.Unicode("W").tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    writes_off = traitlets.Bool(False).tag(sync=True)
    recurrence_off = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        model: nn.Module,
        program: str | Tensor,
        *,
        task: CodeExecution,
        layer: int = 0,
        head: int = 0,
        matrix: str = "W",
        writes_off: bool = False,
        recurrence_off: bool = False,
        step: int | None = None,
    ) -> None:
        check_flag(writes_off=writes_off, recurrence_off=recurrence_off)
        self._script = script(task, program)
        self._runs = runs(model, self._script, task.num_out)
        self._words = task.answers.words
        T = len(self._script.x)
        if step is not None and not 0 <= step <= T:
            raise ValueError(f"step must be from 0 to T = {T}: got {step}")
        self._check_switches(writes_off=writes_off, recurrence_off=recurrence_off)
        self._shown(layer, matrix, head)
        data, story = pack(self._script, self._words, self._runs, layer)
        super().__init__(
            data=data,
            story=story,
            title=f"A program of {len(self._script.lines)} lines, token by token",
            step=T if step is None else step,
            layer=layer,
            matrix=matrix,
            head=head,
            writes_off=writes_off,
            recurrence_off=recurrence_off,
        )

    def _check_switches(self, **thrown: bool) -> None:
        there = {f"{switch}_off" for one in self._runs for switch in one.off}
        for name in [n for n, on in thrown.items() if on and n not in there]:
            raise ValueError(f"{name}: no layer of the model has this switch; leave it")

    def _shown(self, layer: int, letter: str, head: int) -> Matrix:
        """Return the matrix of the model as trained that is shown."""
        there = self._runs[0].matrices
        for one in there:
            if (one.layer, one.letter, one.head) == (layer, letter, head):
                return one
        listed = "; ".join(one.title for one in there)
        raise ValueError(
            f"no matrix with layer={layer}, matrix={letter!r}, head={head}, counted "
            f"from 0: there are {listed}"
        )

    def words(self) -> str:
        """Say what is printed, how often the model is right, and where it writes."""
        script, one = self._script, self._shown(self.layer, self.matrix, self.head)
        V, K = one.film.W.shape[1:]
        size = one.film.changes.flatten(1).norm(dim=-1).numpy()
        at = int(np.round(size, 3).argmax())
        line = script.line_of(at)
        return (
            f"A program of {len(script.lines)} lines and {len(script.x)} tokens. "
            f"Right answers at its {len(script.prints)} prints: "
            f"{', '.join(map(score, self._runs))}. "
            f"{one.title[0].upper()}{one.title[1:]}: {V} rows and {K} columns, "
            f"largest change at token {at + 1}, line {line + 1}: "
            f"{script.lines[line].source}."
        )

    def picture(self) -> Figure:
        """Draw the program with all answers, the matrix, and how much is written."""
        one = self._shown(self.layer, self.matrix, self.head)
        figure = blank(7.2, max(2.6, 0.5 + 0.19 * min(len(self._script.lines), SHOWN)))
        grid = figure.add_gridspec(2, 2, width_ratios=[1.7, 1], height_ratios=[4, 1])
        W, changes = (figure.add_subplot(grid[n, 1]) for n in (0, 1))
        draw_matrix(W, one.film.W[self.step].numpy(), most([one.film.W]), one.title)
        draw_changes(changes, one.film, [p.token for p in self._script.prints])
        due = {p.line: self._words[p.due] for p in self._script.prints}
        columns = [{-1: "prints"} | due]
        columns += [answers(self._script, run, self._words) for run in self._runs[:3]]
        draw_source(figure.add_subplot(grid[:, 0]), self._script, columns)
        return figure


def score(one: Run) -> str:
    """Say how many answers of a run are right."""
    return f"{sum(one.right)} {'with ' if one.off else ''}{one.title}"


def answers(script: Script, one: Run, words: Sequence[str]) -> dict[int, str]:
    """Return what stands in each line with a print: the answer, and a mark."""
    said = [words[int(n)] for n in one.chances.argmax(dim=-1)]
    marks = ["✓" if right else "✗" for right in one.right]
    told = (f"{word} {mark}" for word, mark in zip(said, marks, strict=True))
    heads = {-1: one.title.replace(" ", "\n")}
    return heads | dict(zip((p.line for p in script.prints), told, strict=True))


def draw_source(ax: Axes, script: Script, columns: Sequence[dict[int, str]]) -> None:
    """Print the program, and the answers of each run beside its prints."""
    rows = min(len(script.lines), SHOWN)
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(rows - 0.5 + (rows < len(script.lines)), -1.5))
    text: dict[str, Any] = {"va": "center", "color": INK, "fontsize": 7.5}
    for n, line in enumerate(script.lines[:rows]):
        ax.text(0, n, f"{n + 1:>3}  {line.source}", family="monospace", **text)
    if rows < len(script.lines):
        more = f"     … {len(script.lines) - rows} more lines"
        ax.text(0, rows, more, **text | {"color": MUTED})
    for place, column in enumerate(columns):
        at = 0.48 + 0.16 * place
        for n, said in column.items():
            if n < rows:
                told = said.replace("-", "−").replace("_", "–")
                ax.text(at, n, told, ha="center", **text)


def draw_changes(ax: Axes, film: Film, prints: Sequence[int]) -> None:
    """Draw how much each token changes the matrix; triangles where a print ends."""
    size = film.changes.flatten(1).norm(dim=-1).numpy()
    ax.bar(np.arange(1, len(size) + 1), size, width=0.8, color=INK)
    under = np.full(len(prints), -0.09 * size.max(initial=0))
    ax.plot(np.add(prints, 1), under, "^", color=MUTED, markersize=3, clip_on=False)
    ax.set_title("change of the matrix, by token; ▲ print", fontsize=7.5, color=INK)
    ax.tick_params(labelsize=6.5, colors=MUTED)
    ax.set_yticks([])
    ax.spines[["top", "right", "left"]].set_visible(False)
