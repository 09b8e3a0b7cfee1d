"""Check what the reader writes for an exercise, and name the mistake.

::

    from srwm_lite.checks import check
    check("delta_step", my_delta_step)

Chapter   every chapter
Tests     tests/test_checks.py
"""

from srwm_lite.checks import (  # noqa: F401  (they register their exercises)
    delta,
    features,
    few_shot,
    linear,
    memory,
    parallel,
    programs,
    recurrent,
    recurrent_matrix,
    self_reference,
    sequences,
    state,
    switch,
    text,
    vsml,
)
from srwm_lite.checks.exercise import Exercise, Function, register, registry
from srwm_lite.checks.judge import verdict

__all__ = ["check", "describe", "names", "register"]


def check(name: str, function: Function) -> None:
    """Print whether `function` solves the exercise, or which mistake it makes.

    The function is run on random arguments of several shapes, in float64. What it
    returns is compared with the reference and then with the known mistakes.

    Parameters
    ----------
    name : str
        One of `names`; `describe` says what the function gets and must return.
    function : callable

    Raises
    ------
    ValueError
        If there is no such exercise.
    """
    print(f"{name}: {verdict(_find(name), function)}")


def describe(name: str) -> str:
    """Return what the function of an exercise gets, and what it must return."""
    exercise = _find(name)
    gets = "; ".join(map(str, exercise.inputs))
    returns = "; ".join(map(str, exercise.outputs))
    return f"{exercise.call}\n{exercise.task}\n  gets     {gets}\n  returns  {returns}"


def names() -> list[str]:
    """Return the names of all exercises."""
    return sorted(registry)


def _find(name: str) -> Exercise:
    if name not in registry:
        raise ValueError(f"no exercise {name!r}: there are {', '.join(names())}")
    return registry[name]
