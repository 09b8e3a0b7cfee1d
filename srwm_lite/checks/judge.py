"""Compare a reader's function with the reference and with the known mistakes."""

import inspect
import linecache
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import permutations
from typing import Any

from torch import Tensor

from srwm_lite.checks.exercise import Exercise, Function, Sizes, Tensors
from srwm_lite.checks.outcome import (
    Outcome,
    gradients,
    is_tensor,
    parts,
    plain,
    run,
    same,
)

CUT = "use tensor operations, not detach(), item(), tolist(), no_grad() or tensor()"


def verdict(exercise: Exercise, function: Function) -> str:
    """Return what is to be said about `function`, without the name of the exercise."""
    wrong_call = _wrong_call(exercise, function)
    if wrong_call:
        return wrong_call
    trials = list(exercise.trials())
    theirs = [run(exercise, function, *trial) for trial in trials]
    ours = [run(exercise, exercise.reference, *trial).value for trial in trials]
    if any(isinstance(o.error, NotImplementedError) or o.value is ... for o in theirs):
        return "not written yet."
    if all(same(o.value, value) for o, value in zip(theirs, ours, strict=True)):
        but = _in_place(theirs) or _gradient(exercise, function)
        return f"right, but {but}" if but else "right."
    return f"not yet. {_fault(exercise, function, theirs, ours)}"


def _fault(
    exercise: Exercise, function: Function, theirs: list[Outcome], ours: list[Any]
) -> str:
    """Say what is wrong, the most telling first."""
    judges: Sequence[Callable[[], str]] = (
        lambda: _mistake(exercise, theirs, ours),
        lambda: _order(exercise, theirs, ours),
        lambda: next(
            filter(None, map(partial(_error, exercise, function), theirs)), ""
        ),
        lambda: next(filter(None, map(partial(_form, exercise), theirs, ours)), ""),
        lambda: _in_place(theirs).replace("it", "It", 1),
        lambda: _memory(exercise, function, theirs[0]),
        lambda: _counterexample(exercise, function),
    )
    return next(filter(None, (judge() for judge in judges)))


def _wrong_call(exercise: Exercise, function: Function) -> str:
    if not callable(function):
        return f"give the function itself, not its result: got {_kind(function)}."
    try:
        inspect.signature(function).bind(*exercise.inputs)
    except TypeError:
        takes = inspect.signature(function)
        return f"not yet. It is called as {exercise.call}, but takes {takes}."
    except ValueError:  # some built-in functions have no signature
        pass
    return ""


def _mistake(exercise: Exercise, theirs: list[Outcome], ours: list[Any]) -> str:
    """Name the first known mistake that gives the reader's answer everywhere."""
    trials = list(exercise.trials())
    for mistake in exercise.mistakes:
        made = [run(exercise, mistake.function, *trial) for trial in trials]
        if _agree(theirs, made, ours):
            end = "" if mistake.hint.endswith(".") else "."
            return f"{mistake.name.capitalize()}: {mistake.hint}{end}"
    return ""


def _agree(theirs: list[Outcome], made: list[Outcome], ours: list[Any]) -> bool:
    """Tell whether a mistake explains every answer, and at least one wrong part."""
    explained = False
    for their, mistake, our in zip(theirs, made, ours, strict=True):
        if their.error is not None:
            continue
        if mistake.error is not None:
            if not same(their.value, our):
                return False
            continue
        for x, right, wrong in parts(their.value, our, mistake.value):
            explained |= same(x, wrong) and not same(x, right)
            odd = is_tensor(x) and x.shape != right.shape == wrong.shape
            if not same(x, wrong) and not odd:
                return False
    return explained


def _order(exercise: Exercise, theirs: list[Outcome], ours: list[Any]) -> str:
    names = ", ".join(x.name for x in exercise.outputs)
    for order in permutations(range(len(exercise.outputs))):
        if len(order) > 1 and all(
            isinstance(o.value, tuple)
            and len(o.value) == len(order)
            and same(tuple(o.value[i] for i in order), value)
            for o, value in zip(theirs, ours, strict=True)
        ):
            return f"Results in the wrong order: return {names}."
    return ""


def _error(exercise: Exercise, function: Function, outcome: Outcome) -> str:
    """Say what was raised, and on which line of the reader's code."""
    error = outcome.error
    if error is None:
        return ""
    code = getattr(inspect.unwrap(function), "__code__", None)
    words, where, trace = str(error).split("\n")[0][:200], "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if code is not None and file == code.co_filename:
            line = linecache.getline(file, trace.tb_lineno).strip()
            where = f" in line {trace.tb_lineno}" + (f", `{line}`" if line else "")
        trace = trace.tb_next
    shapes = ", ".join(
        f"{x.name} is {x.shape(outcome.sizes)}" for x in exercise.inputs if x.axes
    )
    return f"It raises {type(error).__name__}{where}: {words} (here {shapes})."


def _form(exercise: Exercise, outcome: Outcome, our: Any) -> str:
    """Say what is wrong with the number, type, shape or dtype of the results."""
    value, names = outcome.value, ", ".join(x.name for x in exercise.outputs)
    if value is None:
        return f"It returns None: end it with `return {names}`."
    results = value if isinstance(value, tuple) else (value,)
    if len(results) != len(exercise.outputs):
        count = f"{len(results)} results" if isinstance(value, tuple) else "one result"
        return f"It returns {count}: expected {names}."
    right = our if isinstance(our, tuple) else (our,)
    return next(filter(None, map(_part, results, right, exercise.outputs)), "")


def _part(x: Any, right: Tensor, spec: Tensors) -> str:
    if not isinstance(x, Tensor):
        return f"It returns {spec.name} as {_kind(x)}: expected a tensor."
    if x.shape != right.shape:
        got, shape = tuple(x.shape), tuple(right.shape)
        return f"Wrong shape: {spec.name} is {got}, expected {spec.letters} = {shape}."
    if not x.is_floating_point():
        return f"Wrong dtype: {spec.name} is {x.dtype}, expected a floating-point one."
    return ""


def _kind(x: Any) -> str:
    return type(x).__name__


def _in_place(theirs: list[Outcome]) -> str:
    changed = sorted({name for outcome in theirs for name in outcome.changed})
    if not changed:
        return ""
    name = changed[0]
    return (
        f"it changes its input {name}: make a new tensor, {name} = {name} + ..., not "
        f"{name} += ... or {name}[...] = ..."
    )


def _gradient(exercise: Exercise, function: Function) -> str:
    """Say which gradient does not get through, if the values are right."""
    _, args = next(exercise.trials())
    cut = []
    try:
        theirs, ours = (gradients(f, args) for f in (function, exercise.reference))
    except RuntimeError:  # right, but not made for gradients: writes in place
        return ""
    names = [x.name for x, a in zip(exercise.inputs, args, strict=True) if is_tensor(a)]
    for name, their, our in zip(names, theirs, ours, strict=True):
        if not same(their, our):
            cut.append(name)
    return (
        f"the gradient does not get through to {', '.join(cut)}: {CUT}." if cut else ""
    )


def _memory(exercise: Exercise, function: Function, first: Outcome) -> str:
    again = run(exercise, function, *next(exercise.trials()))
    if same(first.value, again.value):
        return ""
    return "It answers differently when called again: it keeps something between calls."


def _counterexample(exercise: Exercise, function: Function) -> str:
    """Show the smallest arguments for which the answer is wrong."""
    for sizes, args in _all_small(exercise):
        their = run(exercise, function, sizes, args)
        our = run(exercise, exercise.reference, sizes, args).value
        if not same(their.value, our):
            given = zip(exercise.inputs, args, strict=True)
            lines = [f"{spec.name} = {plain(x)}" for spec, x in given]
            pairs = parts(our, their.value)
            for spec, (right, got) in zip(exercise.outputs, pairs, strict=True):
                if not same(right, got):
                    name = spec.name
                    lines += [f"expected {name} = {plain(right)}", f"got {plain(got)}"]
                    break
            return "No usual mistake. With\n  " + "\n  ".join(lines)
    return "No usual mistake, and no small example: compare it step by step by hand."


def _all_small(exercise: Exercise) -> Iterator[tuple[Sizes, tuple[Any, ...]]]:
    yield from exercise.small_trials()
    yield from exercise.trials()
