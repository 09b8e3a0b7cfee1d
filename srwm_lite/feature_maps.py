"""Feature maps: what is done to keys and queries before they meet.

Chapter   chapters/04_feature_maps.ipynb
Tests     tests/test_feature_maps.py
Sources   [1] Katharopoulos et al. (2020), arXiv:2006.16236.
          [2] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 5.
          [3] Choromanski et al. (2021), arXiv:2009.14794.

Shapes    any leading axes; the last axis holds the K features.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def elu_plus_one(x: Tensor) -> Tensor:
    """Map every entry to a positive number [1].

    Equation: eq:elu ::

        phi(x) = elu(x) + 1 = x + 1 if x > 0, else exp(x)

    Parameters
    ----------
    x : Tensor, (..., K)

    Returns
    -------
    Tensor, (..., K)
    """
    return functional.elu(x) + 1


def dpfp(x: Tensor, nu: int = 1) -> Tensor:
    """Project to more dimensions with products of rectified entries [2].

    Equation: eq:dpfp ::

        r = relu([x, -x])
        phi(x) = [r * roll(r, 1), ..., r * roll(r, nu)]

    Deterministic and free of parameters; the K entries become ``2 K nu``.

    Parameters
    ----------
    x : Tensor, (..., K)
    nu : int
        Capacity factor, 1 to ``2 K - 1``.

    Returns
    -------
    Tensor, (..., 2 K nu)

    Raises
    ------
    ValueError
        If `nu` is out of its range.
    """
    most = 2 * x.shape[-1] - 1
    if not 1 <= nu <= most:
        raise ValueError(f"nu must be from 1 to 2 K - 1 = {most}: got {nu}")
    r = torch.cat([x, -x], dim=-1).relu()
    return torch.cat([r * r.roll(j, dims=-1) for j in range(1, nu + 1)], dim=-1)


def favor_plus(x: Tensor, projection: Tensor) -> Tensor:
    """Approximate the softmax kernel with positive random features [3].

    Equation: eq:favor ::

        phi(x) = exp(-|x|^2 / 2) / sqrt(2 m) [exp(P x), exp(-P x)]

    On average over P, ``phi(q) . phi(k) = exp(q . k)``. Divide q and k by ``K**0.25``
    first to imitate attention with its usual temperature.

    Parameters
    ----------
    x : Tensor, (..., K)
    projection : Tensor, (m, K)
        Random directions, see `orthogonal_projection`.

    Returns
    -------
    Tensor, (..., 2 m)

    Raises
    ------
    ValueError
        If `projection` does not have K columns.
    """
    if projection.dim() != 2 or projection.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"projection must have shape (m, K) with K = {x.shape[-1]}: "
            f"got {tuple(projection.shape)}"
        )
    m = projection.shape[0]
    px = x @ projection.T
    norm = x.square().sum(dim=-1, keepdim=True) / 2
    return torch.cat([px - norm, -px - norm], dim=-1).exp() / math.sqrt(2 * m)


def orthogonal_projection(
    m: int, K: int, generator: torch.Generator | None = None
) -> Tensor:
    """Draw m directions, orthogonal within blocks of K, as long as Gaussian vectors.

    Parameters
    ----------
    m, K : int
        Number of directions and their size.
    generator : torch.Generator, optional
        Source of randomness.

    Returns
    -------
    Tensor, (m, K)
    """
    blocks = math.ceil(m / K)
    gaussian = torch.randn(blocks, K, K, generator=generator)
    directions = torch.linalg.qr(gaussian).Q.reshape(-1, K)[:m]
    lengths = torch.randn(m, K, generator=generator).norm(dim=-1, keepdim=True)
    return directions * lengths


def sum_normalise(x: Tensor) -> Tensor:
    """Divide by the sum, so that the entries add up to one [2].

    Equation: eq:sum-norm ::

        sn(x)_j = x_j / sum_i x_i

    Meant for the output of a non-negative feature map; where the sum is zero there is
    nothing to scale and the result is zero.

    Parameters
    ----------
    x : Tensor, (..., K)

    Returns
    -------
    Tensor, (..., K)
    """
    total = x.sum(dim=-1, keepdim=True)
    return x / total.masked_fill(total == 0, 1)


def unit_norm(x: Tensor) -> Tensor:
    """Divide by the Euclidean length, so that the vector has length one.

    Equation: eq:unit-norm ::

        x / |x|

    The zero vector has no direction and stays zero.

    Parameters
    ----------
    x : Tensor, (..., K)

    Returns
    -------
    Tensor, (..., K)
    """
    return functional.normalize(x, dim=-1)


def name_of(function: Callable[..., Any] | None) -> str:
    """Return how a feature map is called, the same in every process."""
    if isinstance(function, functools.partial):
        options = [*map(repr, function.args)]
        options += [f"{key}={value!r}" for key, value in function.keywords.items()]
        return f"{name_of(function.func)}({', '.join(options)})"
    if function is None:
        return "None"
    return getattr(function, "__name__", type(function).__name__)
