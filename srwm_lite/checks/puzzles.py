"""Puzzles in CUDA C++, run and judged on the CPU; after Sasha Rush's GPU-Puzzles.

::

    from srwm_lite.checks import puzzles
    print(puzzles.show("map"))          # what to write, and a blank kernel
    puzzles.check("map", source)        # right, or the mistake by name

Chapter   chapters/15_kernels.ipynb
Tests     tests/test_puzzles.py
"""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from srwm_lite.checks.puzzle_list import PUZZLES, Puzzle, Sizes
from srwm_lite.kernels.cpu.emulate import ORDERS, Module
from srwm_lite.kernels.cpu.report import Report

KINDS = {
    "out of bounds": "it steps out of an array",
    "uninitialised": "it reads shared memory that nobody has written",
    "race of blocks": "two blocks race",
    "race": "two threads race",
}


def names() -> list[str]:
    """Return the names of all puzzles, the easiest first."""
    return list(PUZZLES)


def show(name: str) -> str:
    """Return what is to be written, and the kernel to begin with."""
    puzzle = _find(name)
    return f"{name}: {puzzle.task}\n{puzzle.blank}"


def blank(name: str) -> str:
    """Return the kernel to begin with."""
    return _find(name).blank


def check(name: str, source: str) -> None:
    """Print whether `source` solves the puzzle, or which mistake it makes.

    Raises
    ------
    ValueError
        If there is no such puzzle.
    RuntimeError
        If there is no g++.
    """
    print(f"{name}: {verdict(_find(name), source)}")


def verdict(puzzle: Puzzle, source: str) -> str:
    """Return what is to be said about `source`, without the name of the puzzle."""
    if source.strip() == puzzle.blank.strip():
        return "not written yet." if not puzzle.given else puzzle.given
    try:
        return next(filter(None, _judge(puzzle, source)))
    except RuntimeError as error:
        if "cannot compile" not in str(error):
            raise
        return f"not yet. {_first_error(str(error))}"
    except ValueError as error:
        return f"not yet. {error}"


def _judge(puzzle: Puzzle, source: str) -> Iterator[str]:
    reports = []
    for sizes in puzzle.cases:
        made = Module(source, f"{puzzle.name}.cu", **sizes)
        inputs, right = _arguments(puzzle, sizes)
        outputs, report = _run(puzzle, made, sizes, inputs, "forward")
        yield _findings(report)
        yield _difference(puzzle, sizes, inputs, right, outputs)
        for order in ORDERS[1:]:
            again, _ = _run(puzzle, made, sizes, inputs, order)
            yield _order(outputs, again, order)
        reports.append(report)
    yield _cost(puzzle, reports[-1])
    yield f"right. {_score(reports[-1])}"


def _arguments(puzzle: Puzzle, sizes: Sizes) -> tuple[dict[str, Tensor], Tensor]:
    """Draw small whole numbers, so that every order of a sum gives the same bits."""
    generator = torch.Generator().manual_seed(1991)
    inputs = {
        name: torch.randint(-4, 5, shape(sizes), generator=generator).float()
        for name, shape in puzzle.inputs.items()
    }
    return inputs, puzzle.reference(*inputs.values())


def _run(
    puzzle: Puzzle,
    made: Module,
    sizes: Sizes,
    inputs: Mapping[str, Tensor],
    order: str,
) -> tuple[Tensor, Report]:
    """Run once; what the kernel does not write is NaN, or the input it changes."""
    start = inputs.get(puzzle.output)
    right = puzzle.reference(*inputs.values())
    out = torch.full_like(right, torch.nan) if start is None else start.clone()
    given = [x for name, x in inputs.items() if name != puzzle.output]
    args = [*(x.clone() for x in given), out]
    block = (puzzle.threads(sizes),)
    return out, made.kernel(puzzle.name).check((1,), block, args, order=order)


def _findings(report: Report) -> str:
    """Say the first thing that the emulator found, and what it is called."""
    if not report.findings:
        return ""
    words = report.findings[0]
    kind = next((k for k in KINDS if words.startswith(k)), "")
    rest = len(report.findings) - 1
    more = f" ({rest} more like it)" if rest else ""
    said = words.removeprefix(f"{kind}: ")
    head = f"{KINDS[kind]}: {said}" if kind else words
    return f"not yet: {head}{more}"


def _difference(
    puzzle: Puzzle,
    sizes: Sizes,
    inputs: Mapping[str, Tensor],
    right: Tensor,
    out: Tensor,
) -> str:
    """Name the mistake that gives this output, or show where it is wrong."""
    if torch.equal(out, right):
        return ""
    for mistake, hint in puzzle.mistakes.items():
        wrong = hint.make(*inputs.values())
        if wrong.shape == out.shape and torch.equal(out, wrong):
            return f"not yet. {mistake}: {hint.words}"
    at = tuple(int(i) for i in (out != right).nonzero()[0])
    place = f"{puzzle.output}[{', '.join(map(str, at))}]"
    got = float(out[at])
    if got != got:
        return f"not yet. Nobody writes {place} (with {_sizes(sizes)})."
    return (
        f"not yet. {place} must be {float(right[at]):g}: got {got:g} "
        f"(with {_sizes(sizes)})."
    )


def _order(first: Tensor, again: Tensor, order: str) -> str:
    if torch.equal(first, again):
        return ""
    return f"not yet. The result depends on the order of the threads ({order})."


def _cost(puzzle: Puzzle, report: Report) -> str:
    """Say which line asks too much of the memory, if that is what the puzzle is on."""
    for cost in report.costs:
        most = puzzle.most.get(cost.space)
        if most and cost.units > most * cost.ideal:
            unit = "waves of banks" if cost.space == "shared" else "sectors"
            return (
                f"right, but line {cost.line} is slow: its {cost.access}s of "
                f"{cost.space} memory take {cost.per_request:.3g} {unit} a request, "
                f"{cost.ideal / cost.requests:.3g} would do."
            )
    return ""


def _score(report: Report) -> str:
    """Count what the block asked of the memory."""
    asked = {
        space: sum(c.requests for c in report.costs if c.space == space)
        for space in ("global", "shared")
    }
    return f"Requests: {asked['global']} to global memory, {asked['shared']} to shared."


def _sizes(sizes: Sizes) -> str:
    return ", ".join(f"{name} = {n}" for name, n in sizes.items())


def _first_error(text: str) -> str:
    found = re.search(r"(\d+):\d+: error: (.*)", text)
    return f"Line {found[1]} does not compile: {found[2]}" if found else text[:300]


def _find(name: str) -> Puzzle:
    if name not in PUZZLES:
        raise ValueError(f"no puzzle {name!r}: there are {', '.join(names())}")
    return PUZZLES[name]


def solved(name: str, source: str) -> bool:
    """Tell whether `source` solves the puzzle."""
    return verdict(_find(name), source).startswith("right. ")
