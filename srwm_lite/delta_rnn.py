"""The Delta RNN: a second fast matrix reads the network's own last output.

Chapter   chapters/07_recurrent_fwp.ipynb
Kernel    kernels/delta_rnn.cpp, launched by kernels/delta_rnn.py
Tests     tests/test_delta_rnn.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295, eq. 12.

Shapes    B batch, T time, H heads, K key size, V value size, D model width.
"""

import functools

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.delta_rule import delta_step, positive_sum_one
from srwm_lite.linear_attention import head_size
from srwm_lite.scan import scan

State = tuple[Tensor, Tensor, Tensor]
Program = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def delta_rnn_step(
    state: State,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    k_rec: Tensor,
    v_rec: Tensor,
    beta_rec: Tensor,
) -> tuple[State, Tensor]:
    """Write into two fast matrices, read one with `q` and one with the last output.

    Equation: eq:delta-rnn ::

        W = W + beta (v - W k) ⊗ k
        R = R + beta_rec (v_rec - R k_rec) ⊗ k_rec
        y = W q + R softmax(y)

    Parameters
    ----------
    state : tuple (W, R, y)
        Fast weights (B, H, V, K) and (B, H, V, V), and the last output (B, H, V).
    q, k : Tensor, (B, H, K)
    v, k_rec, v_rec : Tensor, (B, H, V)
        The keys are positive and sum to one, as the softmax that is read with.
    beta, beta_rec : Tensor, (B, H)
        Write strengths in [0, 1].

    Returns
    -------
    state : tuple (W, R, y)
    y : Tensor, (B, H, V)
    """
    W, R, y = state
    W, z = delta_step(W, q, k, v, beta)
    R, r = delta_step(R, y.softmax(dim=-1), k_rec, v_rec, beta_rec)
    y = z + r
    return (W, R, y), y


def delta_rnn_one_step(
    state: State,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    k_rec: Tensor,
    v_rec: Tensor,
    beta_rec: Tensor,
) -> tuple[State, Tensor]:
    """Take the step of version 1: squash the output, not the recurrent query.

    Equation: eq:delta-rnn-one ::

        write into W and R as in version 2
        y = softmax(W q + R y)

    Takes and returns what `delta_rnn_step` does.
    """
    W, R, y = state
    W, z = delta_step(W, q, k, v, beta)
    R, r = delta_step(R, y, k_rec, v_rec, beta_rec)
    y = (z + r).softmax(dim=-1)
    return (W, R, y), y


def delta_rnn(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    k_rec: Tensor,
    v_rec: Tensor,
    beta_rec: Tensor,
    state: State | None = None,
    *,
    version: int = 2,
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """Run `delta_rnn_step` over a sequence.

    Parameters
    ----------
    q, k : Tensor, (B, T, H, K), already mapped by a feature map
    v, k_rec, v_rec : Tensor, (B, T, H, V)
        `k_rec` already mapped.
    beta, beta_rec : Tensor, (B, T, H)
        Write strengths in [0, 1].
    state : tuple (W, R, y), optional
        (B, H, V, K), (B, H, V, V) and (B, H, V) to go on with; zeros if omitted.
    version : int
        2, or 1: `delta_rnn_one_step`, in the loop only.
    backend : str
        ``"auto"``, ``"loop"``, ``"fused"``, ``"cuda"`` or ``"emulated"``.

    Returns
    -------
    y : Tensor, (B, T, H, V)
    state : tuple (W, R, y)

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree.
    """
    x = (q, k, v, beta, k_rec, v_rec, beta_rec)
    start = _check(*x, state)
    y, *last = _choose(version, backend, q, v)(*x, *start)
    if backends.recorders:
        _record(x, start, y, version)
    return y, (last[0], last[1], last[2])


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
    backends.check_rank("BTHK", q=q, k=k)
    backends.check_rank("BTHV", v=v, k_rec=k_rec, v_rec=v_rec)
    backends.check_rank("BTH", beta=beta, beta_rec=beta_rec)
    backends.check_agree("BTHK", k=k, q=q)
    backends.check_agree("BTH", k=k, v=v, beta=beta, beta_rec=beta_rec)
    backends.check_agree("BTHV", v=v, k_rec=k_rec, v_rec=v_rec)
    more = {"k_rec": k_rec, "v_rec": v_rec, "beta_rec": beta_rec}
    backends.check_alike(k=k, q=q, v=v, beta=beta, **more)
    (B, _, H, K), V = k.shape, v.shape[-1]
    backends.refuse_empty(k, V)
    shapes = {"W": (B, H, V, K), "R": (B, H, V, V), "y": (B, H, V)}
    return backends.start_state(state, k, **shapes)


def _check_version(version: int) -> None:
    if version not in (1, 2):
        raise ValueError(f"version must be 1 or 2: got {version!r}")


def _choose(version: int, backend: str, q: Tensor, v: Tensor) -> backends.Run:
    _check_version(version)
    if version == 2:
        return backends.choose("delta_rnn", backend, IN_TORCH, q, v)
    if backend not in ("auto", "loop"):
        raise ValueError(
            f"version 1 runs in the loop only: got {backend!r}; use version=2"
        )
    return functools.partial(_loop, step=delta_rnn_one_step)


def _loop(
    *x: Tensor, step: backends.Step = delta_rnn_step
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *inputs, W, R, y = x
    out, (W, R, y) = scan(step, (W, R, y), *inputs)
    return out, W, R, y


def _record(
    x: tuple[Tensor, ...], start: tuple[Tensor, ...], out: Tensor, version: int
) -> None:
    """Tell the recorders which two delta rules ran, once all outputs are known."""
    W, R, y = start
    heard = torch.cat([y[:, None], out[:, :-1]], dim=1).detach()
    query = heard.softmax(dim=-1) if version == 2 else heard
    for name, M, run in ("", W, x[:4]), (".R", R, (query, *x[4:])):
        inputs = dict(zip(("q", "k", "v", "beta"), run, strict=True))
        backends.record(backends.Call(f"delta_rnn{name}", delta_step, M, inputs))


IN_TORCH = {"loop": _loop}


class DeltaRNN(nn.Module):
    """A fast weight programmer with a fast recurrent matrix [1].

    The slow weights program `W`, read with the query as in a DeltaNet, and `R`, read
    with what the layer said a step before.

    Parameters
    ----------
    d_model : int
        Width D of the input and output.
    num_heads : int
        Number H of independent memories; must divide `d_model`.
    version : int
        2, the published one, or 1 of the authors' code.

    Attributes
    ----------
    writes : bool
        Set to False to switch both memories off: nothing is written any more.
    recurrence : bool
        Set to False to switch `R` off: nothing is written into it any more.
    """

    def __init__(self, d_model: int, num_heads: int = 1, *, version: int = 2) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        _check_version(version)
        self.version, self.writes, self.recurrence = version, True, True
        rows = 5 * self.head_size + 2
        self.slow = nn.Linear(d_model, num_heads * rows, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return f"num_heads={self.num_heads}, version={self.version}"

    def program(self, x: Tensor) -> Program:
        """Return q, k, v, beta for `W` and k_rec, v_rec, beta_rec for `R`."""
        backends.check_input(x, self.slow)
        h = self.slow(x).unflatten(-1, (self.num_heads, -1))
        q, k, v, k_rec, v_rec, betas = h.split([self.head_size] * 5 + [2], dim=-1)
        beta, beta_rec = (self.writes * betas.sigmoid()).unbind(dim=-1)
        squash = functools.partial(torch.softmax, dim=-1)
        q, k = map(positive_sum_one if self.version == 2 else squash, (q, k))
        return q, k, v, beta, squash(k_rec), v_rec, self.recurrence * beta_rec

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map `x` (B, T, D) to the same shape; `state` is (W, R, y) to go on with."""
        y, state = delta_rnn(*self.program(x), state, version=self.version)
        return self.out(y.flatten(start_dim=2)), state
