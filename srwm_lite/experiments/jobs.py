"""Which trainings an experiment asks for, and which of them are stored already.

Chapters  those that show stored results, see `srwm_lite.experiments`
Tests     tests/test_experiments.py
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from srwm_lite.experiments.setting import Settings
from srwm_lite.experiments.store import Record, load, save, summary

FREE = ("lr", "known")  # looked at one by one, and not at all


class Job(NamedTuple):
    """One training."""

    setting: str
    model: str
    seed: int
    lr: float

    @classmethod
    def of(cls, record: Record) -> "Job":
        """Return the job that a record is the result of."""
        return cls(*(record[key] for key in cls._fields))

    def unfinished(self, path: Path) -> Path:
        """Return where its checkpoint lies while the results go to `path`."""
        return path.parent / ".unfinished" / f"{path.stem}-{self._words()}.pt"

    def kept(self, path: Path) -> Path:
        """Return where its weights lie, if they are kept."""
        return path.parent / ".kept" / f"{path.stem}-{self._words()}.pt"

    def _words(self) -> str:
        return re.sub(r"[^\w.]+", "-", "-".join(map(str, self)))


def file_name(name: str, preset: str, rates: Sequence[float] | None = None) -> str:
    """Return the name of the file of a preset; the one of the chapters is short."""
    return name + f"-{preset}" * (preset != "laptop") + "-rates" * (rates is not None)


def jobs(
    known: Settings,
    seeds: Sequence[int],
    models: Sequence[str] | None,
    settings: Sequence[str] | None,
    rates: Sequence[float] | None,
) -> Iterator[Job]:
    """Yield what is to be run, one seed of everything before the next seed."""
    everyone = {name: None for setting in known.values() for name in setting.lr}
    _check_names("setting", settings, list(known))
    _check_names("model", models, list(everyone))
    for seed in seeds:
        for name, setting in known.items():
            for model, lr in setting.lr.items():
                left_out = settings and name not in settings
                if not left_out and not (models and model not in models):
                    for rate in rates or [lr]:
                        yield Job(name, model, seed, rate)


def _check_names(what: str, names: Sequence[str] | None, known: Sequence[str]) -> None:
    for name in names or ():
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}: use {', '.join(known)}")


def stored(path: Path) -> list[Record]:
    """Return the runs in a file, none if there is no file."""
    return load(path)["runs"] if path.exists() else []


def forget(path: Path, wanted: Sequence[Job]) -> None:
    """Take the runs of these jobs out of the file, and remove their checkpoints."""
    gone = {job[:3] for job in wanted}
    for job in wanted:
        job.unfinished(path).unlink(missing_ok=True)
    if path.exists():
        kept = [run for run in stored(path) if Job.of(run)[:3] not in gone]
        save(path, {**load(path), "runs": kept, "summary": summary(kept)})


def check_same(path: Path, known: Settings, rates: Sequence[float] | None) -> None:
    """Raise ``ValueError`` if runs are stored that were made with other settings."""
    runs = stored(path)
    for name in dict.fromkeys(run["setting"] for run in runs):
        was = load(path)["settings"][name]
        now = known[name].told() if name in known else {}
        other = [k for k in was if k not in FREE and was[k] != now.get(k)]
        if not rates:
            used = {r["model"]: r["lr"] for r in runs if r["setting"] == name}
            other += [f"lr of {m}" for m in used if used[m] != now["lr"].get(m)]
        if other:
            raise ValueError(
                f"{path} holds runs of {name!r} with another {', '.join(other)}: use "
                "--again to run everything anew, or --out for another folder"
            )
