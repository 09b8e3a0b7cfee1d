"""The delta rule: a memory that corrects itself instead of only adding.

Chapters  chapters/05_delta_rule.ipynb, chapters/06_parallel_delta.ipynb
Kernel    kernels/delta_rule.cpp, launched by kernels/delta_rule.py
Tests     tests/test_delta_rule.py
Sources   [1] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, eqs. 23-25.
          [2] Widrow & Hoff (1960), "Adaptive switching circuits".
          [3] Yang et al. (2024), arXiv:2406.06484 (the chunkwise form).
          [4] Yang, Kautz & Hatamizadeh (2025), arXiv:2412.06464 (the gated rule).
          [5] Grazzi et al. (2025), arXiv:2411.12537 (beta up to two).

Shapes    B batch, T time, H heads, K key size, V value size, D model width.
"""

from collections.abc import Callable

from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.feature_maps import check_map, elu_plus_one, name_of, sum_normalise
from srwm_lite.linear_attention import head_size
from srwm_lite.outer_product import read, write
from srwm_lite.parallel_delta import chunk_delta_rule, chunk_gated_delta_rule
from srwm_lite.scan import scan


def delta_step(
    W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """Move the value stored under `k` towards `v`, then read with `q`.

    Equation: eq:delta-rule ::

        W = W + beta (v - W k) ⊗ k
        y = W q

    Parameters
    ----------
    W : Tensor, (B, H, V, K)
    q, k : Tensor, (B, H, K)
        Query and key; ``beta = 1`` overwrites exactly if ``|k| = 1``.
    v : Tensor, (B, H, V)
        New value for the key.
    beta : Tensor, (B, H)
        Write strength in [0, 1]; up to 2 with unit keys, see [5].

    Returns
    -------
    W : Tensor, (B, H, V, K)
    y : Tensor, (B, H, V)
    """
    backends.check_tensor(v=v, beta=beta)
    error = v - read(W, k)
    W = write(W, k, beta[..., None] * error)
    return W, read(W, q)


def gated_delta_step(
    W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Let the whole memory fade by `alpha`, then take a `delta_step`.

    Equation: eq:gated-delta ::

        W = alpha W
        W = W + beta (v - W k) ⊗ k
        y = W q

    Parameters
    ----------
    W, q, k, v, beta
        As in `delta_step`.
    alpha : Tensor, (B, H)
        What is kept of the memory, in [0, 1].

    Returns
    -------
    W : Tensor, (B, H, V, K)
    y : Tensor, (B, H, V)
    """
    backends.check_tensor(W=W, alpha=alpha)
    return delta_step(alpha[..., None, None] * W, q, k, v, beta)


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    W: Tensor | None = None,
    *,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run `delta_step` over a sequence.

    Parameters
    ----------
    q, k : Tensor, (B, T, H, K)
    v : Tensor, (B, T, H, V)
    beta : Tensor, (B, T, H)
    W : Tensor, (B, H, V, K), optional
        Fast weights to start from; zeros if omitted.
    backend : str
        ``"auto"``, ``"loop"``, ``"chunk"``, ``"fused"``, ``"cuda"`` or ``"emulated"``,
        see `srwm_lite.backends.choose`.

    Returns
    -------
    y : Tensor, (B, T, H, V)
    W : Tensor, (B, H, V, K)
        The fast weights after the last step.

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree.
    """
    W = _check(q, k, v, W, beta=beta)
    inputs = {"q": q, "k": k, "v": v, "beta": beta}
    backends.record(backends.Call("delta_rule", delta_step, W, inputs))
    run = backends.choose("delta_rule", backend, DELTA_IN_TORCH, q, v)
    return run(*inputs.values(), W)


def gated_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    alpha: Tensor,
    W: Tensor | None = None,
    *,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run `gated_delta_step` over a sequence.

    Takes and returns what `delta_rule` does, and `alpha` (B, T, H): what is kept of the
    memory at each step, in [0, 1]. ``alpha = 1`` is the delta rule.
    """
    W = _check(q, k, v, W, beta=beta, alpha=alpha)
    inputs = {"q": q, "k": k, "v": v, "beta": beta, "alpha": alpha}
    backends.record(backends.Call("gated_delta_rule", gated_delta_step, W, inputs))
    run = backends.choose("gated_delta_rule", backend, GATED_IN_TORCH, q, v)
    return run(*inputs.values(), W)


def _check(
    q: Tensor, k: Tensor, v: Tensor, W: Tensor | None, **strengths: Tensor
) -> Tensor:
    backends.check_rank("BTHK", q=q, k=k)
    backends.check_rank("BTHV", v=v)
    backends.check_rank("BTH", **strengths)
    backends.check_agree("BTHK", k=k, q=q)
    backends.check_agree("BTH", k=k, v=v, **strengths)
    backends.check_alike(k=k, q=q, v=v, **strengths)
    return backends.start(W, k, v.shape[-1])


def _loop(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, W: Tensor
) -> tuple[Tensor, Tensor]:
    return scan(delta_step, W, q, k, v, beta)


def _gated_loop(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, alpha: Tensor, W: Tensor
) -> tuple[Tensor, Tensor]:
    return scan(gated_delta_step, W, q, k, v, beta, alpha)


DELTA_IN_TORCH = {"chunk": chunk_delta_rule, "loop": _loop}
GATED_IN_TORCH = {"chunk": chunk_gated_delta_rule, "loop": _gated_loop}


def positive_sum_one(x: Tensor) -> Tensor:
    """Map to positive entries that add up to one: ELU + 1, then sum-normalise [1]."""
    return sum_normalise(elu_plus_one(x))


class DeltaNet(nn.Module):
    """A fast weight programmer that writes with the delta rule [1].

    The slow weights are one linear map from the input to ``(q, k, v, beta)``; the fast
    weights are the memory `W` they program. Layer norm, residual and feed-forward part
    belong to the block around it, see `srwm_lite.models`.

    Parameters
    ----------
    d_model : int
        Width D of the input and output.
    num_heads : int
        Number H of independent memories; must divide `d_model`.
    feature_map : callable
        Applied to queries and keys: `positive_sum_one` as in [1], or
        `srwm_lite.feature_maps.unit_norm`.
    beta_max : float
        Write strengths are ``beta_max * sigmoid(...)``; 2 allows reflections [5].
    gated : bool
        Also learn a decay `alpha` = sigmoid(...) and use the gated rule [4].

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
        feature_map: Callable[[Tensor], Tensor] = positive_sum_one,
        beta_max: float = 1.0,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads, self.head_size = num_heads, head_size(d_model, num_heads)
        check_map(feature_map)
        backends.check_range(0, 2, beta_max=beta_max)
        backends.check_flag(gated=gated)
        self.feature_map, self.beta_max = feature_map, beta_max
        self.gated, self.writes = gated, True
        rows = 3 * self.head_size + 1 + gated
        self.slow = nn.Linear(d_model, num_heads * rows, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return (
            f"num_heads={self.num_heads}, feature_map={name_of(self.feature_map)}, "
            f"beta_max={self.beta_max}, gated={self.gated}"
        )

    def program(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return what the slow net writes: q, k, v, beta, and alpha if gated."""
        backends.check_input(x, self.slow)
        h = self.slow(x).unflatten(-1, (self.num_heads, -1))
        q, k, v, strengths = h.split([self.head_size] * 3 + [1 + self.gated], dim=-1)
        beta, *alpha = strengths.sigmoid().unbind(dim=-1)
        beta = self.writes * self.beta_max * beta
        return self.feature_map(q), self.feature_map(k), v, beta, *alpha

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map `x` (B, T, D) to the same shape; `state` is the memory to go on with."""
        q, k, v, beta, *alpha = self.program(x)
        if alpha:
            y, W = gated_delta_rule(q, k, v, beta, alpha[0], state)
        else:
            y, W = delta_rule(q, k, v, beta, state)
        return self.out(y.flatten(start_dim=2)), W
