"""The Delta Delta Net: one fast network programs another.

Chapter   chapters/07_recurrent_fwp.ipynb
Tests     tests/test_delta_delta.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295, and their
          public code.

Shapes    B batch, T time, H heads, K key size of the outer network, N key and value
          size of the inner one, D model width.
"""

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.delta_rule import delta_rule, positive_sum_one
from srwm_lite.linear_attention import head_size

State = tuple[Tensor, Tensor]
Program = tuple[Tensor, Tensor, Tensor, Tensor]


def split_program(h: Tensor) -> Program:
    """Cut (..., 3N + 1) into q, k, v, beta, with the maps of a DeltaNet [1]."""
    N, more = divmod(h.shape[-1] - 1, 3)
    if N < 1 or more:
        raise ValueError(
            f"a program has 3N + 1 entries, for q, k, v and beta: got {h.shape[-1]}"
        )
    q, k, v, beta = h.split([N, N, N, 1], dim=-1)
    return positive_sum_one(q), positive_sum_one(k), v, beta[..., 0].sigmoid()


def delta_delta(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    state: State | None = None,
    *,
    writes: bool = True,
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """Let the output of one delta rule be the program of another.

    Equation: eq:delta-delta ::

        S = S + beta (v - S k) ⊗ k
        (q', k', v', beta') = split(S q)         phi on q' and k', sigmoid on beta'
        W = W + beta' (v' - W k') ⊗ k'
        y = W q'

    Parameters
    ----------
    q, k : Tensor, (B, T, H, K)
        Already mapped by a feature map.
    v : Tensor, (B, T, H, 3N + 1)
    beta : Tensor, (B, T, H)
        Write strengths of the outer network, in [0, 1].
    state : tuple (S, W), optional
        Outer (B, H, 3N + 1, K) and inner (B, H, N, N) fast weights; zeros if omitted.
    writes : bool
        False: the inner network is not written either, whatever the outer one says.
    backend : str
        Who computes both delta rules.

    Returns
    -------
    y : Tensor, (B, T, H, N)
    state : tuple (S, W)

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree, or v has not 3N + 1 entries.
    """
    backends.check_flag(writes=writes)
    S, W = _parts(state)
    h, S = delta_rule(q, k, v, beta, S, backend=backend)
    q, k, v, beta = split_program(h)
    y, W = delta_rule(q, k, v, writes * beta, W, backend=backend)
    return y, (S, W)


def _parts(state: State | None) -> tuple[Tensor | None, Tensor | None]:
    if state is None:
        return None, None
    if not isinstance(state, list | tuple) or len(state) != 2:
        got = len(state) if isinstance(state, list | tuple) else type(state).__name__
        raise ValueError(
            f"state must be (S, W) as an earlier call returned it: got {got}"
        )
    return state[0], state[1]


class DeltaDelta(nn.Module):
    """A DeltaNet whose slow net is itself a fast network [1].

    Parameters
    ----------
    d_model : int
        Width D of the input and output.
    num_heads : int
        Number H of pairs of fast networks; must divide `d_model`.
    learned_start : bool
        The outer fast weights start from learned slow weights, drawn from [1, 2) as in
        [1], instead of zero.

    Attributes
    ----------
    writes : bool
        Set to False to switch both memories off: nothing is written any more.
    """

    def __init__(
        self, d_model: int, num_heads: int = 1, *, learned_start: bool = False
    ) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        backends.check_flag(learned_start=learned_start)
        self.writes, size = True, self.head_size
        self.slow = nn.Linear(d_model, num_heads * (5 * size + 2), bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)
        base = 1 + torch.rand(num_heads, 3 * size + 1, size) if learned_start else None
        self.start = None if base is None else nn.Parameter(base)

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return f"num_heads={self.num_heads}, learned_start={self.start is not None}"

    def program(self, x: Tensor) -> Program:
        """Return what the slow net writes into the outer network: q, k, v, beta."""
        backends.check_input(x, self.slow)
        h, K = self.slow(x).unflatten(-1, (self.num_heads, -1)), self.head_size
        q, k, v, beta = h.split([K, K, 3 * K + 1, 1], dim=-1)
        beta = self.writes * beta[..., 0].sigmoid()
        return positive_sum_one(q), positive_sum_one(k), v, beta

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map `x` (B, T, D) likewise; `state` is (S, W) to go on with."""
        q, k, v, beta = self.program(x)
        if state is None and self.start is not None:
            S = self.start.expand(len(x), *self.start.shape)
            state = S, S.new_zeros(*S.shape[:2], self.head_size, self.head_size)
        y, state = delta_delta(q, k, v, beta, state, writes=self.writes)
        return self.out(y.flatten(start_dim=2)), state
