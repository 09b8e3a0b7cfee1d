"""VSML's relatives: other cells for the same grid, from fast weights to a Meta RNN.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_message_cells.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, sections 2 to 4.
          [2] Bengio, Bengio, Cloutier & Gecsei (1992), "On the optimization of a
              synaptic learning rule": a rule with parameters that all weights share.
          [3] Oja (1982), "A simplified neuron model as a principal component
              analyzer".

Shapes    B batch, I inputs, O outputs, M size of a message, N size of a state. A cell
          is called as `srwm_lite.vsml.vsml_step` calls it: it hears messages (..., M)
          that broadcast over the grid.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.vsml import Cell, State, SubRNN, times, vsml_step

Pair = tuple[Tensor, Tensor]
TERMS = ("1", "pre", "post", "pre post", "w", "post² w")


def outer_product_cell(
    w: Tensor, x: Tensor, e: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Be one entry of a fast weight matrix: write, then read.

    Equation, with ``x = (k_a, q_a)`` and ``e = (v_b, anything)`` ::

        w_ab = w_ab + v_b k_a
        forward = w_ab q_a,   backward = 0

    Sums of the forward messages are ``read(write(W, k, v), q)`` of
    `srwm_lite.outer_product`; the grid (I, O) is the transpose of W (V, K).
    """
    w = w + e[..., 0] * x[..., 0]
    forward = _slots(w * x[..., 1], 2)
    return w, forward, torch.zeros_like(forward)


def ask_then_tell(
    cell: Cell,
    state: State,
    question: Tensor,
    fwd: Tensor,
    told: Callable[[Tensor], Tensor],
) -> tuple[State, Pair]:
    """Sweep twice: hear what the layer answers, then send back what depends on it.

    Parameters
    ----------
    cell : callable
        One that does not change while nothing but zeros comes back.
    state : Tensor or tuple of Tensors, (B, I, O, ...)
    question, fwd : Tensor, (B, I, M)
        Forward messages of the first and of the second sweep.
    told : callable
        ``told(answer)`` makes the backward messages (B, O, M) of the second sweep.

    Returns
    -------
    state, (fwd, bwd)
        As in `srwm_lite.vsml.vsml_step`, with sums.
    """
    outputs = (state[0] if isinstance(state, tuple) else state).shape[2]
    silence = question.new_zeros(len(question), outputs, question.shape[2])
    state, (answer, _) = vsml_step(cell, state, question, silence, reduce="sum")
    return vsml_step(cell, state, fwd, told(answer), reduce="sum")


def delta_by_messages(
    w: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """Take a delta step with `outer_product_cell`: what comes back is the error.

    Equation ::

        answer = W k             first sweep, nothing is written
        bwd = beta (v - answer)  second sweep: it is written under k
        y = W q

    Parameters
    ----------
    w : Tensor, (B, I, O)
        The grid: `W` of `srwm_lite.delta_rule.delta_step`, transposed.
    q, k : Tensor, (B, I)
    v : Tensor, (B, O)
    beta : Tensor, (B,)

    Returns
    -------
    w : Tensor, (B, I, O)
    y : Tensor, (B, O)
    """

    def error(answer: Tensor) -> Tensor:
        return _slots(beta[:, None] * (v - answer[..., 0]), 2)

    question, fwd = torch.stack([0 * k, k], -1), torch.stack([k, q], -1)
    w, (y, _) = ask_then_tell(outer_product_cell, w, question, fwd, error)
    return w, y[..., 0]


class LearnedRule(nn.Module):
    """A local learning rule of a few numbers, the same at every weight [2].

    Equation, with ``x = (pre, input)`` and ``e = (post, gate)`` ::

        w = w + gate theta . (1, pre, post, pre post, w, post² w)
        forward = w input,   backward = 0

    Parameters
    ----------
    theta : Tensor, (6,)
        One number for each of `TERMS`. A rate at ``pre post`` alone is Hebb's rule;
        with minus the rate at ``post² w`` it is Oja's [3].
    """

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        backends.check_tensor(theta=theta)
        if theta.shape != (len(TERMS),):
            raise ValueError(
                f"theta must have a number for each of {', '.join(TERMS)}: "
                f"got theta {tuple(theta.shape)}, wanted ({len(TERMS)},)"
            )
        self.theta = nn.Parameter(theta.detach().clone())

    def forward(self, w: Tensor, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hear `x` and `e` (..., 2), change by the rule, and send."""
        pre, post, gate = x[..., 0], e[..., 0], e[..., 1]
        terms = (torch.ones_like(w), pre, post, pre * post, w, post**2 * w)
        change = sum(a * term for a, term in zip(self.theta, terms, strict=True))
        w = w + gate * change
        forward = _slots(w * x[..., 1], 2)
        return w, forward, torch.zeros_like(forward)

    def learn(self, w: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Answer ``y = W x`` (B, O), then let `y` come back and every `w` change."""
        question, fwd = torch.stack([0 * x, x], -1), torch.stack([x, 0 * x], -1)
        answers = []

        def told(answer: Tensor) -> Tensor:
            answers.append(answer[..., 0])
            return torch.stack([answer[..., 0], torch.ones_like(answers[0])], -1)

        w, _ = ask_then_tell(self, w, question, fwd, told)
        return w, answers[0]


def lstm_cell(cell: SubRNN) -> nn.LSTMCell:
    """Return torch's LSTM with the numbers of `cell`, whose gates are not shifted.

    One tick of a grid of one cell is this LSTM on ``(x, e)``: a Meta RNN.
    """
    if (cell.forget_shift, cell.input_shift) != (0, 0) or cell.grid:
        raise ValueError(
            "cell must have shifts 0 and no grid to be torch's LSTM: got "
            f"{cell.forget_shift}, {cell.input_shift} and grid={cell.grid}; use "
            "SubRNN(forget_shift=0, input_shift=0)"
        )
    heard = 2 * cell.message_size
    lstm = nn.LSTMCell(heard, cell.state_size).to(cell.weight)
    with torch.no_grad():
        lstm.weight_ih.copy_(cell.weight[:, :heard])
        lstm.weight_hh.copy_(cell.weight[:, heard:])
        lstm.bias_ih.copy_(cell.bias)
        lstm.bias_hh.zero_()
    return lstm


class VectorCell(nn.Module):
    """The simplest cell with a vector for a state: a plain RNN that says all it knows.

    Equation ::

        s = tanh(W s + C x + D e),   forward = backward = s

    Parameters
    ----------
    size : int
        N, of the state and of the messages.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        backends.check_whole(1, size=size)
        W, C, D = torch.empty(3, size, size).uniform_(-1, 1) / size**0.5
        self.own, self.fore, self.back = (nn.Parameter(m.clone()) for m in (W, C, D))

    def forward(self, s: Tensor, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hear `x` and `e` (..., N)."""
        s = (times(self.own, s) + times(self.fore, x) + times(self.back, e)).tanh()
        return s, s, s


def big_matrices(cell: VectorCell, n: int) -> Pair:
    """Return the matrices of the one RNN that a grid of n x n cells is.

    The layer hears itself: the mean message of column a comes in at row a, where an
    input u_a is added to it, and the mean message of row b comes back at column b [1].
    One step of all cells is ``tanh(R s + U u)`` with the blocks ::

        R[ab, cd] = W [a=c, b=d] + C [a=d] / n + D [b=c] / n
        U[ab, c]  = C [a=c]

    Returns
    -------
    R : Tensor, (n n N, n n N)
    U : Tensor, (n n N, n N)
    """
    backends.check_whole(1, n=n)
    eye, one = torch.eye(n).to(cell.own), torch.ones(n, n).to(cell.own)
    same = torch.einsum("ac,bd,ij->abicdj", eye, eye, cell.own)
    ahead = torch.einsum("ad,bc,ij->abicdj", eye, one, cell.fore / n)
    behind = torch.einsum("bc,ad,ij->abicdj", eye, one, cell.back / n)
    heard = torch.einsum("ac,bd,ij->abicj", eye, one[:, :1], cell.fore)
    size = n * n * len(cell.own)
    return (same + ahead + behind).reshape(size, size), heard.reshape(size, -1)


def counts(cell: VectorCell, n: int) -> dict[str, int]:
    """Count the big recurrent matrix: all entries, its zeros, and its free numbers."""
    R, _ = big_matrices(cell, n)
    free = cell.own.numel() + cell.fore.numel() + cell.back.numel()
    return {"entries": R.numel(), "zeros": int((R == 0).sum()), "free numbers": free}


def _slots(message: Tensor, size: int) -> Tensor:
    return torch.stack([message] + [torch.zeros_like(message)] * (size - 1), dim=-1)
