"""The Delta MLP: the fast network is deep, a chain of delta rules.

Chapter   chapters/07_recurrent_fwp.ipynb
Tests     tests/test_delta_mlp.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295, and their
          public code.

Shapes    B batch, T time, H heads, K size of a head, F size of a hidden layer of the
          fast network (4K in the layer), D model width.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.delta_rule import delta_rule, positive_sum_one
from srwm_lite.linear_attention import head_size

Write = tuple[Tensor, Tensor, Tensor]
Norm = Callable[[Tensor], Tensor]
State = tuple[Tensor, ...]


def delta_mlp(
    x: Tensor,
    writes: Sequence[Write],
    norms: Sequence[Norm],
    state: State | None = None,
    *,
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """Send `x` through blocks of two fast matrices, each with a residual.

    Equation: eq:delta-mlp ::

        W1 = W1 + beta1 (v1 - W1 k1) ⊗ k1
        W2 = W2 + beta2 (v2 - W2 k2) ⊗ k2
        x = x + W2 phi(W1 phi(norm(x)))          phi: positive, sums to one

    Parameters
    ----------
    x : Tensor, (B, T, H, K)
        Input of the fast network, its query.
    writes : sequence of (k, v, beta), two for each block
        k1 (B, T, H, K), v1 (B, T, H, F), then k2 (B, T, H, F), v2 (B, T, H, K), keys
        already mapped; strengths (B, T, H) in [0, 1].
    norms : sequence of callables, one for each block
        The layer norms of the blocks; their weights are slow.
    state : tuple of Tensors, optional
        The matrices W1, W2 of every block, in order; zeros if omitted.
    backend : str
        Who computes every `delta_rule`.

    Returns
    -------
    x : Tensor, (B, T, H, K)
    state : tuple of Tensors
    """
    memories, new = _check(writes, norms, state), []
    for i, norm in enumerate(norms):
        a = positive_sum_one(norm(x))
        for j in (2 * i, 2 * i + 1):
            a, W = delta_rule(a, *writes[j], memories[j], backend=backend)
            new.append(W)
            a = a if j % 2 else positive_sum_one(a)
        x = x + a
    return x, tuple(new)


def _check(
    writes: Sequence[Write], norms: Sequence[Norm], state: State | None
) -> Sequence[Tensor | None]:
    if not norms or len(writes) != 2 * len(norms):
        raise ValueError(
            f"every norm starts a block of two matrices, so writes must be twice as "
            f"many: got {len(writes)} writes, {len(norms)} norms"
        )
    if state is None:
        return [None] * len(writes)
    if not isinstance(state, list | tuple) or len(state) != len(writes):
        got = len(state) if isinstance(state, list | tuple) else type(state).__name__
        raise ValueError(
            f"state must be a tuple of the {len(writes)} fast matrices, as an earlier "
            f"call returned it: got {got}"
        )
    return state


class DeltaMLP(nn.Module):
    """A deep fast network, all of it programmed from the input of the layer [1].

    Parameters
    ----------
    d_model : int
        Width D of the input and output.
    num_heads : int
        Number H of independent fast networks; must divide `d_model`.
    depth : int
        Number of blocks in the fast network, of two matrices each.

    Attributes
    ----------
    writes : bool
        Set to False to switch all memories off; the query still passes the residuals.
    """

    def __init__(self, d_model: int, num_heads: int = 1, *, depth: int = 1) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        backends.check_whole(1, depth=depth)
        self.depth, self.writes = depth, True
        self.slow = nn.Linear(d_model, num_heads * sum(self._sizes), bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(self.head_size) for _ in range(depth))
        self.out = nn.Linear(d_model, d_model, bias=False)

    @property
    def _sizes(self) -> list[int]:
        """Return the sizes of the query and of k1, v1, k2, v2, beta of every block."""
        K, F = self.head_size, 4 * self.head_size
        return [K] + [K, F, F, K, 2] * self.depth

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return f"num_heads={self.num_heads}, depth={self.depth}"

    def program(self, x: Tensor) -> tuple[Tensor, list[Write]]:
        """Return the input of the fast network and what is written into it."""
        backends.check_input(x, self.slow)
        h = self.slow(x).unflatten(-1, (self.num_heads, -1))
        q, *parts = h.split(self._sizes, dim=-1)
        writes = []
        for i in range(self.depth):
            k1, v1, k2, v2, betas = parts[5 * i : 5 * i + 5]
            beta1, beta2 = (self.writes * betas.sigmoid()).unbind(dim=-1)
            writes.append((positive_sum_one(k1), v1, beta1))
            writes.append((positive_sum_one(k2), v2, beta2))
        return q, writes

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map `x` (B, T, D) likewise; `state` is the tuple of fast matrices."""
        q, writes = self.program(x)
        y, state = delta_mlp(q, writes, list(self.norms), state)
        return self.out(y.flatten(start_dim=2)), state
