"""Describe a kernel's arguments to the C++ that runs it.

Tests     tests/test_emulator.py
"""

import ctypes
from typing import Any

import numpy as np
from torch import Tensor

GAP = 4096  # bytes between arrays, so that a step too far is seen
INTEGER, REAL, POINTER = 1, 2, 3


class Argument(ctypes.Structure):
    """Mirror ``struct Argument`` in ``fibers.h``."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("size", ctypes.c_int),
        ("value", ctypes.c_void_p),
    )


class Memory:
    """One argument of a kernel: where it lies, and what kind of thing it is."""

    def __init__(self, value: Any) -> None:
        self.kind, self.size, self.count = POINTER, 0, 0
        self.address: int | None = None
        if isinstance(value, np.generic):
            self.kind = REAL if isinstance(value, np.floating) else INTEGER
            self.size, self.scalar = value.nbytes, np.array(value)
        elif value is not None:
            self.array = _dense(value)
            self.size, self.count = self.array.itemsize, self.array.nbytes
            self.address = self.array.ctypes.data

    def argument(self) -> Argument:
        """Return it as the C++ wants it."""
        if self.kind != POINTER:
            return Argument(self.kind, self.size, self.scalar.ctypes.data)
        self.pointer = ctypes.c_void_p(self.address)
        return Argument(self.kind, self.size, ctypes.addressof(self.pointer))

    def content(self) -> bytes:
        """Return all of it as bytes."""
        if self.kind != POINTER:
            return self.scalar.tobytes()
        return self.array.tobytes() if self.count else b""


def _dense(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().numpy()
    if not isinstance(value, np.ndarray):
        raise TypeError(
            "a kernel takes tensors, arrays, None, or NumPy scalars such as "
            f"np.int32(3): got {type(value).__name__}"
        )
    if not value.flags.c_contiguous:
        raise ValueError(
            "a kernel would ignore the strides of this array: pass x.contiguous()"
        )
    return value


class Arena:
    """Copies of all arrays, with gaps where a step too far is seen."""

    def __init__(self, memory: list[Memory]) -> None:
        self.memory = [m for m in memory if m.count]
        room = sum(m.count + GAP + 256 for m in self.memory) + GAP
        self.bytes = np.full(room, 255, np.uint8)
        place = self.bytes.ctypes.data + GAP
        for m in self.memory:
            place += -place % 256
            ctypes.memmove(place, m.array.ctypes.data, m.count)
            m.address, place = place, place + m.count + GAP
        self.addresses = (ctypes.c_void_p * len(memory))(*(m.address for m in memory))
        self.sizes = (ctypes.c_long * len(memory))(*(m.count for m in memory))

    def copy_back(self) -> None:
        """Bring the results to the caller's arrays."""
        for m in self.memory:
            ctypes.memmove(m.array.ctypes.data, m.address or 0, m.count)
