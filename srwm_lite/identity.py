"""Say which run this is, so that a checkpoint never goes on with another one.

Chapters  whoever trains; first used in chapters/02_fast_weights.ipynb
Tests     tests/test_checkpoints.py
"""

import functools
import hashlib
import inspect
import re
import types
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

Identity = dict[str, str]


def identity(model: nn.Module, **settings: Any) -> Identity:
    """Describe a run by everything that decides it, the same in every process.

    Parameters
    ----------
    model : Module
        Its structure counts, and every setting such as ``writes``; its weights do not.
    **settings
        What else decides the run, functions by their code.
    """
    size = sum(p.numel() for p in model.parameters())
    named = {name: describe(x) for name, x in settings.items()}
    return {"model": repr(model), "parameters": str(size), **_switches(model), **named}


def _switches(model: nn.Module) -> Identity:
    """Return the plain attributes of the parts that are not torch's own."""
    return {
        f"{name}.{key}".lstrip("."): describe(x)
        for name, part in model.named_modules()
        if not type(part).__module__.startswith("torch.")
        for key, x in {**vars(part), "forward": type(part).forward}.items()
        if key != "training" and not key.startswith("_")
    }


def describe(x: Any, seen: tuple[int, ...] = ()) -> str:
    """Return `x` in words; what looks the same but is not gets another number."""
    if id(x) in seen:
        return "..."
    within = functools.partial(describe, seen=(*seen, id(x)))
    if isinstance(x, functools.partial):
        options = [f"{key}={within(y)}" for key, y in x.keywords.items()]
        return f"{within(x.func)}({', '.join([*map(within, x.args), *options])})"
    if inspect.ismethod(x):
        return f"{within(x.__self__)}.{within(x.__func__)}"
    if inspect.isfunction(x):
        parts = _code(x.__code__), x.__defaults__, x.__kwdefaults__, _outside(x)
        return f"{x.__qualname__}#{_number(within(parts))}"
    if isinstance(x, nn.Module):
        return within((repr(x), _switches(x)))
    if hasattr(x, "tolist") and hasattr(x, "shape"):
        return f"array{tuple(x.shape)}#{_number(str(x.tolist()))}"
    if isinstance(x, Mapping):
        return f"{{{', '.join(f'{key!r}: {within(y)}' for key, y in x.items())}}}"
    if isinstance(x, tuple | list):
        return f"({', '.join(map(within, x))})"
    if isinstance(x, set | frozenset):
        return f"{{{', '.join(sorted(map(within, x)))}}}"
    return _plain(x, within)


def _plain(x: Any, within: Callable[[Any], str]) -> str:
    if inspect.isclass(x) or inspect.isbuiltin(x) or inspect.ismodule(x):
        return x.__name__
    if type(x).__repr__ is object.__repr__:
        called = getattr(type(x), "__call__", None)  # noqa: B004
        return f"{type(x).__name__}{within((getattr(x, '__dict__', {}), called))}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(x))  # an address is another every time


def _code(code: types.CodeType) -> tuple[Any, ...]:
    inner = [_code(c) if inspect.iscode(c) else c for c in code.co_consts]
    return code.co_code.hex(), inner, code.co_names


def _outside(function: types.FunctionType) -> dict[str, Any]:
    """Return what a function reads from around it: of a notebook also the globals."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found = {name: _content(cell) for name, cell in cells}
    if function.__module__ == "__main__":
        names = set(function.__code__.co_names) & set(function.__globals__)
        found |= {name: function.__globals__[name] for name in sorted(names)}
    return found


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _number(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
