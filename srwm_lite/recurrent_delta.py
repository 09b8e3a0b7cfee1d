"""The recurrent delta rule: what is written depends on what was read before.

Chapter   chapters/07_recurrent_fwp.ipynb
Kernel    kernels/recurrent_delta.cpp, launched by kernels/recurrent_delta.py
Tests     tests/test_recurrent_delta.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295, the
          Recurrent Delta Net.

Shapes    B batch, T time, H heads, K key size, V value size, D model width.
"""

import functools

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.delta_rule import delta_step
from srwm_lite.linear_attention import head_size
from srwm_lite.outer_product import read
from srwm_lite.scan import scan

State = tuple[Tensor, Tensor]
Program = tuple[Tensor, Tensor, Tensor, Tensor]


def hear(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, R: Tensor, y: Tensor
) -> Program:
    """Add to the program what the slow recurrent weights `R` make of the last output.

    ::

        h = tanh(y)
        q = softmax(q + R_q h)
        k = softmax(k + R_k h)
        v = v + R_v h
        beta = sigmoid(beta + R_beta h)

    Shapes as in `recurrent_delta_step`; more leading axes are carried along.
    """
    K, V = k.shape[-1], v.shape[-1]
    more = read(R, y.tanh()).split([K, K, V, 1], dim=-1)
    q, k, v = (x + r for x, r in zip((q, k, v), more, strict=False))
    beta = beta + more[3][..., 0]
    return q.softmax(dim=-1), k.softmax(dim=-1), v, beta.sigmoid()


def recurrent_delta_step(
    state: State, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, R: Tensor
) -> tuple[State, Tensor]:
    """Hear the last output, then take a `delta_step`.

    Equation: eq:recurrent-delta ::

        h = tanh(y)
        q, k = softmax(q + R_q h), softmax(k + R_k h)
        v, beta = v + R_v h, sigmoid(beta + R_beta h)
        W = W + beta (v - W k) ⊗ k
        y = W q

    Parameters
    ----------
    state : tuple (W, y)
        Fast weights (B, H, V, K) and the last output (B, H, V).
    q, k : Tensor, (B, H, K)
        Query and key before the softmax.
    v : Tensor, (B, H, V)
    beta : Tensor, (B, H)
        Write strength before the sigmoid.
    R : Tensor, (H, 2K + V + 1, V)
        Slow recurrent weights, rows for q, k, v and beta.

    Returns
    -------
    state : tuple (W, y)
    y : Tensor, (B, H, V)
    """
    W, y = state
    W, y = delta_step(W, *hear(q, k, v, beta, R, y))
    return (W, y), y


def recurrent_delta(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    R: Tensor,
    state: State | None = None,
    *,
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """Run `recurrent_delta_step` over a sequence.

    Parameters
    ----------
    q, k : Tensor, (B, T, H, K)
        Before the softmax.
    v : Tensor, (B, T, H, V)
    beta : Tensor, (B, T, H)
        Before the sigmoid; ``-inf`` writes nothing.
    R : Tensor, (H, 2K + V + 1, V)
        Slow recurrent weights, rows for q, k, v and beta.
    state : tuple (W, y), optional
        Fast weights (B, H, V, K) and output (B, H, V) to go on with; zeros if omitted.
    backend : str
        ``"auto"``, ``"loop"``, ``"fused"``, ``"cuda"`` or ``"emulated"``.

    Returns
    -------
    y : Tensor, (B, T, H, V)
    state : tuple (W, y)

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree.
    """
    W, y = _check(q, k, v, beta, R, state)
    run = backends.choose("recurrent_delta", backend, IN_TORCH, q, v)
    out, last, y_last = run(q, k, v, beta, R, W, y)
    if backends.recorders:
        _record(q, k, v, beta, R, W, y, out)
    return out, (last, y_last)


def _check(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, R: Tensor, state: State | None
) -> tuple[Tensor, ...]:
    backends.check_rank("BTHK", q=q, k=k)
    backends.check_rank("BTHV", v=v)
    backends.check_rank("BTH", beta=beta)
    backends.check_rank("HRV", R=R)
    backends.check_agree("BTHK", k=k, q=q)
    backends.check_agree("BTH", k=k, v=v, beta=beta)
    backends.check_alike(k=k, q=q, v=v, beta=beta, R=R)
    (B, _, H, K), V = k.shape, v.shape[-1]
    backends.refuse_empty(k, V)
    if R.shape != (H, 2 * K + V + 1, V):
        raise ValueError(
            f"R must have shape (H, 2K + V + 1, V) = {(H, 2 * K + V + 1, V)}: "
            f"got {tuple(R.shape)}"
        )
    return backends.start_state(state, k, W=(B, H, V, K), y=(B, H, V))


def _loop(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, R: Tensor, W: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    step = functools.partial(recurrent_delta_step, R=R)
    out, (W, y) = scan(step, (W, y), q, k, v, beta)
    return out, W, y


def _record(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    R: Tensor,
    W: Tensor,
    y: Tensor,
    out: Tensor,
) -> None:
    """Tell the recorders which delta rule ran, once all outputs are known."""
    with torch.no_grad():
        heard = torch.cat([y[:, None], out[:, :-1]], dim=1)
        program = hear(q, k, v, beta, R, heard)
    inputs = dict(zip(("q", "k", "v", "beta"), program, strict=True))
    backends.record(backends.Call("recurrent_delta", delta_step, W, inputs))


IN_TORCH = {"loop": _loop}


class RecurrentDeltaNet(nn.Module):
    """A DeltaNet whose queries, keys, values and strengths hear its last output [1].

    The slow weights are the map `slow` from the input to ``(q, k, v, beta)`` and the
    map `R` from the output of the fast weights to the same.

    Parameters
    ----------
    d_model : int
        Width D of the input and output.
    num_heads : int
        Number H of independent memories; must divide `d_model`.

    Attributes
    ----------
    writes : bool
        Set to False to switch the memory off: nothing is written any more.
    recurrence : bool
        Set to False to switch `R` off: the layer no longer hears its own output.
    """

    def __init__(self, d_model: int, num_heads: int = 1) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        self.writes = self.recurrence = True
        size, rows = self.head_size, 3 * self.head_size + 1
        self.slow = nn.Linear(d_model, num_heads * rows, bias=False)
        self.R = nn.Parameter(torch.randn(num_heads, rows, size) / size**0.5)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return f"num_heads={self.num_heads}, R={tuple(self.R.shape)}"

    def program(self, x: Tensor) -> Program:
        """Return what the slow net says before it hears the output: q, k, v, beta."""
        backends.check_input(x, self.slow)
        h = self.slow(x).unflatten(-1, (self.num_heads, -1))
        q, k, v, beta = h.split([self.head_size] * 3 + [1], dim=-1)
        beta = beta[..., 0]
        return q, k, v, beta if self.writes else torch.full_like(beta, -torch.inf)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map `x` (B, T, D) to the same shape; `state` is (W, y) to go on with."""
        R = self.R if self.recurrence else torch.zeros_like(self.R)
        y, state = recurrent_delta(*self.program(x), R, state)
        return self.out(y.flatten(start_dim=2)), state
