"""Results that are stored: where and how they were measured, written whole or not.

Chapters  those that show stored results, see `srwm_lite.experiments`
Tests     tests/test_experiments.py
"""

import json
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
Record = dict[str, Any]


def circumstances() -> Record:
    """Say where and when something is measured, with which code.

    A plus behind the commit: files of the code were changed and not committed.
    """
    threads = torch.get_num_threads()
    return {
        "device": f"CPU, {_processor()}, {threads} thread(s)",
        "date": time.strftime("%Y-%m-%d"),
        "commit": _git("rev-parse", "--short", "HEAD") + _changed(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text().split("\n") if cpuinfo.exists() else []
    model = next((x.split(":")[1].strip() for x in names if "model name" in x), "")
    return model or platform.processor()


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # no git
        return ""
    return done.stdout.strip()


def _changed() -> str:
    """Return a plus if the code is not the one that was committed."""
    code = ("srwm_lite/*.py", "kernels/*.py", "kernels/*.cpp")
    return "+" if _git("status", "--porcelain", "-uno", "--", *code) else ""


def save(path: Path, results: Record) -> None:
    """Write results, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def load(path: Path) -> Record:
    """Read stored results, or say how to make them."""
    if not path.exists():
        name = path.stem.split("-")[0]
        raise ValueError(
            f"there are no results in {path}: run python -m srwm_lite.experiments "
            f"{name}, or name the folder where they are"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def summary(runs: Iterable[Record]) -> list[Record]:
    """Return mean and spread over the seeds, of each setting, model and number."""
    found: dict[tuple[str, ...], list[float]] = {}
    for run in runs:
        for switch in ("scores", "writes off", "recurrence off"):
            for test, score in run.get(switch, {}).items():
                key = (run["setting"], run["model"], switch, test)
                found.setdefault(key, []).append(score)
    names = ("setting", "model", "switch", "test")
    return [
        {**dict(zip(names, key, strict=True)), **spread(x)} for key, x in found.items()
    ]


def spread(scores: list[float]) -> Record:
    """Return mean, standard deviation over the runs, and both ends."""
    known = [x for x in scores if math.isfinite(x)]
    if not known:
        return {"seeds": len(scores), "mean": None}
    sd = statistics.stdev(known) if len(known) > 1 else 0.0
    return {
        "seeds": len(scores),
        "mean": round(statistics.mean(known), 5),
        "sd": round(sd, 5),
        "lowest": min(known),
        "highest": max(known),
    }
