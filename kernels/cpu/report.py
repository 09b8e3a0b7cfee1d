"""Put what the checker saw into words, lines and names.

Tests     tests/test_checker.py
"""

import re
import subprocess
from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping
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


def report(text: str, names: "Names") -> Report:
    """Read the checker's output: lines about costs, events, and findings."""
    result, sums, told = Report(), defaultdict(list), dict[str, str]()
    for row in text.splitlines():
        kind, *words = row.split()
        if kind == "cost":
            place, item, access, *counts = words
            key = names.line(place), names.space(item), names.array(item)[0], access
            sums[key].append([int(n) for n in counts])
        elif kind == "event":
            place, item, access, block, barrier, thread = words
            who = int(block), int(barrier), int(thread), names.space(item)
            name, index = names.array(item)
            result.events.append(Event(*who, name, index, access, names.line(place)))
        else:
            row = names.words(row)
            alike = re.sub(r"\[\d+\]|\([\d,]+\)|block \d+|\d+ bytes", "", row)
            told.setdefault(alike, row)
    result.findings = [*told.values()]  # the first of all that are alike
    total = {key: map(sum, zip(*counts, strict=True)) for key, counts in sums.items()}
    result.costs = [Cost(*key, *counts) for key, counts in sorted(total.items())]
    return result


class Names:
    """Turn places ``@address@`` into lines, items ``{argument:byte:size}`` into names.

    Parameters
    ----------
    text : str
        What will be translated.
    library : Path
        The compiled kernel, whose symbols name lines and shared arrays.
    filename : str
        What the kernel's source was called when it was compiled.
    arguments : mapping from int to str
        Names of the kernel's arguments, and of dynamic shared memory under `DYNAMIC`.
    """

    def __init__(
        self, text: str, library: Path, filename: str, arguments: Mapping[int, str]
    ) -> None:
        self.filename, self.arguments = filename, arguments
        self.lines = _lines(text, library, filename)
        self.shared = _shared_arrays(library)

    def line(self, place: str) -> int:
        """Return the line of the kernel."""
        return self.lines[place.strip("@")][0]

    def space(self, item: str) -> str:
        """Return ``"shared"`` or ``"global"``."""
        return "shared" if item.startswith("{-") else "global"

    def array(self, item: str) -> tuple[str, int]:
        """Return the array, and the index in it."""
        argument, byte, size = map(int, item.strip("{}").split(":"))
        if argument != STATIC:
            name = self.arguments.get(argument, "shared memory")
        else:
            start, name = self.shared[bisect(self.shared, (byte, "\uffff")) - 1]
            byte -= start
        return name, byte // max(size, 1)

    def words(self, row: str) -> str:
        """Return a finding in words."""
        row = re.sub(r"@\w+@", lambda m: self._place(m[0]), row)
        return re.sub(r"{.*?}", lambda m: self._item(m[0]), row)

    def _place(self, place: str) -> str:
        line, inlined = self.lines[place.strip("@")]
        inside = f" (in line {inlined})" if inlined != line else ""
        return f"{self.filename}:{line}{inside}"

    def _item(self, item: str) -> str:
        name, index = self.array(item)
        if item.endswith(":0}"):  # the whole of it
            return "shared memory" if item.startswith("{-") else name
        return f"{name}[{index}]"


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


def _shared_arrays(library: Path) -> list[tuple[int, str]]:
    """Return where each static ``__shared__`` array starts, with its name."""
    command = ["readelf", "--syms", "--wide", "--demangle", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    pattern = r"^\s*\d+: (\w+)\s+\S+ TLS .*?(\w+)$"
    found = re.findall(pattern, done.stdout, flags=re.M)
    return sorted({(int(offset, 16), name) for offset, name in found})
