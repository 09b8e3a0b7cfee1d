"""Run a function for an exercise, and compare what comes out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from srwm_lite.checks.exercise import Exercise, Function, Sizes

TOLERANCE = 1e-4


class Outcome(NamedTuple):
    """What a function did with one set of arguments."""

    sizes: Sizes
    value: Any
    error: Exception | None
    changed: tuple[str, ...]


def run(exercise: Exercise, function: Function, sizes: Sizes, args: Any) -> Outcome:
    """Call `function` with copies of `args`, and see what happens."""
    copies = [x.clone() if isinstance(x, Tensor) else x for x in args]
    try:
        value, error = function(*copies), None
    except Exception as caught:
        value, error = None, caught
    changed = tuple(
        spec.name
        for spec, old, new in zip(exercise.inputs, args, copies, strict=True)
        if isinstance(old, Tensor) and not same(old, new)
    )
    return Outcome(sizes, value, error, changed)


def same(a: Any, b: Any) -> bool:
    """Tell whether two answers agree, in every part, within the tolerance."""
    if isinstance(a, tuple) or isinstance(b, tuple):
        alike = isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b)
        return alike and all(same(x, y) for x, y in zip(a, b, strict=True))
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a.shape != b.shape:
        return False
    if a.is_complex() or b.is_complex():
        return False
    near = {"rtol": TOLERANCE, "atol": TOLERANCE}
    return torch.allclose(a.double(), b.double(), **near, equal_nan=True)


def parts(*answers: Any) -> list[tuple[Any, ...]]:
    """Line up the parts of answers; nothing if they have different numbers of them."""
    tuples = [x if isinstance(x, tuple) else (x,) for x in answers]
    alike = len({len(x) for x in tuples}) == 1
    return list(zip(*tuples, strict=True)) if alike else []


def gradients(function: Function, args: Sequence[Any]) -> list[Tensor]:
    """Return the gradient of some loss with respect to every tensor in `args`."""
    copies = [x.clone().requires_grad_() if is_tensor(x) else x for x in args]
    leaves = [x for x in copies if is_tensor(x)]
    value = function(*copies)
    results = value if isinstance(value, tuple) else (value,)
    loss = torch.stack([(x.sin() * x).sum() for x in results]).sum()
    if not loss.requires_grad:
        return [torch.zeros_like(x) for x in leaves]
    grads = torch.autograd.grad(loss, leaves, materialize_grads=True, allow_unused=True)
    return list(grads)


def is_tensor(x: Any) -> bool:
    """Tell whether `x` is a tensor, and not a number such as nu."""
    return isinstance(x, Tensor)


def plain(x: Any) -> str:
    """Write a tensor as nested lists, whole numbers without a point."""
    if isinstance(x, Tensor):
        return plain(x.tolist())
    if isinstance(x, list):
        return f"[{', '.join(plain(y) for y in x)}]"
    return f"{x:.4g}" if isinstance(x, float) else str(x)
