"""Baselines from outside the book: softmax attention and the LSTM.

Chapters  chapters/02_fast_weights.ipynb and every later one
Tests     tests/test_models.py, tests/test_baselines.py
Sources   [1] Vaswani et al. (2017), arXiv:1706.03762.
          [2] Hochreiter & Schmidhuber (1997); Gers, Schmidhuber & Cummins (2000).

Shapes    B batch, T time, H heads, L time seen so far, D model width.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from srwm_lite import backends
from srwm_lite.linear_attention import head_size


class SoftmaxAttention(nn.Module):
    """Causal softmax attention [1], the baseline; its state grows with time.

    Parameters
    ----------
    d_model : int
        Width D of input and output.
    num_heads : int
        Number H of heads; must divide `d_model`.

    Attributes
    ----------
    writes : bool
        Set to False to switch the memory off: every value becomes zero.
    """

    def __init__(self, d_model: int, num_heads: int = 1) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        self.writes = True
        self.slow = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return f"num_heads={self.num_heads}"

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Map `x` (B, T, D) likewise; `state` is all keys and values so far."""
        backends.check_input(x, self.slow)
        h = self.slow(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        q, k, v = h.chunk(3, dim=-1)
        v = v * self.writes
        if state is not None:
            _check_past(state, k)
            k, v = (torch.cat(pair, dim=2) for pair in zip(state, (k, v), strict=True))
        T, L = x.shape[1], k.shape[2]
        seen = torch.ones(T, L, dtype=torch.bool, device=x.device).tril(L - T)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return self.out(y.transpose(1, 2).flatten(start_dim=2)), (k, v)


def _check_past(state: tuple[Tensor, Tensor], k: Tensor) -> None:
    B, H, _, K = k.shape
    for past in state if isinstance(state, tuple) and len(state) == 2 else [None]:
        shape = past.shape if isinstance(past, Tensor) else ()
        if len(shape) != 4 or shape[:2] + shape[3:] != (B, H, K):
            raise ValueError(
                f"state must be keys and values (B, H, L, K) = ({B}, {H}, L, {K}), as "
                f"an earlier call returned them: got {tuple(shape) or type(state)}"
            )


class LSTM(nn.Module):
    """The LSTM of torch in the frame of the other layers [2].

    Parameters
    ----------
    d_model : int
        Width D of input and output, and number of cells.
    num_heads : int
        Must divide `d_model`, as elsewhere, and changes nothing: an LSTM has no heads.

    Attributes
    ----------
    writes : bool
        Set to False to switch the memory off: every step starts from the zero state.
    recurrence : bool
        Set to False to switch the recurrent weights off. The cells still carry on, each
        for itself.
    """

    def __init__(self, d_model: int, num_heads: int = 1) -> None:
        super().__init__()
        head_size(d_model, num_heads)
        self.writes = self.recurrence = True
        self.lstm = nn.LSTM(d_model, d_model, batch_first=True)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Map `x` (B, T, D) likewise; `state` is (h, c), each (B, D)."""
        self._check(x)
        (B, T, D), shape = x.shape, (x.shape[0], self.lstm.hidden_size)
        h, c = backends.start_state(state, x, h=shape, c=shape)
        if not self.writes:
            y, _ = self.lstm(x.reshape(B * T, 1, D))
            return y.reshape(B, T, D), (h, c)
        name = "weight_hh_l0"
        W = torch.zeros_like(self.lstm.get_parameter(name))
        replaced = {} if self.recurrence else {name: W}
        y, (h, c) = functional_call(self.lstm, replaced, (x, (h[None], c[None])))
        return y, (h[0], c[0])

    def _check(self, x: Tensor) -> None:
        backends.check_rank("BTD", x=x)
        if 0 in x.shape[1:] or x.shape[2] != self.lstm.input_size:
            raise ValueError(
                f"x must have T >= 1 steps and D = {self.lstm.input_size} entries: got "
                f"x {tuple(x.shape)}"
            )
        backends.check_alike(weight=self.lstm.get_parameter("weight_ih_l0"), x=x)
