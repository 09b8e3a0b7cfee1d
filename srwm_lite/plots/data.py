"""Read what a figure shows: matrices, curves over seeds, groups of values."""

from collections.abc import Mapping

import torch
from torch import Tensor

Series = Mapping[str, object]


def as_matrix(W: object) -> Tensor:
    """Return `W` as a matrix in float64, or raise ``ValueError`` with its shape."""
    W = torch.as_tensor(W).detach().cpu().double()
    if W.dim() != 2 or not W.numel():
        raise ValueError(
            f"a matrix must have shape (V, K), none of them 0: got {tuple(W.shape)}; "
            "choose one of the batch and one head, such as W[0, 0]"
        )
    return W


def as_series(x: object, series: Series) -> tuple[Tensor, dict[str, Tensor]]:
    """Return `x` (points,) and every series as (seeds, points), in float64."""
    x = torch.as_tensor(x).detach().cpu().double()
    curves = {
        name: torch.atleast_2d(torch.as_tensor(y).detach().cpu().double())
        for name, y in series.items()
    }
    if not curves or x.dim() != 1 or not len(x):
        raise ValueError("curves need points: x (points,) and at least one series")
    for name, y in curves.items():
        if y.dim() != 2 or y.shape[1] != len(x):
            raise ValueError(
                f"series {name!r} must have shape (seeds, points) with {len(x)} "
                f"points, as x has: got {tuple(y.shape)}"
            )
    return x, curves


def as_groups(groups: Series) -> dict[str, Tensor]:
    """Return the values of every group as (seeds,), in float64."""
    values = {
        name: torch.atleast_1d(torch.as_tensor(y).detach().cpu().double())
        for name, y in groups.items()
    }
    if not values or any(y.dim() != 1 or not len(y) for y in values.values()):
        shapes = {name: tuple(y.shape) for name, y in values.items()}
        raise ValueError(f"bars need one value or (seeds,) values each: got {shapes}")
    return values
