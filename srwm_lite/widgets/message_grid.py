"""A grid of cells: messages go forward, errors come back, and the cells learn.

Chapter   chapters/14_vsml.ipynb
Module    message_grid.js and the modules it imports; message_grid_rules.js computes
Tests     tests/test_message_grid.py, tests/test_message_grid_browser.py

Shapes    n pictures, I inputs, O classes, N size of a state.
"""

from collections.abc import Sequence
from typing import Any

import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from srwm_lite.arguments import check_whole
from srwm_lite.introspection import implied_weights
from srwm_lite.plots.look import COLOURS
from srwm_lite.vsml_learner import VSML
from srwm_lite.widgets.house import (
    INK,
    MUTED,
    HouseWidget,
    blank,
    draw_matrix,
    module,
    style,
)
from srwm_lite.widgets.message_grid_run import (
    Answer,
    Pairs,
    begin,
    check_classes,
    check_labels,
    check_names,
    check_net,
    check_pictures,
    check_script,
    draw_start,
    pack,
    ready_scripts,
    run,
)


class MessageGrid(HouseWidget):
    """Show examples to a layer of `srwm_lite.vsml_learner.VSML`, and watch it learn.

    The cells are computed in the page, in float64. Nothing is learned but by messages:
    the error of an example comes back to the columns with the example after it.

    Parameters
    ----------
    net : VSML
        One layer of cells that share their weights. Its switch `writes` says whether
        errors come back when the reader arrives.
    pictures : array, (n, I)
        At most 8 with at most 25 entries; square ones are also shown as squares.
    classes : int
        The number O of classes, 2 to 8.
    labels : sequence of int, optional
        The usual label of each picture; 0, 1, 2, ... if omitted.
    names : sequence of str, optional
        Of the classes; 1, 2, 3, ... if omitted.
    script : sequence of (picture, label), optional
        At most 60 examples to play; all pictures in turn if omitted.
    seed : int
        Draws the start state.
    shown : int
        How many examples of the script are shown when the reader arrives.

    Raises
    ------
    TypeError
        If `net` is no `VSML`.
    ValueError
        If the net has more layers, or an argument is out of its range.
    """

    _esm = module("message_grid")
    _css = style("house", "transport", "message_grid")

    weights = traitlets.Bytes(b"").tag(sync=True)
    pictures: Any = traitlets.List().tag(sync=True)
    labels: Any = traitlets.List().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    scripts: Any = traitlets.List().tag(sync=True)
    shown: Any = traitlets.List().tag(sync=True)
    writes = traitlets.Bool(True).tag(sync=True)
    view = traitlets.Unicode("weight").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    title = traitlets.Unicode("Messages in a grid of cells").tag(sync=True)

    def __init__(
        self,
        net: VSML,
        pictures: Any,
        *,
        classes: int,
        labels: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        script: Sequence[tuple[int, int]] | None = None,
        seed: int = 0,
        shown: int = 1,
    ) -> None:
        net, x = check_net(net), check_pictures(pictures)
        count, O = len(x), check_classes(classes)  # noqa: E741
        usual = check_labels(labels, count, O)
        scripts = ready_scripts(usual, O)
        if script is not None:
            scripts = [["the script", check_script(script, count, O)], *scripts]
        check_whole(0, seed=seed, shown=shown)
        pairs: Pairs = scripts[0][1]
        if shown > len(pairs):
            raise ValueError(
                f"shown must be from 0 to {len(pairs)}, the length of the script: "
                f"got {shown}"
            )
        start = draw_start(net, x.shape[1], O, seed)
        super().__init__(
            weights=pack(net, start),
            pictures=x.tolist(),
            labels=usual,
            names=check_names(names, O),
            scripts=scripts,
            shown=[[*pair, net.writes] for pair in pairs[:shown]],
            writes=net.writes,
            step=shown * (net.cell.ticks + 4),
        )
        self._run(net, x, start)

    def _run(self, net: VSML, x: Tensor, start: Tensor) -> None:
        """Play the script, and play it again with errors that never come back."""
        pairs: Pairs = self.scripts[0][1]
        first, self._x = begin(start, net.cell.message_size), x
        net.writes = True
        self._answers, last = run(net, x, first, pairs)
        self._weights = implied_weights(net, last, x[pairs[-1][:1]].double())[0]
        net.writes = False
        self._deaf, _ = run(net, x, first, pairs)

    def words(self) -> str:
        """Say what the cells answer during the script, with errors and without."""
        I, O = self._weights.shape  # noqa: E741
        last = self._answers[-1]
        guess = int(last.chances.argmax())
        return (
            f"Messages in a grid of {I} x {O} cells that share one small net: "
            f"{len(self.pictures)} pictures of {I} numbers, {O} classes. "
            f"The script shows {len(self._answers)} examples; the cells answer "
            f"{right(self._answers)} right, and {right(self._deaf)} when no error "
            f"comes back. At the last, picture {last.picture + 1} told as "
            f"{self.names[last.label]}, they answer {self.names[guess]} with "
            f"{share(last.chances[guess])}."
        )

    def picture(self) -> Figure:
        """Draw the pictures, the answers along the script, and the implied weights."""
        figure = blank(7.2, 4.2)
        halves: Any = figure.subfigures(2, 1, height_ratios=[1, 2.6])
        top, bottom = halves
        scale = float(self._x.abs().max()) or 1.0
        axes = top.subplots(1, len(self._x), squeeze=False)[0]
        for n, (ax, x) in enumerate(zip(axes, self._x, strict=True)):
            title = f"{n + 1}, usually {self.names[self.labels[n]]}"
            draw_matrix(ax, as_square(x).numpy(), scale, title)
        left, right = bottom.subfigures(1, 2, width_ratios=[1, 1.8])
        ax = left.subplots()
        W = self._weights
        draw_matrix(ax, W.numpy(), float(W.abs().max()) or 1.0, "implied weights")
        ax.set_aspect("auto")
        ax.set_xticks(range(len(self.names)), self.names, fontsize=7, color=MUTED)
        ax.set_xlabel("class", fontsize=8, color=MUTED)
        ax.set_ylabel("input", fontsize=8, color=MUTED)
        draw_answers(right.subplots(), self._answers, self._deaf)
        return figure


def right(answers: Sequence[Answer]) -> int:
    """Return how many answers are right."""
    return sum(answer.right for answer in answers)


def share(p: Tensor) -> str:
    """Return a chance as a percentage."""
    return f"{100 * float(p):.0f} %"


def as_square(x: Tensor) -> Tensor:
    """Return a picture (I,) as a square, or as one row if it is none."""
    k = round(len(x) ** 0.5)
    return x.view(k, k) if k * k == len(x) else x[None]


def draw_answers(ax: Axes, answers: Sequence[Answer], deaf: Sequence[Answer]) -> None:
    """Draw the probability of the label that is told, with errors and without."""
    lines = {"errors come back": answers, "no error comes back": deaf}
    for (name, line), colour, look in zip(
        lines.items(), COLOURS, ("-", "--"), strict=False
    ):
        chances = [float(one.chances[one.label]) for one in line]
        places = range(1, len(line) + 1)
        ax.plot(places, chances, look, color=colour, linewidth=1.4, label=name)
        for n, one in enumerate(line):
            face = colour if one.right else "none"
            ax.plot(n + 1, chances[n], "o", color=colour, mfc=face, markersize=4)
    ax.set_ylim(-0.03, 1.03)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    title = "probability of the label that is told (full: right)"
    ax.set_title(title, fontsize=9, color=INK)
    ax.set_xlabel("example", fontsize=8, color=MUTED)
    ax.tick_params(labelsize=7, colors=MUTED)
    ax.legend(fontsize=7, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
