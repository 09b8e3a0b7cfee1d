"""Hand tensors to compiled C++ and share the sequences out among threads.

Tests     tests/test_kernels_fused.py
"""

import ctypes
from collections.abc import Callable
from threading import Thread
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd import Function

from .compile import REAL, load

WORTH_A_THREAD = 1 << 19  # writes into W; fewer are done before a thread has started
torch.empty(1 << 22)  # glibc then keeps what is freed: new memory costs a fault a page


class Array(ctypes.Structure):
    """Mirror ``struct Array`` in ``vectors.h``: an address and three strides."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        *((axis, ctypes.c_int64) for axis in ("b", "t", "h")),
    )
    tensor: Tensor | None = None  # keeps the memory alive


class Size(ctypes.Structure):
    """Mirror ``struct Size`` in ``vectors.h``."""

    _fields_ = tuple((axis, ctypes.c_int64) for axis in ("T", "H", "K", "V"))


def rows(x: Tensor | None) -> Array:
    """Describe (B, T, H) or (B, T, H, K); copy only if the last axis is not dense.

    None stands for what this kernel does not use, or for zeros.
    """
    if x is None:
        return Array()
    if x.dim() == 4 and x.stride(-1) != 1:
        x = x.contiguous()
    array = Array(x.data_ptr(), *x.stride()[:3])
    array.tensor = x
    return array


def matrix(W: Tensor | None) -> Array:
    """Describe fast weights (B, H, V, K)."""
    array = rows(W)
    array.t, array.h = array.h, array.t
    return array


def run(idea: str, name: str, k: Tensor, v: Tensor, *arrays: Array) -> None:
    """Call C function `name` of `idea` for all sequences, on torch's threads."""
    B, T, H, K = k.shape
    sequences, work = B * H, k.numel() * v.shape[-1]
    function = getattr(load(idea, k.dtype), name)
    x, size = (Array * len(arrays))(*arrays), ctypes.byref(Size(T, H, K, v.shape[-1]))
    n = max(1, min(torch.get_num_threads(), sequences, work // WORTH_A_THREAD))
    cuts = [ctypes.c_int64(sequences * i // n) for i in range(n + 1)]
    threads = [
        Thread(target=function, args=(x, size, *cuts[i : i + 2])) for i in range(1, n)
    ]
    for thread in threads:
        thread.start()
    function(x, size, *cuts[:2])
    for thread in threads:
        thread.join()


def check(**tensors: Tensor) -> None:
    """Raise ``ValueError`` for tensors that the C++ cannot compute."""
    for name, x in tensors.items():
        if x.dtype not in REAL or x.device.type != "cpu":
            raise ValueError(
                f"backend 'fused' computes float32 and float64 on the CPU: got {name} "
                f"{x.dtype} on {x.device}; use backend='loop' or move and convert it"
            )


def ready(idea: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, or raise ``RuntimeError`` if `idea` cannot be compiled."""
    if isinstance(problem := load(idea), str):
        raise RuntimeError(problem)
    return function


class Once(Function):
    """Compute gradients by a function that cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, gradients: Callable[..., Any], *x: Tensor | None) -> Any:
        """Return ``gradients(*x)``."""
        return gradients(*x)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> NoReturn:
        """Refuse."""
        raise RuntimeError(
            "a compiled kernel has no second derivatives: use backend='loop'"
        )
