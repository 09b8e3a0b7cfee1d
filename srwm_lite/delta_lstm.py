"""The Delta LSTM: three gates, each made by two fast matrices.

Chapter   chapters/07_recurrent_fwp.ipynb
Tests     tests/test_delta_lstm.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295; version 4
          of their public code, the reported one.

Shapes    B batch, T time, G = 3 gates (input, update, output), H heads, K key size,
          V value size, D model width.
"""

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.delta_rule import delta_rule, delta_step, positive_sum_one
from srwm_lite.linear_attention import head_size
from srwm_lite.scan import scan

GATES = ("input", "update", "output")
State = tuple[Tensor, Tensor, Tensor, Tensor]
Cell = tuple[Tensor, Tensor, Tensor]
Program = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def delta_lstm_step(
    state: State,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    k_rec: Tensor,
    v_rec: Tensor,
    beta_rec: Tensor,
) -> tuple[State, Tensor]:
    """Make three gates, each as a Delta RNN makes its output, and move the cell.

    Equation: eq:delta-lstm ::

        W_g = W_g + beta_g (v_g - W_g k_g) ⊗ k_g                 g = i, u, o
        R_g = R_g + beta_rec_g (v_rec_g - R_g k_rec_g) ⊗ k_rec_g
        a_g = W_g q_g + R_g softmax(y)
        c = sigmoid(a_i) a_u + (1 - sigmoid(a_i)) c
        y = sigmoid(a_o) c

    Parameters
    ----------
    state : tuple (W, R, c, y)
        Fast weights (B, G, H, V, K) and (B, G, H, V, V), the cell and the last output,
        both (B, H, V).
    q, k : Tensor, (B, G, H, K)
    v, k_rec, v_rec : Tensor, (B, G, H, V)
    beta, beta_rec : Tensor, (B, G, H)
        Write strengths in [0, 1].

    Returns
    -------
    state : tuple (W, R, c, y)
    y : Tensor, (B, H, V)
    """
    W, *cell = state
    W, z = delta_step(W, q, k, v, beta)
    (R, c, y), _ = _cell_step((cell[0], cell[1], cell[2]), z, k_rec, v_rec, beta_rec)
    return (W, R, c, y), y


def _cell_step(
    state: Cell, z: Tensor, k_rec: Tensor, v_rec: Tensor, beta_rec: Tensor
) -> tuple[Cell, Tensor]:
    """Take the rest of the step, once ``z_g = W_g q_g`` is known."""
    R, c, y = state
    heard = y.softmax(dim=-1)[:, None].expand_as(k_rec)
    R, r = delta_step(R, heard, k_rec, v_rec, beta_rec)
    i, u, o = (z + r).unbind(dim=1)
    c = i.sigmoid() * u + (1 - i.sigmoid()) * c
    y = o.sigmoid() * c
    return (R, c, y), y


def delta_lstm(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    k_rec: Tensor,
    v_rec: Tensor,
    beta_rec: Tensor,
    state: State | None = None,
    *,
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """Run `delta_lstm_step` over a sequence.

    The three matrices `W` hear no output, so they are one `delta_rule` with 3H heads.
    The rest is a loop over time.

    Parameters
    ----------
    q, k : Tensor, (B, T, G, H, K)
        For the gates input, update and output, in this order; already mapped.
    v, k_rec, v_rec : Tensor, (B, T, G, H, V)
        `k_rec` already mapped.
    beta, beta_rec : Tensor, (B, T, G, H)
        Write strengths in [0, 1].
    state : tuple (W, R, c, y), optional
        (B, G, H, V, K), (B, G, H, V, V), (B, H, V) and (B, H, V); zeros if omitted.
    backend : str
        Who computes the `delta_rule`.

    Returns
    -------
    y : Tensor, (B, T, H, V)
    state : tuple (W, R, c, y)

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree, or there are not three gates.
    """
    W, R, c, y = _check(q, k, v, beta, k_rec, v_rec, beta_rec, state)
    q, k, values, beta = (x.flatten(2, 3) for x in (q, k, v, beta))
    z, last = delta_rule(q, k, values, beta, W.flatten(1, 2), backend=backend)
    z = z.view_as(v)
    out, (R_T, c, y_T) = scan(_cell_step, (R, c, y), z, k_rec, v_rec, beta_rec)
    if backends.recorders:
        heard = torch.cat([y[:, None], out[:, :-1]], dim=1).detach().softmax(dim=-1)
        _record(R, heard[:, :, None].expand_as(k_rec), k_rec, v_rec, beta_rec)
    return out, (last.view_as(W), R_T, c, y_T)


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    k_rec: Tensor,
    v_rec: Tensor,
    beta_rec: Tensor,
    state: State | None,
) -> tuple[Tensor, ...]:
    backends.check_rank("BTGHK", q=q, k=k)
    backends.check_rank("BTGHV", v=v, k_rec=k_rec, v_rec=v_rec)
    backends.check_rank("BTGH", beta=beta, beta_rec=beta_rec)
    if k.shape[2] != 3:
        raise ValueError(f"k must have G = 3 gates, {GATES}: got {tuple(k.shape)}")
    backends.check_agree("BTGHK", k=k, q=q)
    backends.check_agree("BTGH", k=k, v=v, beta=beta, beta_rec=beta_rec)
    backends.check_agree("BTGHV", v=v, k_rec=k_rec, v_rec=v_rec)
    more = {"k_rec": k_rec, "v_rec": v_rec, "beta_rec": beta_rec}
    backends.check_alike(k=k, q=q, v=v, beta=beta, **more)
    (B, _, G, H, K), V = k.shape, v.shape[-1]
    backends.refuse_empty(k, V)
    shapes = {"W": (B, G, H, V, K), "R": (B, G, H, V, V)}
    return backends.start_state(state, k, **shapes, c=(B, H, V), y=(B, H, V))


def _record(R: Tensor, *program: Tensor) -> None:
    """Tell the recorders which delta rule ran in `R`, with 3H heads as in `W`."""
    flat = (x.flatten(2, 3) for x in program)
    inputs = dict(zip(("q", "k", "v", "beta"), flat, strict=True))
    backends.record(backends.Call("delta_lstm.R", delta_step, R.flatten(1, 2), inputs))


class DeltaLSTM(nn.Module):
    """An LSTM whose six weight matrices are fast [1].

    Parameters
    ----------
    d_model : int
        Width D of the input and output.
    num_heads : int
        Number H of independent networks; must divide `d_model`.

    Attributes
    ----------
    writes : bool
        Set to False to switch all six memories off; then cell and output stay zero.
    recurrence : bool
        Set to False to switch the three `R` off: nothing is written into them. The
        cell still carries on.
    """

    def __init__(self, d_model: int, num_heads: int = 1) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        self.writes = self.recurrence = True
        rows = 3 * (5 * self.head_size + 2)
        self.slow = nn.Linear(d_model, num_heads * rows, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return f"num_heads={self.num_heads}"

    def program(self, x: Tensor) -> Program:
        """Return q, k, v, beta, k_rec, v_rec, beta_rec, each with an axis of gates."""
        backends.check_input(x, self.slow)
        h = self.slow(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v, k_rec, v_rec, betas = h.split([self.head_size] * 5 + [2], dim=-1)
        beta, beta_rec = (self.writes * betas.sigmoid()).unbind(dim=-1)
        q, k = positive_sum_one(q), positive_sum_one(k)
        return q, k, v, beta, k_rec.softmax(-1), v_rec, self.recurrence * beta_rec

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map `x` (B, T, D) likewise; `state` is (W, R, c, y) to go on with."""
        y, state = delta_lstm(*self.program(x), state)
        return self.out(y.flatten(start_dim=2)), state
