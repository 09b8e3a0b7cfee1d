"""Look at arguments at the door: say which one is wrong, and what would be right.

Chapter   every chapter, where something was passed that does not fit
Tests     tests/test_backends.py, and the tests of whoever checks
"""

from typing import Any

import torch
from torch import Tensor, nn


def check_agree(axes: str, **tensors: Tensor) -> None:
    """Raise ``ValueError`` unless all tensors agree in their leading axes.

    Parameters
    ----------
    axes : str
        Names of the leading axes, for example ``"BTH"``.
    **tensors : Tensor
        The tensors by name; the first one is the measure.
    """
    (first, a), *rest = tensors.items()
    n = len(axes)
    for name, b in rest:
        if a.shape[:n] != b.shape[:n]:
            raise ValueError(
                f"{first} and {name} must agree in ({', '.join(axes)}): "
                f"got {first} {tuple(a.shape)}, {name} {tuple(b.shape)}"
            )


def check_tensor(**tensors: Any) -> None:
    """Raise ``TypeError`` unless all are tensors."""
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name} must be a torch.Tensor, got {type(x).__name__}: "
                f"use torch.tensor(...)"
            )


def check_input(x: Tensor, slow: nn.Linear) -> None:
    """Raise unless `x` (B, T, D) is what the slow weights of a layer take."""
    check_rank("BTD", x=x)
    if x.shape[-1] != slow.in_features:
        raise ValueError(
            f"x must have D = {slow.in_features} entries: got x {tuple(x.shape)}"
        )
    check_alike(weight=slow.weight, x=x)


def check_rank(shape: str, **tensors: Tensor) -> None:
    """Raise ``ValueError`` unless every tensor has as many axes as `shape` names.

    Also refuses what is not a floating-point tensor: ``(B, T, H, K)`` in float32 or
    float64 is what the sequence functions work on.
    """
    check_tensor(**tensors)
    for name, x in tensors.items():
        if x.dim() != len(shape):
            raise ValueError(
                f"{name} must have shape ({', '.join(shape)}): got {tuple(x.shape)}"
            )
        if not x.is_floating_point():
            raise ValueError(
                f"{name} must be floating point, got {x.dtype}: use {name}.float()"
            )


def check_index(limit: str, size: int, **indices: Tensor) -> None:
    """Raise ``ValueError`` unless all tensors hold integers from 0 to ``size - 1``.

    Parameters
    ----------
    limit : str
        What `size` is called where the user set it.
    size : int
        First integer that is too large.
    **indices : Tensor
        The tensors by name.
    """
    check_tensor(**indices)
    for name, x in indices.items():
        if x.is_floating_point() or x.dtype == torch.bool:
            raise ValueError(f"{name} must hold integers, got {x.dtype}")
        if x.numel() and not 0 <= x.min() <= x.max() < size:
            raise ValueError(
                f"{name} must be from 0 to {limit} - 1 = {size - 1}: "
                f"got {int(x.min())} to {int(x.max())}"
            )


def check_whole(least: int, **numbers: Any) -> None:
    """Raise ``ValueError`` unless all are whole numbers, `least` or more.

    Parameters
    ----------
    least : int
        The smallest number that is right.
    **numbers
        Each by its name; integers of NumPy are as good, 2.0 and True are not.
    """
    for name, x in numbers.items():
        whole = hasattr(x, "__index__") and not isinstance(x, bool | Tensor)
        if not whole or x < least:
            kind = "positive" if least == 1 else f"{least} or more"
            raise ValueError(f"{name} must be a whole number, {kind}: got {x!r}")


def check_alike(**tensors: Tensor) -> None:
    """Raise ``ValueError`` unless all tensors share dtype and device."""
    (first, a), *rest = tensors.items()
    for name, b in rest:
        if (a.dtype, a.device) != (b.dtype, b.device):
            raise ValueError(
                f"{first} and {name} must share dtype and device: got {first} "
                f"{a.dtype} on {a.device}, {name} {b.dtype} on {b.device}; "
                f"use {name}.to({first})"
            )


def check_range(low: float, high: float, **numbers: float) -> None:
    """Raise ``ValueError`` unless all lie from `low` to `high`; NaN does not."""
    for name, x in numbers.items():
        if not low <= x <= high:
            raise ValueError(f"{name} must be from {low} to {high}: got {x}")


def check_flag(**flags: Any) -> None:
    """Raise ``TypeError`` unless all are True or False."""
    for name, x in flags.items():
        if not isinstance(x, bool):
            raise TypeError(f"{name} must be True or False: got {x!r}")
