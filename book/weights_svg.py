"""Draw the picture of the README: a small matrix while the delta rule writes into it.

::

    python book/weights_svg.py       write book/_static/weights.svg
"""

from pathlib import Path

import torch
from torch import Tensor

from srwm_lite.delta_rule import delta_rule

TARGET = Path(__file__).parent / "_static" / "weights.svg"
SIZE, CELL, GAP, TOP, LEFT = 6, 15, 34, 52, 30
NOTES = ("write key 1", "write key 2", "write key 3", "write key 4", "overwrite key 2")
STYLE = """<style>
text { font: 13px system-ui, "Segoe UI", sans-serif; fill: #6b7785; }
.grid { fill: none; stroke: #9aa4b0; stroke-width: 1; }
</style>"""


def sequence() -> tuple[Tensor, Tensor]:
    """Return five keys and values; the fifth key is the second one again."""
    generator = torch.Generator().manual_seed(4)
    k = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=generator)).Q[:5]
    k[4] = k[1]
    v = torch.randn(5, SIZE, generator=generator).clamp(-1.5, 1.5)
    return k, v


def weights(k: Tensor, v: Tensor) -> list[Tensor]:
    """Return W after each write, computed by the package."""
    k, v, beta = k[None, :, None], v[None, :, None], torch.ones(1, len(k), 1)
    return [
        delta_rule(k[:, :t], k[:, :t], v[:, :t], beta[:, :t], backend="loop")[1][0, 0]
        for t in range(1, beta.numel() + 1)
    ]


def cell(x: float, y: float, value: float) -> str:
    """Return one square: orange above zero, blue below, clear at zero."""
    colour = "#d97719" if value > 0 else "#3479ba"
    opacity = min(abs(value), 1.0)
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" '
        f'fill="{colour}" fill-opacity="{opacity:.2f}"/>'
    )


def frame(x0: float, k: Tensor, v: Tensor, W: Tensor, note: str) -> str:
    """Return one step: the key above, the value at the left, the matrix between."""
    span = SIZE * CELL
    parts = [cell(x0 + CELL * j, TOP - 22, float(k[j])) for j in range(SIZE)]
    parts += [cell(x0 - 22, TOP + CELL * i, float(v[i]) / 1.5) for i in range(SIZE)]
    parts += [
        cell(x0 + CELL * j, TOP + CELL * i, float(W[i, j]))
        for i in range(SIZE)
        for j in range(SIZE)
    ]
    parts += [
        f'<rect class="grid" x="{x0}" y="{TOP - 22}" width="{span}" height="{CELL}"/>',
        f'<rect class="grid" x="{x0 - 22}" y="{TOP}" width="{CELL}" height="{span}"/>',
        f'<rect class="grid" x="{x0}" y="{TOP}" width="{span}" height="{span}"/>',
        f'<text x="{x0 + span / 2}" y="18" text-anchor="middle">{note}</text>',
    ]
    return "".join(parts)


def picture() -> str:
    """Return the whole picture."""
    k, v = sequence()
    step = SIZE * CELL + GAP
    frames = [
        frame(LEFT + t * step, k[t], v[t], W, NOTES[t])
        for t, W in enumerate(weights(k, v))
    ]
    width, height = LEFT + 5 * step - GAP + 8, TOP + SIZE * CELL + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n{STYLE}\n'
        + "\n".join(frames)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
