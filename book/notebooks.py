"""Run the chapters, keep them in one canonical form, and know what they cost.

::

    python book/notebooks.py run [paths]      execute in place, canonicalise, measure
    python book/notebooks.py fix [paths]      canonicalise only
    python book/notebooks.py check [paths]    fail if a file is not canonical or unrun
    python book/notebooks.py budget [paths]   fail if a chapter costs too much

The canonical form keeps text outputs and counts, so that nbval has something to
compare, and drops pictures and widget state: the build draws those again.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "chapters"
RECORD = ROOT / "benchmarks" / "results" / "chapters.json"
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "SRWM_LITE_PROGRESS": "0",
    "PYTHONWARNINGS": "ignore:Plain torch computes",  # no compiler: not an error
}
SECONDS, MEGABYTES, BOOK_SECONDS = 60, 1500, 960

DROPPED = re.compile(r"image/|application/(pdf|vnd\.jupyter\.widget-view)")
KEPT_METADATA = ("tags", "mystnb")
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
UNCHECKED = {"nbval-ignore-output", "nbval-skip"}
PEAK = """
import sys
if sys.platform == "win32":
    import psutil
    print(psutil.Process().memory_info().peak_wset)
else:
    import resource
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def without_addresses(value: Any) -> Any:
    """Replace memory addresses, which differ from run to run."""
    return ADDRESS.sub("0x0", value) if isinstance(value, str) else value


def canonical_output(out: NotebookNode, count: int | None) -> NotebookNode:
    """Return `out` with words only, numbered like its cell."""
    if "text" in out:
        out.text = without_addresses(out.text)
    if "execution_count" in out:
        out.execution_count = count
    if "data" in out:
        kept = {k: v for k, v in out.data.items() if not DROPPED.match(k)}
        out.data = NotebookNode({k: without_addresses(v) for k, v in kept.items()})
        scrapbook = {k: v for k, v in out.metadata.items() if k == "scrapbook"}
        out.metadata = NotebookNode(scrapbook)
    if out.output_type == "error":
        out.traceback = []
    return out


def merged_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream: where it is cut depends on the clock."""
    merged: list[NotebookNode] = []
    for out in outputs:
        last = merged[-1] if merged else None
        if last and "stream" == out.output_type == last.output_type:
            if last.name == out.name:
                last.text += out.text
                continue
        merged.append(out)
    return merged


def canonical(nb: NotebookNode) -> str:
    """Return the one text that this notebook should have on disk."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nb.metadata = nbformat.from_dict(
        {"kernelspec": kernel, "language_info": {"name": "python"}}
    )
    nb.nbformat, nb.nbformat_minor = 4, 5
    count = 0
    for cell in nb.cells:
        kept = {k: cell.metadata[k] for k in KEPT_METADATA if cell.metadata.get(k)}
        cell.metadata = NotebookNode(kept)
        cell.source = "\n".join(line.rstrip() for line in cell.source.split("\n"))
        cell.source = cell.source.strip("\n")
        if cell.cell_type == "code":
            count += 1
            if cell.execution_count is not None:
                cell.execution_count = count
            outputs = [canonical_output(o, cell.execution_count) for o in cell.outputs]
            cell.outputs = merged_streams(outputs)
    nbformat.validate(nb)
    return str(nbformat.writes(nb)) + "\n"


def problems(text: str) -> list[str]:
    """Say what is wrong with the notebook in `text`; an empty list is a good one."""
    nb = nbformat.reads(text, 4)
    code = [c for c in nb.cells if c.cell_type == "code"]
    unrun = [i for i, c in enumerate(code, 1) if c.execution_count is None]
    failed = [i for i, c in enumerate(code, 1) if has_error(c)]
    compared = [c for c in code if c.outputs and not UNCHECKED & tags(c)]
    found = {
        f"code cells never run: {unrun}; nbval would not check them": unrun,
        f"code cells that raised: {failed}": failed,
        "no output that nbval compares": not compared,
        "not in canonical form: python book/notebooks.py fix": canonical(nb) != text,
    }
    return [words for words, wrong in found.items() if wrong]


def tags(cell: NotebookNode) -> set[str]:
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", []))


def has_error(cell: NotebookNode) -> bool:
    """Tell whether a cell raised although it does not say that it should."""
    raised = any(o.output_type == "error" for o in cell.outputs)
    return raised and "raises-exception" not in tags(cell)


def execute(nb: NotebookNode, folder: Path) -> dict[str, float]:
    """Run `nb` in place in `folder`; return its seconds and peak megabytes."""
    from nbclient import NotebookClient

    os.environ.update(ENVIRONMENT)
    resources = {"metadata": {"path": str(folder)}}
    nb.cells.append(nbformat.v4.new_code_cell(PEAK))
    start = time.perf_counter()
    NotebookClient(nb, timeout=600, resources=resources).execute()
    seconds = time.perf_counter() - start
    peak = int(nb.cells.pop().outputs[0].text)
    return {"seconds": round(seconds, 1), "peak_mb": round(peak / 1e6)}


def machine() -> str:
    """Name the processor and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        name = found[1].strip() if found else name
    return f"{os.cpu_count()} cores, {name}"


def commit() -> str:
    """Return the short name of the commit that was measured."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip()


def record(stem: str, cost: dict[str, float]) -> None:
    """Write what one chapter cost to ``benchmarks/results/chapters.json``."""
    entry = {
        **cost,
        "device": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
    }
    costs = {**recorded(), stem: entry}
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(costs, indent=1, sort_keys=True) + "\n")


def recorded() -> dict[str, dict[str, Any]]:
    """Return the measured costs of all chapters, by stem."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def over_budget(costs: dict[str, dict[str, Any]], slack: float = 1) -> list[str]:
    """Say which chapters cost more than a reader was promised.

    A busy machine may take `slack` times as long over one chapter, never over all.
    """
    most = SECONDS * slack
    found = [
        f"{stem}: {cost['seconds']:.1f} s, {cost['peak_mb']} MB; "
        f"at most {most:.0f} s and {MEGABYTES} MB"
        for stem, cost in costs.items()
        if cost["seconds"] > most or cost["peak_mb"] > MEGABYTES
    ]
    total = sum(cost["seconds"] for cost in costs.values())
    if total > BOOK_SECONDS:
        found.append(f"all chapters: {total:.0f} s; at most {BOOK_SECONDS} s")
    return found


def run(path: Path) -> list[str]:
    """Execute a chapter, write its canonical form, record its cost."""
    nb = nbformat.read(path, 4)
    cost = execute(nb, path.parent)
    path.write_text(canonical(nb), encoding="utf-8")
    if path.parent == CHAPTERS:
        record(path.stem, cost)
    print(f"{path.stem}: {cost['seconds']} s, {cost['peak_mb']} MB")
    return problems(path.read_text(encoding="utf-8"))


def fix(path: Path) -> list[str]:
    """Write a notebook in its canonical form."""
    path.write_text(canonical(nbformat.read(path, 4)), encoding="utf-8")
    return []


def check(path: Path) -> list[str]:
    """Compare a notebook with its canonical form."""
    return problems(path.read_text(encoding="utf-8"))


def budget(path: Path) -> list[str]:
    """Compare the measured cost of a chapter with the budget."""
    costs = recorded()
    if path.stem not in costs:
        return ["never measured: python book/notebooks.py run " + path.name]
    return over_budget({path.stem: costs[path.stem]})


def main() -> int:
    """Apply one verb to the chapters named, or to all."""
    verbs = {f.__name__: f for f in (run, fix, check, budget)}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("paths", nargs="*", type=Path)
    args = parser.parse_args()
    paths = [p.resolve() for p in args.paths] or sorted(CHAPTERS.glob("*.ipynb"))
    found = {path: verbs[args.verb](path) for path in paths}
    for path, wrong in found.items():
        for words in wrong:
            print(f"{path.name}: {words}", file=sys.stderr)
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
