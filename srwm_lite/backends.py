"""Choose who computes a sequence, and let a recorder listen.

Every sequence function has several implementations that agree: the readable loop, a
form made of matrix products, C++ compiled on first use, later CUDA. This module picks
one. It also tells whoever records (`srwm_lite.trace`) which sequences were run.

Chapter   chapters/03_linear_attention.ipynb, chapters/06_parallel_delta.ipynb
Tests     tests/test_backends.py
"""

import importlib
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from srwm_lite.arguments import (
    check_agree,
    check_alike,
    check_flag,
    check_index,
    check_input,
    check_range,
    check_rank,
    check_tensor,
    check_whole,
)
from srwm_lite.scan import Step

__all__ = [
    "NAMES",
    "BackendUnavailableError",
    "Call",
    "check_agree",
    "check_alike",
    "check_flag",
    "check_index",
    "check_input",
    "check_range",
    "check_rank",
    "check_tensor",
    "check_whole",
    "choose",
    "kernel",
    "record",
    "recorders",
    "refuse_empty",
    "start",
    "start_state",
]

Run = Callable[..., Any]
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


def kernel(idea: str, kind: str, in_torch: Collection[str] = ("loop", "chunk")) -> Run:
    """Return ``srwm_lite.kernels.<idea>.<kind>``, ready to run.

    `in_torch` names what else there is, for the message.

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
            f"backend {kind!r} does not exist for {idea}: use one of "
            f"{_there(idea, in_torch)}"
        ) from error
    except RuntimeError as error:
        raise BackendUnavailableError(
            f"backend {kind!r} is unavailable: {error}"
        ) from error


def _there(idea: str, in_torch: Collection[str]) -> str:
    """Name the backends that exist for `idea` so far."""
    try:
        module = importlib.import_module(f"srwm_lite.kernels.{idea}")
    except ImportError:
        module = None
    there = {"auto", *in_torch, *(n for n in NAMES[3:] if hasattr(module, n))}
    return ", ".join(n for n in NAMES if n in there)


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
        Keys or queries and values: their device and sizes decide.

    Raises
    ------
    ValueError
        If `backend` is no name of a backend.
    BackendUnavailableError
        If it is one, but cannot serve.
    """
    if backend not in NAMES:
        raise ValueError(f"no backend {backend!r}: use one of {_there(idea, python)}")
    if backend in python:
        return python[backend]
    if backend != "auto":
        return kernel(idea, backend, python)
    if x[0].dtype not in (torch.float32, torch.float64):
        return python["loop"]  # half precision: no kernel computes it
    in_torch = next(iter(python.values()))
    try:
        run = kernel(idea, "cuda" if x[0].is_cuda else "fused")
    except BackendUnavailableError as error:
        _say_once(idea, str(error))
        return in_torch
    size = max(a.shape[-1] for a in x)
    return run if size <= getattr(run, "largest", size) else in_torch


_said: set[str] = set()


def _say_once(idea: str, reason: str) -> None:
    if reason not in _said and "does not exist" not in reason:
        _said.add(reason)
        warnings.warn(f"Plain torch computes {idea}: {reason}", stacklevel=4)


def record(call: Call) -> None:
    """Tell every recorder which sequence is being run."""
    for listen in recorders:
        listen(call)


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
    B, _, H, K = k.shape
    refuse_empty(k, rows)
    if W is None:
        return k.new_zeros(B, H, rows, K)
    check_rank("BHVK", W=W)
    if W.shape != (B, H, rows, K):
        raise ValueError(
            f"W must have shape (B, H, V, K) = {(B, H, rows, K)}: got {tuple(W.shape)}"
        )
    check_alike(k=k, W=W)
    return W


def refuse_empty(k: Tensor, rows: int) -> None:
    """Raise ``ValueError`` if there is no time step, head, key or value entry."""
    if 0 in (*k.shape[1:], rows):
        raise ValueError(
            f"the sequence is empty: T, H, K and V must be positive, "
            f"got k {tuple(k.shape)}, V = {rows}"
        )


def start_state(
    state: Sequence[Tensor] | None, like: Tensor, **shapes: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """Return the state to start from: `state` if its parts fit, else zeros.

    Parameters
    ----------
    state : tuple of Tensors, or None
        As an earlier call returned it.
    like : Tensor
        Whose dtype and device the parts share.
    **shapes : tuple of int
        The shape of every part, by name and in order.
    """
    if state is None:
        return tuple(like.new_zeros(shape) for shape in shapes.values())
    names = ", ".join(shapes)
    if not isinstance(state, list | tuple) or len(state) != len(shapes):
        kind = type(state).__name__
        got = f"{len(state)} parts" if isinstance(state, list | tuple) else kind
        raise ValueError(
            f"state must be ({names}) as an earlier call returned it: got {got}"
        )
    parts = dict(zip(shapes, state, strict=True))
    check_tensor(**parts)
    for name, shape in shapes.items():
        if parts[name].shape != shape:
            raise ValueError(
                f"{name} in state ({names}) must have shape {shape}: "
                f"got {tuple(parts[name].shape)}"
            )
    check_alike(inputs=like, **parts)
    return tuple(state)
