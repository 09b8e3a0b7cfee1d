"""Put into tables what kernels ask of the memory, as the emulator counted it.

Chapter   chapters/15_kernels.ipynb
Tests     tests/test_costs.py
"""

from collections.abc import Mapping
from typing import Any

UNITS = {"global": "sectors", "shared": "waves"}


def by_line(report: Any, *arrays: str) -> str:
    """Return one row for each line and array: units a request, and what would do.

    Parameters
    ----------
    report : Report
        Of ``kernel.check``.
    *arrays : str
        The arrays to list; all if omitted.
    """
    rows = [
        f"line {c.line:2}  {c.access:5} {c.array:4} {c.requests:4} requests, "
        f"{c.units / c.requests:3.0f} {UNITS[c.space]} each, "
        f"{c.ideal / c.requests:.0f} would do"
        for c in report.costs
        if not arrays or c.array in arrays
    ]
    return "\n".join(rows)


def totals(reports: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the sectors, the waves and the requests of each report."""
    return {name: _total(report) for name, report in reports.items()}


def _total(report: Any) -> dict[str, int]:
    found = {
        unit: sum(c.units for c in report.costs if c.space == space)
        for space, unit in UNITS.items()
    }
    return found | {"requests": sum(c.requests for c in report.costs)}


def table(rows: Mapping[str, Mapping[str, int]]) -> str:
    """Return rows of numbers as text, with a head."""
    heads = list(next(iter(rows.values()), {}))
    wide = max(map(len, rows), default=0)
    lines = [" " * wide + "".join(f"{head:>10}" for head in heads)]
    for name, row in rows.items():
        cells = "".join(f"{row[head]:>10}" for head in heads)
        lines.append(f"{name:{wide}}{cells}")
    return "\n".join(lines)
