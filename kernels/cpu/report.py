"""Put what the checker saw into words, lines and names.

Tests     tests/test_checker.py
"""

import re
import subprocess
from bisect import bisect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

DYNAMIC, STATIC = -1, -2  # what stands for shared memory where an argument is named


@dataclass(frozen=True)
class Cost:
    """What one line asks of the memory of one array.

    ``units`` are sectors of 32 bytes in global memory and wavefronts in shared memory;
    ``ideal`` is what they would be if the lanes' items lay side by side.
    """

    line: int
    space: str
    array: str
    access: str
    requests: int
    lanes: int
    units: int
    ideal: int

    @property
    def per_request(self) -> float:
        """Return the units that one request of a warp takes."""
        return self.units / self.requests


@dataclass(frozen=True)
class Event:
    """One access: which thread, after how many barriers, to what, in which line."""

    block: int
    barrier: int
    thread: int
    space: str
    array: str
    index: int
    access: str
    line: int


@dataclass
class Report:
    """What `Kernel.check` saw: findings in words, costs and events by source line."""

    findings: list[str] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(self.findings) or "no complaint"


def report(
    text: str, library: Path, filename: str, parameters: Sequence[str]
) -> Report:
    """Read the checker's output.

    Parameters
    ----------
    text : str
        Lines with places as ``@address@`` and items as ``{argument:byte:size}``.
    library : Path
        The compiled kernel, whose symbols name lines and shared arrays.
    filename : str
        What the kernel's source was called when it was compiled.
    parameters : sequence of str
        Names of the kernel's arguments.
    """
    lines, arrays = _lines(text, library, filename), _shared_arrays(library)
    result, sums, told = Report(), defaultdict(list), dict[str, str]()
    for row in text.splitlines():
        kind, *words = row.split()
        if kind == "cost":
            place, space, item, access, *counts = words
            array, _ = _item(item[1:-1], arrays, parameters)
            key = (lines[place[1:-1]][0], space, array, access)
            sums[key].append([int(n) for n in counts])
        elif kind == "event":
            place, block, barrier, thread, item, access = words
            argument = int(item[1:].split(":")[0])
            space = "shared" if argument < 0 else "global"
            name, index = _item(item[1:-1], arrays, parameters)
            who = int(block), int(barrier), int(thread)
            line = lines[place[1:-1]][0]
            result.events.append(Event(*who, space, name, index, access, line))
        else:
            row = re.sub(r"@(\w+)@", lambda m: _place(filename, *lines[m[1]]), row)
            row = re.sub(r"{(.*?)}", lambda m: _words(m[1], arrays, parameters), row)
            alike = re.sub(r"\[\d+\]|\([\d,]+\)|block \d+|\d+ bytes", "", row)
            told.setdefault(alike, row)
    result.findings = [*told.values()]  # the first of all that are alike
    total = {key: map(sum, zip(*counts, strict=True)) for key, counts in sums.items()}
    result.costs = [Cost(*key, *counts) for key, counts in sorted(total.items())]
    return result


def _lines(text: str, library: Path, filename: str) -> dict[str, tuple[int, int]]:
    """Map addresses to the line of the kernel and the line that it inlined there."""
    marks = sorted(set(re.findall(r"@(\w+)@", text)))
    if not marks:
        return {}
    command = ["addr2line", "-a", "-i", "-e", str(library), *(f"0x{m}" for m in marks)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {}
    parts = re.split(r"^0x\w+\n", done.stdout, flags=re.M)[1:]
    for mark, part in zip(marks, parts, strict=True):
        numbers = re.findall(rf"{re.escape(filename)}:(\d+)", part) or ["0"]
        found[mark] = int(numbers[-1]), int(numbers[0])
    return found


def _place(filename: str, line: int, inlined: int) -> str:
    inside = f" (in line {inlined})" if inlined != line else ""
    return f"{filename}:{line}{inside}"


def _shared_arrays(library: Path) -> list[tuple[int, str]]:
    """Return where each static ``__shared__`` array starts, with its name."""
    command = ["readelf", "--syms", "--wide", "--demangle", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    pattern = r"^\s*\d+: (\w+)\s+\S+ TLS .*?(\w+)$"
    found = re.findall(pattern, done.stdout, flags=re.M)
    return sorted({(int(offset, 16), name) for offset, name in found})


def _item(
    item: str, arrays: list[tuple[int, str]], parameters: Sequence[str]
) -> tuple[str, int]:
    argument, byte, size = map(int, item.split(":"))
    if argument >= 0:
        name = parameters[argument]
    elif argument == DYNAMIC or not arrays:
        name = "shared memory"
    else:
        start, name = arrays[max(bisect(arrays, (byte, "\uffff")) - 1, 0)]
        byte -= start
    return name, byte // size if size else 0


def _words(item: str, arrays: list[tuple[int, str]], parameters: Sequence[str]) -> str:
    name, index = _item(item, arrays, parameters)
    if item.endswith(":0"):
        return "shared memory" if item.startswith("-") else name
    return f"{name}[{index}]"
