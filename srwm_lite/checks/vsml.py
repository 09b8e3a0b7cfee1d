"""Exercises on a grid of cells, each of which is a weight that learns."""

from collections.abc import Callable

import torch
from torch import Tensor

from srwm_lite.checks.exercise import Function, register

Read = Callable[[Tensor, Tensor], Tensor]


def _sum(w: Tensor, x: Tensor) -> Tensor:
    return (w * x[:, None]).sum(dim=0)


def _grid(
    write: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda w, x, e: (
        w + x[:, None] * e
    ),
    read: Read = _sum,
    *,
    late: bool = False,
) -> Function:
    """Return one step of a grid in which some part may be another than it should."""

    def run(w: Tensor, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        after = write(w, x, e)
        return after, read(after if late else w, x)

    return run


register(
    "grid_step",
    "Let cell (a, b) send w_ab x_a, add up what comes to b, then add x_a e_b to w_ab.",
    _grid(),
    {"w": "I O", "x": "I", "e": "O"},
    {"w": "I O", "out": "O"},
    [
        (
            "read after the write",
            "a cell answers with its old number: out first, then the change",
            _grid(late=True),
        ),
        (
            "mean for sum",
            "out_b is the sum of w_ab x_a over a",
            _grid(read=lambda w, x: _sum(w, x) / len(x)),
        ),
        (
            "transposed",
            "w is (I, O): cell (a, b) gets x_a e_b, so x is first in the outer product",
            _grid(lambda w, x, e: w + e[:, None] * x),
        ),
        (
            "read from the other side",
            "the sum goes over the rows a, where the inputs arrive",
            _grid(read=lambda w, x: w @ x),
        ),
        (
            "wrong sign",
            "x_a e_b is added",
            _grid(lambda w, x, e: w - x[:, None] * e),
        ),
        (
            "the old number is lost",
            "the change is added to what the cell holds: w + ...",
            _grid(lambda w, x, e: x[:, None] * e),
        ),
        (
            "outer product missing",
            "the change of a cell is x_a e_b, not e_b alone",
            _grid(lambda w, x, e: w + e),
        ),
    ],
)


def _backprop(
    *,
    squash: Callable[[Tensor], Tensor] = torch.tanh,
    heard: Callable[[Tensor], Tensor] = torch.tanh,
    slope: Callable[[Tensor], Tensor] = lambda x: 1 - x.tanh().square(),
    sign: float = 1.0,
    bias: float = 1.0,
    join: Read = _sum,
    late: bool = False,
) -> Function:
    """Return a layer that learns by backpropagation, with one thing changed."""

    def run(
        w: Tensor, b: Tensor, x: Tensor, e: Tensor, lr: Tensor
    ) -> tuple[Tensor, ...]:
        y = join(w, squash(x)) + b.sum(dim=0)
        after = w - sign * lr * heard(x)[:, None] * e
        back = ((after if late else w) * e).sum(dim=1) * slope(x)
        return after, b - bias * sign * lr * e, y, back

    return run


register(
    "backprop_cell",
    "Send w tanh(x) + b forward, e w (1 - tanh(x)^2) back, then step against e by lr.",
    _backprop(),
    {"w": "I O", "b": "I O", "x": "I", "e": "O", "lr": "positive"},
    {"w": "I O", "b": "I O", "y": "O", "back": "I"},
    [
        (
            "back with the new number",
            "the error goes back through the w that was used forward: back first",
            _backprop(late=True),
        ),
        (
            "derivative missing",
            "the input went through tanh: back is times 1 - tanh(x)^2",
            _backprop(slope=torch.ones_like),
        ),
        (
            "derivative at tanh",
            "the derivative of tanh at x is 1 - tanh(x)^2, not 1 - tanh(tanh(x))^2",
            _backprop(slope=lambda x: 1 - x.tanh().tanh().square()),
        ),
        (
            "change with the bare input",
            "the weight multiplied tanh(x), so its change has tanh(x), not x",
            _backprop(heard=lambda x: x),
        ),
        (
            "tanh missing",
            "a cell sends w tanh(x) + b",
            _backprop(squash=lambda x: x),
        ),
        (
            "tanh missing",
            "x goes through tanh, forward and in the change of w",
            _backprop(squash=lambda x: x, heard=lambda x: x),
        ),
        (
            "wrong sign",
            "a step goes against the error: w - lr e tanh(x), b - lr e",
            _backprop(sign=-1.0),
        ),
        (
            "bias not updated",
            "b takes a step, too: b - lr e",
            _backprop(bias=0.0),
        ),
        (
            "mean for sum",
            "what comes to b is added up: sum over a of tanh(x_a) w_ab + b_ab",
            _backprop(join=lambda w, x: _sum(w, x) / len(x)),
        ),
    ],
)


def _tick(
    *,
    shifts: tuple[float, float] = (-5.0, 5.0),
    order: str = "ifgo",
    new: Callable[[Tensor], Tensor] = torch.tanh,
    shown: Callable[[Tensor], Tensor] = torch.tanh,
    late: bool = True,
) -> Function:
    """Return one tick of a cell, with one thing changed."""

    def run(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        said = dict(zip(order, gates.chunk(4), strict=True))
        i, f = said["i"] + shifts[0], said["f"] + shifts[1]
        after = f.sigmoid() * c + i.sigmoid() * new(said["g"])
        return said["o"].sigmoid() * shown(after if late else c), after

    return run


register(
    "tick",
    "Squash the gates i, f, g, o with i - 5 and f + 5; h = o tanh(c) of the new c.",
    _tick(),
    {"gates": "4N", "c": "N"},
    {"h": "N", "c": "N"},
    [
        (
            "shifts swapped",
            "a cell keeps most and takes in little at first: f + 5 and i - 5",
            _tick(shifts=(5.0, -5.0)),
        ),
        (
            "shifts missing",
            "5 is added to f and taken from i before the sigmoid",
            _tick(shifts=(0.0, 0.0)),
        ),
        (
            "shift of the input gate missing",
            "5 is taken from i before the sigmoid",
            _tick(shifts=(0.0, 5.0)),
        ),
        (
            "shift of the forget gate missing",
            "5 is added to f before the sigmoid",
            _tick(shifts=(-5.0, 0.0)),
        ),
        (
            "tanh missing on c",
            "h is sigmoid(o) tanh(c)",
            _tick(shown=lambda c: c),
        ),
        (
            "tanh missing on g",
            "what is taken in is tanh(g)",
            _tick(new=lambda g: g),
        ),
        (
            "h of the old state",
            "h shows the new c",
            _tick(late=False),
        ),
        *[
            (
                "gates in another order",
                "the four parts of gates are i, f, g, o, in this order",
                _tick(order=order),
            )
            for order in ("figo", "ifog", "iofg", "fiog")
        ],
    ],
)
