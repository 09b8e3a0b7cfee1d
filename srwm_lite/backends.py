"""Choose who computes a sequence, and let a recorder listen.

Every sequence function has several implementations that agree: the readable loop, a
form made of matrix products, C++ compiled on first use, later CUDA. This module picks
one. It also tells whoever records (`srwm_lite.trace`) which sequences were run.

Chapter   chapters/03_linear_attention.ipynb, chapters/06_parallel_delta.ipynb
Tests     tests/test_backends.py
"""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from srwm_lite.scan import Step

Run = Callable[..., tuple[Tensor, Tensor]]
NAMES = ("auto", "loop", "chunk", "fused", "cuda", "emulated")


class Call(NamedTuple):
    """One run of a sequence function, as told to the recorders.

    `normalise` says that the last row of the state sums the keys and divides the rest.
    """

    idea: str
    step: Step
    state: Tensor
    inputs: dict[str, Tensor]
    normalise: bool = False


recorders: list[Callable[[Call], None]] = []


class BackendUnavailableError(RuntimeError):
    """The wanted backend cannot serve here; the message says why and what to do."""


def kernel(idea: str, kind: str) -> Run:
    """Return ``srwm_lite.kernels.<idea>.<kind>``, ready to run.

    Raises
    ------
    BackendUnavailableError
        With the reason and the remedy (no compiler, no GPU, not written yet).
    """
    try:
        module = importlib.import_module(f"srwm_lite.kernels.{idea}")
        return getattr(module, kind)()
    except (ImportError, AttributeError) as error:
        raise BackendUnavailableError(
            f"backend {kind!r} does not exist for {idea}: use 'auto', 'chunk' or 'loop'"
        ) from error
    except RuntimeError as error:
        raise BackendUnavailableError(
            f"backend {kind!r} is unavailable: {error}"
        ) from error


def choose(idea: str, backend: str, python: Mapping[str, Run], *x: Tensor) -> Run:
    """Return the implementation of `idea` that `backend` names.

    Parameters
    ----------
    idea : str
        Stem of the kernel module, such as ``"delta_rule"``.
    backend : str
        ``"loop"`` (the readable reference, any device), ``"chunk"`` (matrix products,
        any device), ``"fused"`` (C++, CPU tensors), ``"cuda"``, ``"emulated"``, or
        ``"auto"``: the fastest that serves.
    python : mapping
        The implementations written in torch, fastest first.
    *x : Tensor
        The inputs, to know device and dtype.

    Raises
    ------
    ValueError
        If `backend` is no name of a backend.
    BackendUnavailableError
        If it is one, but cannot serve.
    """
    if backend in python:
        return python[backend]
    if backend not in NAMES:
        raise ValueError(f"no backend {backend!r}: use one of {', '.join(NAMES)}")
    if backend != "auto":
        return kernel(idea, backend)
    if x[0].dtype not in (torch.float32, torch.float64):
        return python["loop"]  # half precision: no kernel computes it
    try:
        return kernel(idea, "cuda" if x[0].is_cuda else "fused")
    except BackendUnavailableError as error:
        _say_once(idea, str(error))
        return next(iter(python.values()))


_said: set[str] = set()


def _say_once(idea: str, reason: str) -> None:
    if reason not in _said and "does not exist" not in reason:
        _said.add(reason)
        warnings.warn(f"Plain torch computes {idea}: {reason}", stacklevel=4)


def record(call: Call) -> None:
    """Tell every recorder which sequence is being run."""
    for listen in recorders:
        listen(call)


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


def check_rank(shape: str, **tensors: Tensor) -> None:
    """Raise ``ValueError`` unless every tensor has as many axes as `shape` names.

    Also refuses what is not a floating-point tensor: ``(B, T, H, K)`` in float32 or
    float64 is what the sequence functions work on.
    """
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
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


def start(W: Tensor | None, k: Tensor, rows: int) -> Tensor:
    """Return the fast weights to start from: `W` if it fits, else zeros.

    Also refuses a sequence without steps, heads or entries, which nobody can run.

    Parameters
    ----------
    W : Tensor, (B, H, rows, K), or None
    k : Tensor, (B, T, H, K)
    rows : int
        Number of rows of W, usually V.
    """
    B, T, H, K = k.shape
    if 0 in (T, H, K, rows):
        raise ValueError(
            f"the sequence is empty: T, H, K and V must be positive, "
            f"got k {tuple(k.shape)}, V = {rows}"
        )
    if W is None:
        return k.new_zeros(B, H, rows, K)
    check_rank("BHVK", W=W)
    if W.shape != (B, H, rows, K):
        raise ValueError(
            f"W must have shape (B, H, V, K) = {(B, H, rows, K)}: got {tuple(W.shape)}"
        )
    check_alike(k=k, W=W)
    return W
