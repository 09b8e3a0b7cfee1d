"""VSML: every weight is a tiny recurrent net, and all of them are the same net.

Chapter   chapters/14_vsml.ipynb
Kernel    kernels/vsml.cpp, launched by kernels/vsml.py
Tests     tests/test_vsml.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, section 3 and appendix.

The official code carries no licence; this is written from the equations alone.

Shapes    B batch, I inputs, O outputs, N size of a state, M size of a message. A layer
          is a grid of I x O cells. Cell (a, b) hears the message that comes in at row a
          and the one that comes back at column b.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from srwm_lite import backends

State = Any
Cell = Callable[[State, Tensor, Tensor], tuple[State, Tensor, Tensor]]
REDUCE = {"mean": torch.mean, "sum": torch.sum}


def vsml_step(
    cell: Cell, state: State, fwd: Tensor, bwd: Tensor, *, reduce: str = "mean"
) -> tuple[State, tuple[Tensor, Tensor]]:
    """Let every cell of a grid hear two messages, change, and send two [1].

    Equation: eq:vsml ::

        s_ab, f_ab, e_ab = cell(s_ab, fwd_a, bwd_b)
        fwd'_b = mean_a f_ab                 to the next layer
        bwd'_a = mean_b e_ab                 to the layer before

    All cells are computed at once: a cell gets tensors that broadcast over the grid.

    Parameters
    ----------
    cell : callable
        ``cell(state, x, e) -> (state, forward, backward)``, such as `SubRNN`.
    state : Tensor or tuple of Tensors, (B, I, O, ...)
    fwd : Tensor, (B, I, M)
        Messages from the layer before, or the input.
    bwd : Tensor, (B, O, M)
        Messages from the next layer, or the error.
    reduce : str
        ``"mean"`` or ``"sum"``: how messages that meet are joined.

    Returns
    -------
    state : like `state`
    fwd : Tensor, (B, O, M)
    bwd : Tensor, (B, I, M)

    Raises
    ------
    ValueError
        If the messages do not fit the grid.
    """
    join = _known(reduce)
    _check(state, fwd, bwd)
    state, forward, backward = cell(state, fwd[:, :, None], bwd[:, None])
    return state, (join(forward, dim=1), join(backward, dim=2))


def step_by_cell(
    cell: Cell, state: State, fwd: Tensor, bwd: Tensor, *, reduce: str = "mean"
) -> tuple[State, tuple[Tensor, Tensor]]:
    """Do what `vsml_step` does, one cell after the other: slow, and easy to read."""
    join = _known(reduce)
    _check(state, fwd, bwd)
    grid = [
        [cell(_pick(state, a, b), fwd[:, a], bwd[:, b]) for b in range(bwd.shape[1])]
        for a in range(fwd.shape[1])
    ]
    states, forward, backward = zip(
        *(zip(*row, strict=True) for row in grid), strict=True
    )
    sent = [torch.stack([torch.stack(r, 1) for r in x], 1) for x in (forward, backward)]
    return _grid(states), (join(sent[0], dim=1), join(sent[1], dim=2))


def _known(reduce: str) -> Callable[..., Tensor]:
    if reduce not in REDUCE:
        raise ValueError(f"reduce must be 'mean' or 'sum': got {reduce!r}")
    return REDUCE[reduce]


def _check(state: State, fwd: Tensor, bwd: Tensor) -> None:
    backends.check_rank("BIM", fwd=fwd)
    backends.check_rank("BOM", bwd=bwd)
    backends.check_alike(fwd=fwd, bwd=bwd)
    grid = (*fwd.shape[:2], bwd.shape[1])
    for part in state if isinstance(state, tuple) else (state,):
        backends.check_tensor(state=part)
        fits = part.shape[:3] == grid and bwd.shape[::2] == fwd.shape[::2]
        if not fits or 0 in grid:
            raise ValueError(
                "state (B, I, O, ...) must have a cell for every pair of fwd (B, I, M) "
                f"and bwd (B, O, M), and at least one: got state {tuple(part.shape)}, "
                f"fwd {tuple(fwd.shape)}, bwd {tuple(bwd.shape)}"
            )


def _pick(state: State, a: int, b: int) -> State:
    if isinstance(state, tuple):
        return tuple(part[:, a, b] for part in state)
    return state[:, a, b]


def _grid(rows: Any) -> State:
    if isinstance(rows[0][0], tuple):
        parts = range(len(rows[0][0]))
        return tuple(_grid([[cell[i] for cell in row] for row in rows]) for i in parts)
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


class SubRNN(nn.Module):
    """The net that every weight is: an LSTM that hears two messages and sends two [1].

    Equation: eq:sub-rnn, `ticks` times with the same messages ::

        i, f, g, o = A x + C e + R h + b     x forward message, e backward message
        c = sigmoid(f + 5) c + sigmoid(i - 5) tanh(g)
        h = sigmoid(o) tanh(c)
        forward = F h + f0,  backward = E h + e0

    Parameters
    ----------
    state_size, message_size : int
        Sizes N and M, 16 and 8 in [1]: 2384 numbers in all.
    ticks : int
        How often a cell thinks before it speaks.
    forget_shift, input_shift : float
        What is added to the gates: a cell keeps most and takes in little at first.
    grid : tuple of int
        Empty, and all cells share one set of weights. ``(I, O)``, and each cell has
        its own: sharing is off, and the size is fixed.
    """

    def __init__(
        self,
        state_size: int = 16,
        message_size: int = 8,
        *,
        ticks: int = 2,
        forget_shift: float = 5.0,
        input_shift: float = -5.0,
        grid: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        backends.check_whole(
            1, state_size=state_size, message_size=message_size, ticks=ticks
        )
        N, M = state_size, message_size
        self.state_size, self.message_size, self.ticks = N, M, ticks
        self.forget_shift, self.input_shift = forget_shift, input_shift
        self.grid = tuple(grid)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*grid, *shape).uniform_(-1, 1) / N**0.5)

        self.weight, self.bias = drawn(4 * N, 2 * M + N), drawn(4 * N)
        self.forward_weight, self.forward_bias = drawn(M, N), drawn(M)
        self.backward_weight, self.backward_bias = drawn(M, N), drawn(M)
        with torch.no_grad():
            for bias in (self.bias, self.forward_bias, self.backward_bias):
                bias.zero_()

    def extra_repr(self) -> str:
        """Name the sizes."""
        return f"{self.state_size}, {self.message_size}, ticks={self.ticks}" + (
            f", grid={self.grid}" if self.grid else ""
        )

    def start(self, B: int, inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
        """Draw the states ``(h, c)`` of a new grid, each (B, I, O, N).

        All zero but the first half of c, or else hidden units would stay alike. It is
        normal with standard deviation ``1 / sqrt(I)``, cut off at two of them.
        """
        backends.check_whole(1, B=B, inputs=inputs, outputs=outputs)
        if self.grid and self.grid != (inputs, outputs):
            raise ValueError(
                f"cells with weights of their own make a grid of {self.grid} and no "
                f"other: got inputs={inputs}, outputs={outputs}; use grid=() to share"
            )
        c = self.weight.new_zeros(B, inputs, outputs, self.state_size)
        std = inputs**-0.5
        half = c[..., : self.state_size // 2]
        nn.init.trunc_normal_(half, std=std, a=-2 * std, b=2 * std)
        return torch.zeros_like(c), c

    def forward(
        self, state: tuple[Tensor, Tensor], x: Tensor, e: Tensor
    ) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        """Hear `x` and `e` (..., M), and return state, forward and backward message."""
        h, c = state
        M = self.message_size
        A, C, R = self.weight.split([M, M, self.state_size], dim=-1)
        heard = times(A, x) + times(C, e) + self.bias
        for _ in range(self.ticks):
            i, f, g, o = (heard + times(R, h)).chunk(4, dim=-1)
            keep, take = (f + self.forget_shift).sigmoid(), (i + self.input_shift)
            c = keep * c + take.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        forward = times(self.forward_weight, h) + self.forward_bias
        backward = times(self.backward_weight, h) + self.backward_bias
        return (h, c), forward, backward


def times(W: Tensor, x: Tensor) -> Tensor:
    """Return ``W x`` of x (B, I, O, n) for one matrix, or for one of each cell."""
    if W.dim() == 2:
        return functional.linear(x, W)
    return (x.movedim(0, 2) @ W.mT).movedim(2, 0)


class VSMLLayer(nn.Module):
    """A dense layer whose every weight is a copy of one `SubRNN` [1].

    The same 2384 numbers make a layer of any size: the messages say how large it is.

    Parameters
    ----------
    cell : SubRNN, optional
        Give layers the same cell to share it; a new one if omitted.
    reduce : str
        ``"mean"`` or ``"sum"``.
    """

    def __init__(self, cell: SubRNN | None = None, *, reduce: str = "mean") -> None:
        super().__init__()
        _known(reduce)
        self.cell, self.reduce = SubRNN() if cell is None else cell, reduce

    def forward(
        self, fwd: Tensor, bwd: Tensor, state: State = None
    ) -> tuple[tuple[Tensor, Tensor], State]:
        """Map ``fwd`` (B, I, M) and ``bwd`` (B, O, M) to (B, O, M) and (B, I, M)."""
        if state is None:
            state = self.cell.start(len(fwd), fwd.shape[1], bwd.shape[1])
        state, messages = vsml_step(self.cell, state, fwd, bwd, reduce=self.reduce)
        return messages, state
