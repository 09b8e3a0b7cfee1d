"""Teach a self-referential weight matrix in the page: five drawings, and a query.

Chapter   chapters/12_few_shot.ipynb
Module    teach.js and the modules it imports; few_shot_net.js computes
Tests     tests/test_teach.py, tests/test_teach_browser.py

Shapes    H heads, R = 3 K + 4 rows, K head size.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from srwm_lite.arguments import check_flag, check_whole
from srwm_lite.few_shot import FewShotNet
from srwm_lite.few_shot_weights import load_weights
from srwm_lite.self_reference import block_sizes
from srwm_lite.widgets.house import (
    INK,
    MUTED,
    HouseWidget,
    blank,
    draw_matrix,
    module,
    style,
)
from srwm_lite.widgets.teach_lesson import (
    SIZE,
    WAYS,
    drawn_lesson,
    learn,
    picture,
)

WEIGHTS = Path(__file__).with_name("teach.safetensors")
LABEL_COLOURS = ("#1f6fb8", "#c95208", "#08815e", "#b0487f", "#8a6a00")  # teach.css


class TeachMe(HouseWidget):
    """Let the reader teach a trained matrix five characters, and ask for one.

    The net is computed in the page. Nothing that is drawn leaves it, and nothing is
    kept: the matrix starts anew for every lesson.

    Parameters
    ----------
    weights : str or Path, optional
        A file of `srwm_lite.few_shot_weights.save_weights`, of a net of 5 ways; the
        one that comes with the package if omitted.
    names : sequence of str, optional
        The labels to begin with; 1 to 5 if omitted.
    drawn : bool
        Whether characters and a query already stand there when the reader arrives.
    seed : int
        Which characters these are, and which the page invents.
    layer : int
        The layer whose matrix is shown first.
    writes_off : bool
        Whether the switch is thrown when the reader arrives.
    step : int, optional
        0 (nothing is read) to 6 (the query is read, too); 6 if omitted.

    Raises
    ------
    ValueError
        If the file holds no such net, or an argument is out of its range.
    """

    _esm = module("teach")
    _css = style("house", "transport", "teach")

    weights = traitlets.Bytes(b"").tag(sync=True)
    strokes: Any = traitlets.List().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    meant = traitlets.Int(-1).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    title = traitlets.Unicode("Teach it in the page").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    writes_off = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        names: Sequence[str] | None = None,
        drawn: bool = True,
        seed: int = 44,
        layer: int = 0,
        writes_off: bool = False,
        step: int | None = None,
    ) -> None:
        check_flag(drawn=drawn, writes_off=writes_off)
        check_whole(0, seed=seed, layer=layer)
        path = WEIGHTS if weights is None else Path(weights)
        self._net, self.made = load_weights(path)
        check_net(self._net, path, layer)
        names = [str(n + 1) for n in range(WAYS)] if names is None else list(names)
        if len(set(names)) != WAYS or "" in names:
            raise ValueError(f"names must be {WAYS} different words: got {names}")
        if step is not None and not 0 <= step <= WAYS + 1:
            raise ValueError(f"step must be from 0 to {WAYS + 1}: got {step}")
        strokes, meant = drawn_lesson(seed) if drawn else ([[]] * (WAYS + 1), -1)
        super().__init__(
            weights=path.read_bytes(),
            strokes=strokes,
            names=names,
            meant=meant,
            seed=seed,
            step=WAYS + 1 if step is None else step,
            layer=layer,
            writes_off=writes_off,
        )
        self._pictures = torch.stack([picture(one) for one in strokes])
        self._lesson = learn(self._net, self._pictures) if drawn else None

    def words(self) -> str:
        """Say what is taught, and what the matrix answers with and without writes."""
        first = (
            "Draw five characters, label them, and draw one of them again: a trained "
            "self-referential weight matrix reads them and names the last. "
        )
        if self._lesson is None:
            return first + "All sheets are empty."
        with_writes, without = self._lesson.chances[-1], self._lesson.chances[0]
        n = int(with_writes.argmax())
        return first + (
            f"Here it has read five characters and says of the query, which is "
            f"{self.names[self.meant]}: {self.names[n]}, {share(with_writes[n])}; with "
            f"writes off, {self.names[n]} gets {share(without[n])}."
        )

    def picture(self) -> Figure:
        """Draw the pictures, how far the matrix has moved, and the answer."""
        figure = blank(7.2, 4.4)
        halves: Any = figure.subfigures(2, 1, height_ratios=[1, 2.4])
        top, bottom = halves
        titles = [*self.names, "What is it?"]
        for n, ax in enumerate(top.subplots(1, WAYS + 1)):
            colour = LABEL_COLOURS[n] if n < WAYS else INK
            draw_seen(ax, self._pictures[n], titles[n], colour)
        left, right = bottom.subfigures(1, 2, width_ratios=[1.6, 1])
        lesson = self._lesson or learn(self._net, None)
        draw_heads(left, lesson.shifts[-1][self.layer])
        draw_chances(right.subplots(), lesson.chances, self.names)
        return figure


def check_net(net: FewShotNet, path: Path, layer: int) -> None:
    """Raise ``ValueError`` unless the page has room for the net."""
    if net.ways != WAYS:
        raise ValueError(
            f"the page teaches {WAYS} characters: the net in {path} was trained for "
            f"{net.ways}; train one with ways={WAYS}"
        )
    try:
        net.see(torch.zeros(1, 1, SIZE, SIZE))
    except RuntimeError:
        raise ValueError(
            f"the page draws pictures of {SIZE} by {SIZE}: the net in {path} was "
            "trained for others; train one with size=28"
        ) from None
    count = len(net.mixer.blocks)
    if layer >= count:
        raise ValueError(f"layer must be from 0 to {count - 1}: got {layer}")


def share(p: Tensor) -> str:
    """Return a chance as a percentage."""
    return f"{100 * float(p):.0f} %"


def draw_seen(ax: Axes, picture: Tensor, title: str, colour: str) -> None:
    """Draw a picture under its label."""
    ax.imshow(picture.numpy(), cmap="Greys", vmin=0, vmax=1)
    ax.set_title(title, fontsize=9, color=colour, fontweight="bold")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color(colour)


def draw_heads(figure: Any, shift: Tensor) -> None:
    """Draw how far every head has moved, (H, R, K), its four blocks apart."""
    H, sizes = len(shift), block_sizes(shift)
    scale = float(shift.abs().quantile(0.995)) or 1.0
    axes = figure.subplots(4, H, squeeze=False, gridspec_kw={"height_ratios": sizes})
    for n, row in enumerate(zip(*(h.split(sizes) for h in shift), strict=True)):
        for h, block in enumerate(row):
            title = f"head {h + 1}" if n == 0 else ""
            draw_matrix(axes[n][h], block.numpy(), scale, title)
            axes[n][h].set_aspect("auto")
        axes[n][0].set_ylabel("yqkβ"[n], fontsize=9, color=MUTED, rotation=0)


def draw_chances(ax: Axes, chances: Tensor, names: Sequence[str]) -> None:
    """Draw the answer after the last picture, and that of the start."""
    last, start = chances[-1].tolist(), chances[0].tolist()
    places = range(len(names))
    ax.barh(places, last, color=LABEL_COLOURS, height=0.62)
    ax.plot(start, places, "|", color=INK, markersize=15, markeredgewidth=1.5)
    ax.set_yticks(places, names, fontsize=9, color=INK)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"], fontsize=7.5, color=MUTED)
    n = int(chances[-1].argmax())
    title = f"says {names[n]}, {share(chances[-1][n])}\n| with writes off"
    ax.set_title(title, fontsize=9, color=INK)
    ax.spines[["top", "right"]].set_visible(False)
