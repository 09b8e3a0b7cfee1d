"""The gated delta rule: ``delta_rule.cpp`` and ``.cu`` compiled with ``-DGATED=1``."""

from collections.abc import Callable
from typing import Any

from .cuda import ready
from .delta_rule import GATED_ON_CHIP
from .delta_rule import gated as fused

__all__ = ["cuda", "emulated", "fused"]


def cuda() -> Callable[..., Any]:
    """Return the CUDA C++ for tensors on a GPU, or raise ``RuntimeError``."""
    return ready(GATED_ON_CHIP, "cuda")


def emulated() -> Callable[..., Any]:
    """Return the CUDA C++ run on the CPU, or raise ``RuntimeError``."""
    return ready(GATED_ON_CHIP, "emulated")
