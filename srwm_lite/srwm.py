"""The self-referential weight matrix as a layer, and what it is compared with.

Chapter   chapters/11_srwm.ipynb
Kernel    kernels/srwm.cpp and kernels/srwm.cu, launched by kernels/srwm.py
Tests     tests/test_srwm.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2022), arXiv:2202.05780.
          [2] Irie, Csordás & Schmidhuber (2023), arXiv:2310.16076 (small queries).

Shapes    B batch, T time, H heads, K = V = D / H head size, D model width.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.delta_rule import delta_rule
from srwm_lite.linear_attention import head_size
from srwm_lite.self_reference import BLOCKS, self_reference, self_reference_step

__all__ = ["BLOCKS", "SRWM", "FakeSR", "SRDelta", "self_reference"]
__all__ += ["self_reference_step"]

State = Tensor | None
NORMS = ("layer", "residual", "none")


class SRWM(nn.Module):
    """A layer whose only weights rewrite themselves while the input arrives [1].

    Gradient descent finds the start `W`, the same for every sequence; from there each
    sequence has a matrix of its own. The state is the shift ``W_t - W``.

    Parameters
    ----------
    d_model : int
        Width D of input and output.
    num_heads : int
        Number H of matrices; must divide `d_model`.
    input_softmax : bool
        Give the matrix the softmax of its input, as in the reinforcement learning
        of [1]; the few-shot experiments do not.
    query_std, beta_init : float
        The query rows start with standard deviation ``query_std / sqrt(K)`` (1 in [1],
        0.01 in [2]), the rows of the learning rates around `beta_init`.
    carry : bool
        If False, every call starts from `W`, whatever the state: the ablation
        "no carry-over" of [1].
    norm_on : str
        Where the block around the layer (`srwm_lite.models.Block`) puts its layer
        norm: on the ``"residual"`` (few-shot), nowhere (``"none"``, reinforcement
        learning), or on the ``"layer"``, as with all other layers of the book.

    Attributes
    ----------
    writes : bool
        Set to False to switch the memory off: all four blocks stay as they are.
    frozen : tuple of str
        Blocks that do not change, of ``"y"``, ``"q"``, ``"k"`` and ``"beta"``.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int = 1,
        *,
        input_softmax: bool = False,
        query_std: float = 1.0,
        beta_init: float = 0.0,
        carry: bool = True,
        norm_on: str = "residual",
    ) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        backends.check_flag(input_softmax=input_softmax, carry=carry)
        if norm_on not in NORMS:
            raise ValueError(f"norm_on must be one of {NORMS}: got {norm_on!r}")
        self.input_softmax, self.carry = input_softmax, carry
        self.norm_on, self.writes = norm_on, True
        self.frozen: Collection[str] = ()
        W = start_matrix(num_heads, self.outputs, self.head_size, query_std, beta_init)
        self.W = nn.Parameter(W)
        self.out = nn.Linear(d_model, d_model, bias=False)

    @property
    def outputs(self) -> int:
        """Return the number V of rows that make the output."""
        return self.head_size

    def extra_repr(self) -> str:
        """Name what the matrix does not show."""
        return (
            f"num_heads={self.num_heads}, input_softmax={self.input_softmax}, "
            f"carry={self.carry}, norm_on={self.norm_on!r}"
        )

    def read_and_rewrite(self, x: Tensor, shift: State) -> tuple[Tensor, Tensor]:
        """Return what the matrix puts out, (B, T, H, V), and its shift at the end."""
        backends.check_input(x, self.out)
        u = x.unflatten(-1, (self.num_heads, self.head_size))
        u = u.softmax(dim=-1) if self.input_softmax else u
        W = self.W.expand(len(x), *self.W.shape)
        start = W if shift is None or not self.carry else W + _fit(shift, W)
        frozen = self.frozen if self.writes else BLOCKS
        y, last = self_reference(u, start, frozen=frozen)
        return y, last - W

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, Tensor]:
        """Map `x` (B, T, D) to the same shape; `state` is the shift to go on with."""
        y, shift = self.read_and_rewrite(x, state)
        return self.out(y.flatten(start_dim=2)), shift


def _fit(shift: Tensor, W: Tensor) -> Tensor:
    backends.check_tensor(state=shift)
    if shift.shape != W.shape:
        raise ValueError(
            f"state must be the shift of W, (B, H, V + 2 K + 4, K) = {tuple(W.shape)}, "
            f"as an earlier call returned it: got {tuple(shift.shape)}"
        )
    return shift


def start_matrix(
    num_heads: int, V: int, K: int, query_std: float = 1.0, beta_init: float = 0.0
) -> Tensor:
    """Draw the matrix to start from, (H, V + 2 K + 4, K), as in [1].

    All entries are normal with standard deviation ``1 / sqrt(K)``; the query rows have
    `query_std` times that, and the rows of the learning rates the mean `beta_init`.
    """
    W = torch.randn(num_heads, V + 2 * K + 4, K) / K**0.5
    W[:, V : V + K] *= query_std
    W[:, -4:] += beta_init
    return W


class FakeSR(nn.Module):
    """The same layer with a matrix that never changes: what is left without writes [1].

    Takes what `SRWM` takes first; ``forward`` returns no state.
    """

    norm_on = "residual"

    def __init__(self, d_model: int, num_heads: int = 1) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        K = self.head_size
        self.W = nn.Parameter(torch.randn(num_heads, K, K) / K**0.5)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def extra_repr(self) -> str:
        """Name the number of heads."""
        return f"num_heads={self.num_heads}"

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Map `x` (B, T, D) to the same shape; there is no state."""
        backends.check_input(x, self.out)
        u = x.unflatten(-1, (self.num_heads, self.head_size))
        y = (self.W @ u[..., None])[..., 0]
        return self.out(y.flatten(start_dim=2)), None


class SRDelta(SRWM):
    """A self-referential matrix that programs a delta memory [1].

    The output rows make query, key, value and write strength of a `delta_rule`: in a
    `srwm_lite.delta_rule.DeltaNet` only the slow weights are replaced. Takes what
    `SRWM` takes; the state is ``(shift, memory)``.

    ::

        (q, k, v, beta) = W_y u         and W rewrites itself
        y = delta_rule(softmax(q), softmax(k), v, sigmoid(beta))
    """

    @property
    def outputs(self) -> int:
        """Return the number of rows that program the memory, 3 K + 1."""
        return 3 * self.head_size + 1

    def forward(  # type: ignore[override]
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Map `x` (B, T, D) to the same shape; `state` is ``(shift, memory)``."""
        shift, memory = (None, None) if state is None else state
        h, shift = self.read_and_rewrite(x, shift)
        q, k, v, beta = h.split([self.head_size] * 3 + [1], dim=-1)
        q, k = q.softmax(dim=-1), k.softmax(dim=-1)
        beta = self.writes * beta[..., 0].sigmoid()
        memory = memory if self.carry else None
        y, memory = delta_rule(q, k, v, beta, memory)
        return self.out(y.flatten(start_dim=2)), (shift, memory)
