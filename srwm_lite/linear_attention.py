"""Linear attention: attention without softmax is a memory of outer products.

Chapter   chapters/03_linear_attention.ipynb
Kernel    kernels/linear_attention.cpp, launched by kernels/linear_attention.py
Tests     tests/test_linear_attention.py
Sources   [1] Katharopoulos et al. (2020), arXiv:2006.16236, eqs. 16-20.
          [2] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 4.

Shapes    B batch, T time, H heads, K key size, V value size, D model width.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.feature_maps import check_map, elu_plus_one, name_of
from srwm_lite.outer_product import read, write
from srwm_lite.scan import scan

CHUNK = 32


def sum_step(W: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Write one association, then read.

    Equation: eq:linear-attention ::

        W = W + v ⊗ k
        y = W q

    Parameters
    ----------
    W : Tensor, (B, H, V, K)
    q, k : Tensor, (B, H, K)
    v : Tensor, (B, H, V)

    Returns
    -------
    W : Tensor, (B, H, V, K)
    y : Tensor, (B, H, V)
    """
    W = write(W, k, v)
    return W, read(W, q)


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    W: Tensor | None = None,
    *,
    normalise: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run `sum_step` over a sequence.

    With ``normalise=True`` every answer is divided by the total weight it was given.

    Equation: eq:linear-attention-normalised ::

        z_t = z_{t-1} + k_t
        y_t = W_t q_t / (z_t . q_t)

    `z` is kept as one more row of `W`, written by a value that is always one. Where the
    denominator is zero nothing is divided, and the answer is ``W_t q_t``: zero if `q`
    and `k` are non-negative, for then no key matches; with signed ones a bare sum.

    Parameters
    ----------
    q, k : Tensor, (B, T, H, K)
        Queries and keys, already feature-mapped.
    v : Tensor, (B, T, H, V)
    W : Tensor, (B, H, V, K), optional
        Fast weights to start from, zeros if omitted; (B, H, V + 1, K) if normalised.
    normalise : bool
        Divide by ``z . q``; wants non-negative `q` and `k`.
    backend : str
        ``"auto"``, ``"loop"``, ``"chunk"``, ``"fused"``, ``"cuda"`` or ``"emulated"``,
        see `srwm_lite.backends.choose`.

    Returns
    -------
    y : Tensor, (B, T, H, V)
    W : Tensor, (B, H, V, K)
        The fast weights after the last step; (B, H, V + 1, K) if normalised.

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree.
    """
    backends.check_rank("BTHK", q=q, k=k)
    backends.check_rank("BTHV", v=v)
    backends.check_agree("BTHK", k=k, q=q)
    backends.check_agree("BTH", k=k, v=v)
    backends.check_alike(k=k, q=q, v=v)
    if normalise:
        v = torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)
    W = backends.start(W, k, v.shape[-1])
    inputs = {"q": q, "k": k, "v": v}
    backends.record(backends.Call("linear_attention", sum_step, W, inputs, normalise))
    run = backends.choose("linear_attention", backend, IN_TORCH, q, v)
    y, W = run(q, k, v, W)
    if normalise:
        total = y[..., -1:]
        y = y[..., :-1] / total.masked_fill(total == 0, 1)
    return y, W


def _loop(q: Tensor, k: Tensor, v: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
    return scan(sum_step, W, q, k, v)


def chunk_linear_attention(
    q: Tensor, k: Tensor, v: Tensor, W: Tensor, size: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Compute `linear_attention` with matrix products over chunks of time.

    ::

        Y = Q W^T + tril(Q K^T) V        inside a chunk that starts with W
        W = W + V^T K                    at its end

    Takes and returns what `linear_attention` does; `size` is the length of a chunk.
    """
    backends.check_whole(1, size=size)
    T = q.shape[1]
    size = min(size, T)
    q, k, v = (in_chunks(x, size) for x in (q, k, v))
    written = v.mT @ k
    after = W[:, :, None] + written.cumsum(dim=2)
    before = torch.cat([W[:, :, None], after[:, :, :-1]], dim=2)
    y = q @ before.mT + (q @ k.mT).tril() @ v
    return y.flatten(2, 3)[:, :, :T].transpose(1, 2), after[:, :, -1]


def in_chunks(x: Tensor, size: int, fill: float = 0.0) -> Tensor:
    """Cut (B, T, H, ...) into (B, H, chunks, size, ...); `fill` ends the last chunk."""
    x = x.transpose(1, 2)
    shape = (*x.shape[:2], -x.shape[2] % size, *x.shape[3:])
    return torch.cat([x, x.new_full(shape, fill)], dim=2).unflatten(2, (-1, size))


IN_TORCH = {"chunk": chunk_linear_attention, "loop": _loop}


class LinearAttention(nn.Module):
    """A layer whose slow weights program an outer-product memory [1].

    Parameters
    ----------
    d_model : int
        Width D of input and output.
    num_heads : int
        Number H of memories; must divide `d_model`.
    feature_map : callable
        Applied to queries and keys; `srwm_lite.feature_maps.elu_plus_one` by default.
    normalise : bool
        Divide answers by the total weight, as attention does.

    Attributes
    ----------
    writes : bool
        Set to False to switch the memory off: nothing is written any more.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int = 1,
        *,
        feature_map: Callable[[Tensor], Tensor] = elu_plus_one,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        check_map(feature_map)
        backends.check_flag(normalise=normalise)
        self.feature_map, self.normalise = feature_map, normalise
        self.writes = True
        self.slow = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return (
            f"num_heads={self.num_heads}, feature_map={name_of(self.feature_map)}, "
            f"normalise={self.normalise}"
        )

    def program(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the slow net writes: q, k and v, (B, T, H, ...) each."""
        backends.check_input(x, self.slow)
        q, k, v = self.slow(x).unflatten(-1, (self.num_heads, -1)).chunk(3, dim=-1)
        return self.feature_map(q), self.feature_map(k), v * self.writes

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map `x` (B, T, D) to the same shape; `state` is the memory to go on with."""
        q, k, v = self.program(x)
        y, W = linear_attention(q, k, v, state, normalise=self.normalise)
        return self.out(y.flatten(start_dim=2)), W


def head_size(d_model: int, num_heads: int) -> int:
    """Return D / H, or raise ``ValueError`` if H does not divide D."""
    backends.check_whole(1, d_model=d_model, num_heads=num_heads)
    if d_model % num_heads:
        raise ValueError(f"num_heads={num_heads} does not divide d_model={d_model}")
    return d_model // num_heads
