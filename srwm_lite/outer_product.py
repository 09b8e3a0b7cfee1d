"""A matrix as a memory: write with an outer product, read with a product.

Chapter   chapters/01_outer_product.ipynb
Tests     tests/test_outer_product.py
Sources   Steinbuch (1961), "Die Lernmatrix"; Kohonen (1972) and Anderson (1972) on
          correlation matrix memories; Schlag, Irie & Schmidhuber (2021),
          arXiv:2102.11174, section 2.

Shapes    V value size, K key size; any leading axes (batch, heads) are carried along.
"""

import torch
from torch import Tensor

from srwm_lite.arguments import check_tensor


def write(W: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Add the association of key `k` with value `v` to the memory.

    Equation: eq:write ::

        W = W + v ⊗ k            (v ⊗ k)_ij = v_i k_j

    Parameters
    ----------
    W : Tensor, (..., V, K)
    k : Tensor, (..., K)
    v : Tensor, (..., V)

    Returns
    -------
    Tensor, (..., V, K)
        A new matrix; `W` itself is left alone. Leading axes are broadcast: one `W`
        (V, K) and five keys (5, K) make five memories, not one that holds five pairs.

    Raises
    ------
    TypeError, ValueError
        If one is no tensor, `v` does not have V entries or `k` does not have K, or the
        leading axes do not fit.
    """
    _check(W, k=(k, "K", -1), v=(v, "V", -2))
    return W + v[..., :, None] * k[..., None, :]


def read(W: Tensor, q: Tensor) -> Tensor:
    """Ask the memory what is stored under `q`.

    Equation: eq:read ::

        y = W q                  y_i = sum_j W_ij q_j

    Parameters
    ----------
    W : Tensor, (..., V, K)
    q : Tensor, (..., K)

    Returns
    -------
    Tensor, (..., V)

    Raises
    ------
    TypeError, ValueError
        If one is no tensor, `q` does not have K entries, or the leading axes do not
        fit.
    """
    _check(W, q=(q, "K", -1))
    return (W * q[..., None, :]).sum(dim=-1)


def _check(W: Tensor, **vectors: tuple[Tensor, str, int]) -> None:
    check_tensor(W=W, **{name: x for name, (x, *_) in vectors.items()})
    for name, (x, letter, axis) in vectors.items():
        if W.dim() < 2 or x.dim() < 1 or x.shape[-1] != W.shape[axis]:
            size = W.shape[axis] if W.dim() >= 2 else "?"
            raise ValueError(
                f"{name} must have {letter} = {size} entries to fit W (..., V, K) "
                f"{tuple(W.shape)}: got {name} {tuple(x.shape)}"
            )
        if x.shape[:-1] != W.shape[:-2] and not _fit(x.shape[:-1], W.shape[:-2]):
            raise ValueError(
                f"{name} and W must agree in their leading axes, or lack them: got "
                f"{name} {tuple(x.shape)}, W {tuple(W.shape)}"
            )


def _fit(*shapes: torch.Size) -> bool:
    pairs = zip(*(reversed(shape) for shape in shapes), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)
