"""Whole models: layers stacked into a network, and switches for their memories.

Chapters  chapters/02_fast_weights.ipynb and every later one
Tests     tests/test_models.py

Shapes    B batch, T time, D model width.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.associative_memory import AssociativeMemory
from srwm_lite.baselines import LSTM, SoftmaxAttention
from srwm_lite.delta_rule import DeltaNet

__all__ = [
    "LSTM",
    "AssociativeMemory",
    "SequenceModel",
    "SoftmaxAttention",
    "recurrence_off",
    "writes_off",
]

Layer = Callable[[int, int], nn.Module]


class Block(nn.Module):
    """A mixing layer and a feed-forward part, each behind a layer norm and a residual.

    ::

        x = x + layer(norm(x))
        x = x + feed_forward(norm(x))

    A layer with the attribute ``norm_on`` may have its norm elsewhere: for
    ``"residual"`` the first line is ``x = norm(x) + layer(x)``, and for ``"none"``
    ``x = x + layer(x)``, as `srwm_lite.srwm.SRWM` was published.

    Parameters
    ----------
    d_model : int
        Width D.
    layer : Module
        Maps ``(x, state)`` to ``(y, state)``, such as `DeltaNet`.
    d_hidden : int
        Width inside the feed-forward part.
    """

    def __init__(self, d_model: int, layer: nn.Module, d_hidden: int) -> None:
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(d_model), layer
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(d_model),
            nn.Linear(d_model, d_hidden),
            nn.ReLU(),
            nn.Linear(d_hidden, d_model),
        )

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Map `x` (B, T, D) to the same shape, and the layer's state to the next."""
        norm_on = getattr(self.layer, "norm_on", "layer")
        h = x if norm_on == "none" else self.norm(x)
        y, state = self.layer(h if norm_on == "layer" else x, state)
        x = (h if norm_on == "residual" else x) + y
        return x + self.feed_forward(x), state


class SequenceModel(nn.Module):
    """Embed, run n blocks, read out: the frame around every layer of the book.

    Parameters
    ----------
    num_in : int
        Number of tokens, or size of the input vectors if `tokens` is False.
    num_out : int
        Number of outputs at every time step.
    d_model : int
        Width D of the blocks.
    layer : callable
        ``layer(d_model, num_heads)`` makes the mixing layer: `DeltaNet`,
        `srwm_lite.linear_attention.LinearAttention`, `SoftmaxAttention`, ...
    num_layers, num_heads : int
        Number of blocks, and of heads in each.
    tokens : bool
        Inputs are integers (B, T); if False, vectors (B, T, num_in).
    d_hidden : int, optional
        Width inside the feed-forward parts; ``4 * d_model`` if omitted.

    There is no position encoding: the memory itself knows the order.
    """

    def __init__(
        self,
        num_in: int,
        num_out: int,
        d_model: int,
        *,
        layer: Layer = DeltaNet,
        num_layers: int = 1,
        num_heads: int = 1,
        tokens: bool = True,
        d_hidden: int | None = None,
    ) -> None:
        super().__init__()
        d_hidden = 4 * d_model if d_hidden is None else d_hidden
        sizes = {"num_in": num_in, "num_out": num_out, "d_model": d_model}
        backends.check_whole(1, **sizes, num_layers=num_layers, d_hidden=d_hidden)
        backends.check_flag(tokens=tokens)
        self.num_in, self.tokens = num_in, tokens
        self.embed = (nn.Embedding if tokens else nn.Linear)(num_in, d_model)
        self.blocks = nn.ModuleList(
            Block(d_model, layer(d_model, num_heads), d_hidden)
            for _ in range(num_layers)
        )
        self.read_out = nn.Sequential(
            nn.LayerNorm(d_model), nn.Linear(d_model, num_out)
        )

    def forward(
        self, x: Tensor, states: Sequence[Any] | None = None
    ) -> tuple[Tensor, list[Any]]:
        """Return outputs (B, T, num_out) and the state of every block.

        Parameters
        ----------
        x : Tensor, (B, T) integers or (B, T, num_in)
        states : sequence, optional
            What an earlier call returned, to go on where it stopped.
        """
        self._check(x, states)
        h, new = self.embed(x.long() if self.tokens else x), []
        for block, state in zip(
            self.blocks, states or [None] * len(self.blocks), strict=True
        ):
            h, state = block(h, state)
            new.append(state)
        return self.read_out(h), new

    def _check(self, x: Tensor, states: Sequence[Any] | None) -> None:
        backends.check_tensor(x=x)
        if self.tokens:
            backends.check_index("num_in", self.num_in, x=x)
        if x.dim() != 3 - self.tokens or (
            not self.tokens and x.shape[2] != self.num_in
        ):
            wanted = "(B, T)" if self.tokens else f"(B, T, {self.num_in})"
            raise ValueError(f"x must have shape {wanted}: got {tuple(x.shape)}")
        if not self.tokens:
            backends.check_alike(weight=self.embed.weight, x=x)
        n, listed = len(self.blocks), isinstance(states, list | tuple)
        if states is not None and not (listed and len(states) == n):
            got = len(states) if listed else type(states).__name__
            raise ValueError(
                f"states must be a list, one state for each of the {n} blocks, as an "
                f"earlier call returned it: got {got}"
            )


@contextmanager
def writes_off(model: nn.Module) -> Iterator[None]:
    """Switch off every memory in `model` for a while: the causal test of a claim.

    Raises
    ------
    ValueError
        If no part of `model` has the attribute ``writes``.
    """
    with _off(model, "writes"):
        yield


@contextmanager
def recurrence_off(model: nn.Module) -> Iterator[None]:
    """Let no layer of `model` hear its own output for a while.

    Raises
    ------
    ValueError
        If no part of `model` has the attribute ``recurrence``.
    """
    with _off(model, "recurrence"):
        yield


@contextmanager
def _off(model: nn.Module, switch: str) -> Iterator[None]:
    parts = [part for part in model.modules() if hasattr(part, switch)]
    if not parts:
        raise ValueError(f"{type(model).__name__} has no part with a switch {switch!r}")
    before = [getattr(part, switch) for part in parts]
    try:
        for part in parts:
            setattr(part, switch, False)
        yield
    finally:
        for part, was in zip(parts, before, strict=True):
            setattr(part, switch, was)
