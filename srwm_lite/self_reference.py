"""One matrix that makes its own keys, queries and learning rates, and rewrites itself.

Chapter   chapters/11_srwm.ipynb
Kernel    kernels/srwm.cpp and kernels/srwm.cu, launched by kernels/srwm.py
Tests     tests/test_srwm.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2022), arXiv:2202.05780, eqs. 5-8,
              with four learning rates as in section 3.2.

Shapes    B batch, T time, H heads, K input size, V output size. The matrix W has
          V + 2 K + 4 rows, in the order y | q | k | beta; the last four make one
          learning rate for each of the four blocks.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from srwm_lite import backends
from srwm_lite.outer_product import read, write
from srwm_lite.scan import scan

BLOCKS = ("y", "q", "k", "beta")


def self_reference_step(
    W: Tensor, u: Tensor, live: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Read everything from `W`, then let what was read rewrite it [1].

    Equation: eq:srwm ::

        y, q, k, b = W u                     the rows of W in four blocks
        q = softmax(q),  k = softmax(k),  b = sigmoid(b)
        X = X + b_X (X q - X k) ⊗ k          for X in W_y, W_q, W_k, W_beta

    The output is read before the matrix changes. Both values come from the same matrix,
    so one read with ``q - k`` finds their difference.

    Parameters
    ----------
    W : Tensor, (B, H, V + 2 K + 4, K)
    u : Tensor, (B, H, K)
        Input.
    live : Tensor, (4,), optional
        Factor for the learning rate of each block, y, q, k, beta: 0 freezes a block.

    Returns
    -------
    W : Tensor, (B, H, V + 2 K + 4, K)
    y : Tensor, (B, H, V)
    """
    y, q, k, b = generate(W, u)
    b = b if live is None else b * live
    return write(W, k, spread(b, W) * read(W, q - k)), y


def generate(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what `W` says about `u`: output, query, key and four learning rates.

    Parameters
    ----------
    W : Tensor, (..., V + 2 K + 4, K)
    u : Tensor, (..., K)

    Returns
    -------
    y : Tensor, (..., V)
    q, k : Tensor, (..., K)
        Positive, with sum one.
    b : Tensor, (..., 4)
        In (0, 1), for the rows y, q, k and beta.
    """
    y, q, k, b = read(W, u).split(block_sizes(W), dim=-1)
    return y, q.softmax(dim=-1), k.softmax(dim=-1), b.sigmoid()


def block_sizes(W: Tensor) -> list[int]:
    """Return the number of rows of the blocks y, q, k and beta: V, K, K and 4."""
    rows, K = W.shape[-2:]
    return [rows - 2 * K - 4, K, K, 4]


def spread(b: Tensor, W: Tensor) -> Tensor:
    """Give every row of `W` the learning rate of its block, (..., V + 2 K + 4)."""
    sizes = torch.tensor(block_sizes(W), device=b.device)
    return b.repeat_interleave(sizes, dim=-1, output_size=W.shape[-2])


def self_reference(
    u: Tensor,
    W: Tensor,
    *,
    frozen: Collection[str] = (),
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run `self_reference_step` over a sequence.

    Parameters
    ----------
    u : Tensor, (B, T, H, K)
        Input.
    W : Tensor, (B, H, V + 2 K + 4, K)
        The matrix to start from. There is no default: from zeros nothing can grow.
    frozen : collection of str
        Blocks that do not change: any of ``"y"``, ``"q"``, ``"k"`` and ``"beta"``.
    backend : str
        ``"auto"``, ``"loop"``, ``"fused"``, ``"cuda"`` or ``"emulated"``, see
        `srwm_lite.backends.choose`. There is no form in chunks: what is written at a
        step decides the keys of the next.

    Returns
    -------
    y : Tensor, (B, T, H, V)
    W : Tensor, (B, H, V + 2 K + 4, K)
        The matrix after the last step.

    Raises
    ------
    ValueError
        If shapes, dtypes or devices disagree, or `frozen` names no block.
    """
    _check(u, W)
    live = u.new_tensor([block not in frozen for block in _known(frozen)])
    if backends.recorders:
        _record(u, W, live)
    rows = W[:, :, : block_sizes(W)[0]].mT  # the last sizes, K and V, are what decides
    run = backends.choose("srwm", backend, {"loop": _loop}, u, rows)
    return run(u, W, live)


def _loop(u: Tensor, W: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
    return scan(lambda W, u: self_reference_step(W, u, live), W, u)


def _check(u: Tensor, W: Tensor) -> None:
    backends.check_rank("BTHK", u=u)
    backends.check_rank("BHRK", W=W)
    backends.check_alike(u=u, W=W)
    B, T, H, K = u.shape
    least = 2 * K + 5
    if W.shape[:2] != (B, H) or W.shape[3] != K or W.shape[2] < least:
        raise ValueError(
            f"W must have shape (B, H, V + 2 K + 4, K) = ({B}, {H}, {least} or more, "
            f"{K}) to fit u {tuple(u.shape)}: got W {tuple(W.shape)}"
        )
    if 0 in (T, H, K):
        raise ValueError(
            f"the sequence is empty: T, H and K must be positive, got u "
            f"{tuple(u.shape)}"
        )


def _known(frozen: Collection[str]) -> tuple[str, ...]:
    names = [frozen] if isinstance(frozen, str) else list(frozen)
    for name in names:
        if name not in BLOCKS:
            raise ValueError(
                f"frozen must name blocks of W, of {', '.join(BLOCKS)}: got {name!r}"
            )
    return BLOCKS


def _record(u: Tensor, W: Tensor, live: Tensor) -> None:
    """Tell the recorders of the four blocks: each is a memory that is written."""
    made: list[tuple[Tensor, ...]] = []

    def step(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        _, q, k, b = generate(W, u)
        made.append((k, read(W, q), b * live))
        return self_reference_step(W, u, live)

    with torch.no_grad():
        scan(step, W, u)
    k, new, b = (torch.stack(x, dim=1) for x in zip(*made, strict=True))
    sizes = block_sizes(W)
    parts = W.split(sizes, dim=2), new.split(sizes, dim=-1), b.unbind(dim=-1)
    for block, X, v, beta in zip(BLOCKS, *parts, strict=True):
        inputs = {"q": u, "k": k, "v": v, "beta": beta}
        backends.record(backends.Call(f"srwm.{block}", read_first_step, X, inputs))


def read_first_step(
    W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """Read with `q`, then move the value under `k` towards `v`: the film of a block.

    ::

        y = W q
        W = W + beta (v - W k) ⊗ k
    """
    error = v - read(W, k)
    return write(W, k, beta[..., None] * error), read(W, q)


__all__ = [
    "BLOCKS",
    "block_sizes",
    "generate",
    "read_first_step",
    "self_reference",
    "self_reference_step",
    "spread",
]
