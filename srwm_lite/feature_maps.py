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

from srwm_lite.arguments import check_alike, check_tensor, check_whole


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
    _check(x)
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
        Capacity factor, 1 to ``2 K - 1``. There is no more room beyond ``K - 1``: the
        block of ``nu = K`` is zero, and later blocks repeat products of earlier ones.

    Returns
    -------
    Tensor, (..., 2 K nu)

    Raises
    ------
    ValueError
        If `nu` is out of its range.
    """
    _check(x)
    most = 2 * x.shape[-1] - 1
    if not isinstance(nu, int) or not 1 <= nu <= most:
        raise ValueError(
            f"nu must be a whole number from 1 to 2 K - 1 = {most}: got {nu!r}"
        )
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
    _check(x)
    check_tensor(projection=projection)
    if projection.dim() != 2 or projection.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"projection must have shape (m, K) with K = {x.shape[-1]}: "
            f"got {tuple(projection.shape)}"
        )
    check_alike(x=x, projection=projection)
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
    check_whole(1, m=m, K=K)
    blocks = math.ceil(m / K)
    gaussian = torch.randn(blocks, K, K, generator=generator)
    directions = torch.linalg.qr(gaussian).Q.reshape(-1, K)[:m]
    lengths = torch.randn(m, K, generator=generator).norm(dim=-1, keepdim=True)
    return directions * lengths


def sum_normalise(x: Tensor) -> Tensor:
    """Divide by the sum, so that the entries add up to one [2].

    Equation: eq:sum-norm ::

        sn(x)_j = x_j / sum_i x_i

    Meant for the output of a non-negative feature map. Where the sum is zero, nothing
    is divided: zeros stay zeros, and signed entries such as [1, -1] stay as they are.

    Parameters
    ----------
    x : Tensor, (..., K)

    Returns
    -------
    Tensor, (..., K)
    """
    _check(x)
    total = x.sum(dim=-1, keepdim=True)
    return x / total.masked_fill(total == 0, 1)


def unit_norm(x: Tensor) -> Tensor:
    """Divide by the Euclidean length, so that the vector has length one.

    Equation: eq:unit-norm ::

        x / |x|

    The zero vector has no direction and stays zero. Any other vector of finite numbers
    has length one, however short or long: it is first scaled by its largest entry,
    rounded to a power of two, which costs no digit.

    Parameters
    ----------
    x : Tensor, (..., K)

    Returns
    -------
    Tensor, (..., K)
    """
    _check(x)
    largest = x.detach().abs().amax(dim=-1, keepdim=True)
    power = torch.frexp(largest).exponent - 1
    return functional.normalize(
        x / torch.ones_like(largest).ldexp(power), dim=-1, eps=0.5
    )


def _check(x: Tensor) -> None:
    check_tensor(x=x)
    if x.dim() < 1 or not x.is_floating_point():
        raise ValueError(
            f"x must be floating point, (..., K): got {x.dtype} {tuple(x.shape)}; "
            "use x.float()"
        )


def check_map(feature_map: Any) -> None:
    """Raise ``TypeError`` unless `feature_map` is a function."""
    if not callable(feature_map):
        raise TypeError(
            f"feature_map must be a function of a tensor: got {feature_map!r}; use "
            "elu_plus_one, or lambda x: x for none"
        )


def name_of(function: Callable[..., Any] | None) -> str:
    """Return how a feature map is called, the same in every process."""
    if isinstance(function, functools.partial):
        options = [*map(repr, function.args)]
        options += [f"{key}={value!r}" for key, value in function.keywords.items()]
        return f"{name_of(function.func)}({', '.join(options)})"
    if function is None:
        return "None"
    return getattr(function, "__name__", type(function).__name__)
