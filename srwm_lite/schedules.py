"""Learning rates that rise and fall while a model learns.

Chapters  whoever trains for long; first used in srwm_lite/experiments
Tests     tests/test_schedules.py
"""

import functools
import math
from collections.abc import Callable

from srwm_lite.arguments import check_range, check_whole

Schedule = Callable[[int], float]


def warmup_cosine(steps: int, warmup: int = 0, last: float = 0.0) -> Schedule:
    """Return a schedule: a straight rise to 1, then half a cosine down to `last`.

    Parameters
    ----------
    steps : int
        Steps of the whole run.
    warmup : int
        Steps until the factor is 1.
    last : float
        Where the fall would end, one step after the run.
    """
    return _schedule(_half_cosine, steps, warmup, last)


def warmup_linear(steps: int, warmup: int = 0, last: float = 0.0) -> Schedule:
    """Return a schedule: a straight rise to 1, then a straight fall to `last`."""
    return _schedule(_line, steps, warmup, last)


def _schedule(
    fall: Callable[[float], float], steps: int, warmup: int, last: float
) -> Schedule:
    check_whole(1, steps=steps)
    check_whole(0, warmup=warmup)
    check_range(0, 1, last=last)
    if warmup >= steps:
        raise ValueError(f"warmup must be less than steps={steps}: got {warmup}")
    return functools.partial(_factor, fall, steps, warmup, last)


def _factor(
    fall: Callable[[float], float], steps: int, warmup: int, last: float, step: int
) -> float:
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = min(1.0, (step - warmup) / (steps - warmup))
    return last + (1 - last) * fall(done)


def _half_cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _line(done: float) -> float:
    return 1 - done
