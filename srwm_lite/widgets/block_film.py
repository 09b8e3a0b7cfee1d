"""What one block of a kernel did, request by request, packed for the stepper.

Tests     tests/test_block_stepper.py

The emulator lists every access of every thread. On a GPU the threads of a warp go
together: what they ask for in one instruction is one request. We join the accesses to
requests again, and look for races.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from srwm_lite.widgets.block_requests import WARP, Request, interval, runs

WIDEST = 33  # cells in a row of the picture: 32 banks, and one column of padding


class Race(NamedTuple):
    """Two threads, one cell, at least one write, and no barrier between them."""

    interval: int
    array: str
    cell: int
    first: tuple[int, str, int]
    second: tuple[int, str, int]

    def words(self) -> str:
        """Tell who, what and where."""
        (a, did, line), (b, does, other) = self.first, self.second
        return (
            f"thread {a} {did}s {self.array}[{self.cell}] in line {line}, thread {b} "
            f"{does}s it in line {other}, with no barrier between"
        )


@dataclass
class BlockFilm:
    """One block: the text of its kernel, its arrays, its requests and its races."""

    name: str
    first: int
    lines: list[str]
    threads: int
    arrays: list[dict[str, Any]]
    requests: list[Request]
    races: list[Race]
    barriers: int

    def words(self) -> str:
        """Say what the block does."""
        warps = -(-self.threads // WARP)
        found = count(len(self.races), "race") if self.races else "no race"
        first = f", the first: {self.races[0].words()}" if self.races else ""
        return (
            f"One block of the kernel {self.name}: {count(self.threads, 'thread')} in "
            f"{count(warps, 'warp')}, {count(len(self.requests), 'request')} to memory "
            f"around {count(self.barriers, 'barrier')}, "
            f"{found}{first}."
        )


def count(n: int, one: str) -> str:
    """Write a number of things."""
    return f"{n} {one}{'s' if n != 1 else ''}"


def block_film(
    report: Any,
    source: str,
    name: str,
    threads: int,
    shapes: Mapping[str, Sequence[int]],
    block: int = 0,
) -> BlockFilm:
    """Make the film of one block.

    Parameters
    ----------
    report : Report
        Of the emulator, with its events.
    source : str
        The kernel's file.
    name : str
        Which kernel ran.
    threads : int
        How many threads the block has.
    shapes : mapping from name to shape
        Of the arrays; the last size becomes the columns of the picture.
    block : int
        Its number.

    Raises
    ------
    ValueError
        If the report has no events of this block.
    """
    events = [e for e in report.events if e.block == block]
    if not events:
        raise ValueError(
            f"the report has no events of block {block}: run kernel.check(events=...)"
        )
    barriers = max(e.barrier for e in events)
    by_interval = [[e for e in events if e.barrier == n] for n in range(barriers + 1)]
    start, lines = function_text(source, name)
    return BlockFilm(
        name,
        start,
        lines,
        threads,
        [picture(array, events, shapes) for array in dict.fromkeys(arrays_of(events))],
        [r for part in by_interval for r in interval(part)],
        [race for part in by_interval for race in races(part, suspects(report))],
        barriers,
    )


def arrays_of(events: Iterable[Any]) -> list[str]:
    """Return the arrays, shared ones first, in the order of their first use."""
    return [e.array for e in sorted(events, key=lambda e: e.space != "shared")]


def suspects(report: Any) -> set[tuple[str, frozenset[int]]]:
    """Return the arrays and pairs of lines that the emulator calls a race.

    It knows more than the events tell: atomics, and order within a warp.
    """
    found = set()
    for words in report.findings:
        lines = [int(n) for n in re.findall(r"\bat \S+?:(\d+)", words)]
        array = re.match(r"race: .*? (?:reads|writes) ([\w ]+)\[", words)
        if array and len(lines) == 2:
            found.add((array[1], frozenset(lines)))
    return found


def races(events: Sequence[Any], known: set[Any]) -> list[Race]:
    """Return one race for each cell that has one between two barriers."""
    cells = defaultdict(list)
    for e in events:
        cells[e.array, e.index].append((e.thread, e.access, e.line))
    found = []
    for (array, cell), touches in cells.items():
        pairs = (
            (a, b)
            for b in dict.fromkeys(touches)
            for a in dict.fromkeys(touches)
            if a[0] != b[0]
            and "write" == a[1]
            and (array, frozenset((a[2], b[2]))) in known
        )
        if pair := next(pairs, None):
            found.append(Race(events[0].barrier, array, cell, *pair))
    return found


def function_text(source: str, name: str) -> tuple[int, list[str]]:
    """Return the number of the first line of a kernel, and its lines."""
    lines = source.split("\n")
    start = next(
        i
        for i, line in enumerate(lines)
        if re.search(rf"__global__.*\b{name}\s*\(", line)
    )
    end = next((i for i in range(start, len(lines)) if lines[i].startswith("}")), start)
    return start + 1, lines[start : end + 1]


def shared_shapes(
    source: str, constants: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the shared arrays; 0 where the text does not tell."""
    found: dict[str, tuple[int, ...]] = {}
    for declared in re.findall(r"__shared__\s+\w+\s+([^;]*);", source):
        for name, sizes in re.findall(r"(\w+)((?:\[[^]]*\])*)", declared):
            parts = re.findall(r"\[([^]]*)\]", sizes)
            found[name] = tuple(size(part, constants) for part in parts)
    return found


def size(text: str, constants: Mapping[str, int]) -> int:
    """Return the value of a sum such as ``K + 1``, 0 if a name is unknown."""
    terms = [constants.get(t.strip(), t.strip()) for t in text.split("+")]
    numbers = [int(t) for t in terms if str(t).isdigit()]
    return sum(numbers) if len(numbers) == len(terms) else 0


def picture(
    array: str, events: Sequence[Any], shapes: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Return the cells of an array that the block touches, as rows and columns."""
    touched = [e for e in events if e.array == array]
    top = max(e.index for e in touched) + 1
    cols = columns(shapes.get(array, ()), top)
    first = min(e.index for e in touched) // cols * cols
    return {
        "name": array,
        "space": touched[0].space,
        "first": first,
        "cols": cols,
        "rows": math.ceil((top - first) / cols),
    }


def columns(shape: Sequence[int], top: int) -> int:
    """Return how many cells stand in a row: the last size, if there are several."""
    if len(shape) > 1 and 1 < shape[-1] <= WIDEST:
        return shape[-1]
    return top if top <= 8 else 8 if top % 8 == 0 else min(top, 16)


def pack(film: BlockFilm) -> dict[str, Any]:
    """Return the film as plain lists; equal steps from thread to thread are one run."""
    index = {array["name"]: n for n, array in enumerate(film.arrays)}
    return {
        "name": film.name,
        "first": film.first,
        "lines": film.lines,
        "threads": film.threads,
        "arrays": film.arrays,
        "steps": [
            [
                r.interval,
                r.warp,
                r.line,
                index[r.array],
                int(r.access == "write"),
                runs(r.cells),
            ]
            for r in film.requests
        ],
        "races": [[r.interval, index[r.array], r.cell, r.words()] for r in film.races],
        "barriers": film.barriers,
    }
