"""Read what ``benchmarks/gpu.py`` measured, if it has ever met a GPU.

Chapter   chapters/15_kernels.ipynb
Tests     tests/test_gpu_bench.py
"""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
NONE = (
    "There are no GPU numbers yet: benchmarks/gpu.py has not been run on a GPU. "
    "It writes benchmarks/results/<device>.json, and this cell prints it."
)


def results(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Return what was measured on GPUs, one entry for each device, by name."""
    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return [x for x in files if isinstance(x, dict) and x.get("kind") == "gpu"]


def table(folder: Path = RESULTS) -> str:
    """Return all measurements as text, or that there are none."""
    return "\n\n".join(map(device, results(folder))) or NONE


def device(result: dict[str, Any]) -> str:
    """Return the measurements of one device: times, and how far the floor is."""
    names = list(dict.fromkeys(n for row in result["rows"] for n in row["ms"]))
    heads = ["rule", "D", "B H", "T", "pass", "floor", *names, "kernel / floor"]
    widths = [15, *[10] * (len(heads) - 1)]
    lines = [
        f"{result['device']}, {result['date']}, commit {result['commit']}, "
        + ", ".join(f"{k} {v}" for k, v in result["versions"].items()),
        f"copy {result['copy_gb_s']:.0f} GB/s, float32 product "
        f"{result['product_tflop_s']:.1f} TFLOP/s; times in ms, medians",
        "  ".join(f"{head:>{w}}" for w, head in zip(widths, heads, strict=True)),
    ]
    for row in result["rows"]:
        ms = [row["ms"].get(name) for name in names]
        share = row["ms"]["cuda"] / row["floor_ms"] if "cuda" in row["ms"] else None
        cells = [
            row["rule"],
            row["D"],
            row["BH"],
            row["T"],
            row["pass"],
            row["floor_ms"],
            *ms,
            share,
        ]
        line = (f"{_cell(x):>{w}}" for w, x in zip(widths, cells, strict=True))
        lines.append("  ".join(line))
    return "\n".join(lines)


def _cell(x: Any) -> str:
    if x is None:
        return "-"
    return f"{x:.3g}" if isinstance(x, float) else str(x)
