"""The first fast weight programmer: one net writes the weights of another.

Chapter   chapters/02_fast_weights.ipynb
Tests     tests/test_fast_weights.py
Sources   [1] Schmidhuber (1991), report FKI-147-91; Neural Computation 4(1), 1992.
          [2] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, eqs. 1-3.

Shapes    B batch, T time, H heads (one here), K input size, V output size.
"""

from collections.abc import Callable

from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.feature_maps import name_of
from srwm_lite.outer_product import read, write
from srwm_lite.scan import scan

Squash = Callable[[Tensor], Tensor]


def fast_weight_step(
    W: Tensor, x: Tensor, k: Tensor, v: Tensor, squash: Squash | None = None
) -> tuple[Tensor, Tensor]:
    """Change the fast weights as the slow net says, then run the fast net on `x`.

    Equation: eq:fwp ::

        W = squash(W + v ⊗ k)
        y = W x

    Parameters
    ----------
    W : Tensor, (B, H, V, K)
        The weights of the fast net.
    x, k : Tensor, (B, H, K)
        Input of the fast net, and the FROM pattern of the slow net.
    v : Tensor, (B, H, V)
        The TO pattern of the slow net.
    squash : callable, optional
        Keeps every weight in bounds, such as ``torch.tanh``; nothing if omitted.

    Returns
    -------
    W : Tensor, (B, H, V, K)
    y : Tensor, (B, H, V)
    """
    W = write(W, k, v)
    W = W if squash is None else _squashed(W, squash)
    return W, read(W, x)


def _squashed(W: Tensor, squash: Squash) -> Tensor:
    squashed = squash(W)
    if getattr(squashed, "shape", None) != W.shape:
        got = getattr(squashed, "shape", type(squashed).__name__)
        raise ValueError(
            f"squash must keep the shape of W {tuple(W.shape)}: got {got}; use a "
            "function of every entry, such as torch.tanh"
        )
    return squashed


def _check_squash(squash: Squash | None) -> None:
    if squash is not None and not callable(squash):
        raise TypeError(
            f"squash must be a function such as torch.tanh, or None: got {squash!r}"
        )


def fast_weights(
    x: Tensor,
    k: Tensor,
    v: Tensor,
    W: Tensor | None = None,
    *,
    squash: Squash | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run `fast_weight_step` over a sequence.

    Parameters
    ----------
    x, k : Tensor, (B, T, H, K)
    v : Tensor, (B, T, H, V)
    W : Tensor, (B, H, V, K), optional
        Fast weights to start from; zeros if omitted.
    squash : callable, optional
        Applied to every fast weight after each write.
    backend : str
        ``"auto"`` or ``"loop"``; without a squash also ``"fused"``, since the rule is
        then the one of `srwm_lite.linear_attention`. A squash leaves only the loop.

    Returns
    -------
    y : Tensor, (B, T, H, V)
    W : Tensor, (B, H, V, K)

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree, or for another backend.
    """
    backends.check_rank("BTHK", x=x, k=k)
    backends.check_rank("BTHV", v=v)
    backends.check_agree("BTHK", k=k, x=x)
    backends.check_agree("BTH", k=k, v=v)
    backends.check_alike(k=k, x=x, v=v)
    _check_squash(squash)
    if backend == "chunk" or (squash and backend not in ("auto", "loop")):
        raise ValueError(
            f"fast_weights cannot run as {backend!r}: use 'loop', or without a squash "
            "linear_attention, which computes the same"
        )
    W = backends.start(W, k, v.shape[-1])

    def step(W: Tensor, x: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return fast_weight_step(W, x, k, v, squash)

    inputs = {"q": x, "k": k, "v": v}
    backends.record(backends.Call("fast_weights", step, W, inputs))

    def loop(x: Tensor, k: Tensor, v: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        return scan(step, W, x, k, v)

    if squash is None:
        run = backends.choose("linear_attention", backend, {"loop": loop}, x)
    else:
        run = loop
    return run(x, k, v, W)


class FastWeightProgrammer(nn.Module):
    """Two nets of 1991: the slow one programs the fast one with outer products [1].

    Equation: eq:fwp, with ``v = W_a x`` and ``k = W_b x`` from the slow net.

    Parameters
    ----------
    d_model : int
        Size K of the input of both nets.
    d_out : int, optional
        Size V of the output of the fast net; `d_model` if omitted.
    squash : callable, optional
        Keeps the fast weights in bounds, such as ``torch.tanh``.

    Attributes
    ----------
    writes : bool
        Set to False to switch the slow net's programming off.
    """

    def __init__(
        self, d_model: int, d_out: int | None = None, *, squash: Squash | None = None
    ) -> None:
        super().__init__()
        _check_squash(squash)
        d_out = d_model if d_out is None else d_out
        backends.check_whole(1, d_model=d_model, d_out=d_out)
        self.sizes = [d_out, d_model]
        self.squash, self.writes = squash, True
        self.slow = nn.Linear(d_model, sum(self.sizes), bias=False)

    def extra_repr(self) -> str:
        """Name what the slow weights do not show."""
        return f"sizes={self.sizes}, squash={name_of(self.squash)}"

    def program(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slow net's instruction: TO pattern v and FROM pattern k."""
        backends.check_input(x, self.slow)
        v, k = self.slow(x)[:, :, None].split(self.sizes, dim=-1)
        return v * self.writes, k

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map `x` (B, T, D) to (B, T, d_out); `state` holds the fast weights."""
        v, k = self.program(x)
        y, W = fast_weights(x[:, :, None], k, v, state, squash=self.squash)
        return y[:, :, 0], W
