"""Run an experiment: whatever is missing, one training after the other.

Chapters  those that show stored results, see `srwm_lite.experiments`
Tests     tests/test_experiments.py

Every finished training is in the file of the results at once, and an unfinished one in
a checkpoint beside it: stop with Ctrl-C or lose the machine, start again, and it goes
on where it was.
"""

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from srwm_lite import distributed
from srwm_lite.checkpoints import check_path, write
from srwm_lite.experiments.jobs import Job, check_same, file_name, forget, jobs, stored
from srwm_lite.experiments.setting import (
    Experiment,
    Setting,
    Settings,
    Test,
    prepare,
)
from srwm_lite.experiments.store import (
    RESULTS,
    Record,
    circumstances,
    load,
    save,
    summary,
)
from srwm_lite.logbook import Logbook
from srwm_lite.models import recurrence_off, writes_off
from srwm_lite.schedules import warmup_cosine
from srwm_lite.training import DivergedError, evaluate, fit, progress

EVERY, POINTS = 100, 20  # steps between checkpoints, points of a stored curve
LINES, VALID = 50, 2  # steps between lines of the log, seed of what is asked there


def run(
    experiment: Experiment,
    preset: str = "laptop",
    *,
    seeds: Sequence[int] = (0, 1, 2),
    models: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    rates: Sequence[float] | None = None,
    steps: int | None = None,
    again: bool = False,
    keep: bool = False,
    folder: Path | None = None,
) -> Record:
    """Run what is not yet stored, and return all results.

    Parameters
    ----------
    experiment : Experiment
    preset : str
        ``"quick"``, ``"laptop"`` or ``"paper"``.
    seeds : sequence of int
    models, settings : sequence of str, optional
        Only these; all if omitted.
    rates : sequence of float, optional
        Try these learning rates with every model instead of the chosen one; the
        results go to a file of their own.
    steps : int, optional
        Steps of these trials, as many as the preset takes if omitted.
    again : bool
        Forget what is stored of the jobs that are asked for.
    keep : bool
        Write the ``state_dict`` of every model that is trained now into the folder
        ``.kept`` beside the results.
    folder : path, optional
        Where the results lie; ``benchmarks/results`` if omitted.

    Returns
    -------
    dict
        The contents of the file, see `srwm_lite.experiments.results`.

    Raises
    ------
    ValueError
        If a name is wrong, or the file holds runs with other settings.
    DataUnavailable
        If an experiment needs data that are not here and cannot be fetched.
    """
    known = _shortened(experiment.settings(preset), rates, steps)
    path = _folder(folder) / f"{file_name(experiment.name, preset, rates)}.json"
    wanted = list(jobs(known, seeds, models, settings, rates))
    if again and distributed.first():
        forget(path, wanted)
    distributed.wait()
    check_same(path, known, rates)
    done = {Job.of(record) for record in stored(path)}
    missing = [job for job in wanted if job not in done]
    prepare([known[name] for name in dict.fromkeys(job.setting for job in missing)])
    for job in progress(missing, desc="runs"):
        started = circumstances()
        checkpoint = job.unfinished(path)
        options = {"weights": job.kept(path)} if keep else {}
        trained = train(known[job.setting], job, checkpoint, **options)
        if distributed.first():
            runs = _sorted([*stored(path), {**trained, **started}], known)
            save(path, _contents(experiment, preset, known, runs))
            checkpoint.unlink(missing_ok=True)
    distributed.wait()
    return load(path)


def _shortened(
    known: Settings, rates: Sequence[float] | None, steps: int | None
) -> Settings:
    if steps is None:
        return known
    if rates is None:
        raise ValueError(f"steps={steps} is for trials: name the rates to try as well")
    return {name: dataclasses.replace(s, steps=steps) for name, s in known.items()}


def train(
    setting: Setting, job: Job, checkpoint: Path, weights: Path | None = None
) -> Record:
    """Train one model, test it, and test it again with its switches off.

    Of several processes, the first one tests, and writes the weights if it shall.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        model = setting.frame(setting.layers[job.model])
    size = sum(p.numel() for p in model.parameters())
    record: Record = {**job._asdict(), "parameters": size}
    record |= _fit(model, setting, job, checkpoint)
    if not distributed.first():
        return record
    if weights is not None:
        write(check_path(weights), model.state_dict())
    for words, off in switches(model).items():
        with off:
            record[words] = test(model, setting)
    return record


def _fit(model: nn.Module, setting: Setting, job: Job, checkpoint: Path) -> Record:
    options: dict[str, Any] = {"clip": setting.clip, "stop": setting.stop}
    if setting.warmup is not None:
        rise = int(setting.warmup * setting.steps)
        options["schedule"] = warmup_cosine(setting.steps, rise)
    pupil, sample = setting.pupil(model)
    try:
        history = fit(
            pupil,
            sample,
            setting.loss,
            steps=setting.steps,
            lr=job.lr,
            seed=job.seed,
            checkpoint=checkpoint,
            every=EVERY,
            watch=logbook(model, setting, checkpoint.with_suffix(".jsonl")),
            **options,
        )
    except DivergedError as error:
        return {"steps": None, "seconds": None, "diverged": str(error)}
    parts = history.losses.tensor_split(min(POINTS, history.steps))
    return {
        "steps": history.steps,
        "seconds": round(history.seconds, 2),
        "curve": [round(float(part.mean()), 4) for part in parts],
    }


def logbook(model: nn.Module, setting: Setting, path: Path) -> Logbook:
    """Return the log of a training: it asks the same few questions again and again."""
    asked = setting.watched()

    def accuracy(asked: Test) -> float:
        score = evaluate(
            model, asked.sample, asked.metric, batches=asked.batches, seed=VALID
        )
        return float(score.reshape(-1)[0])

    watched = None if asked is None else partial(accuracy, asked)
    return Logbook(path, steps=setting.steps, every=LINES, accuracy=watched)


def switches(model: nn.Module) -> dict[str, AbstractContextManager[None]]:
    """Return the model as it is, and what can be switched off in it."""
    parts = list(model.modules())
    found: dict[str, AbstractContextManager[None]] = {"scores": nullcontext()}
    if any(getattr(part, "recurrence", False) for part in parts):
        found["recurrence off"] = recurrence_off(model)
    if any(hasattr(part, "writes") for part in parts):
        found["writes off"] = writes_off(model)
    return found


def test(model: nn.Module, setting: Setting) -> dict[str, float]:
    """Return the numbers that the tests of a setting give."""
    found: dict[str, float] = {}
    for name, t in setting.tests.items():
        numbers = evaluate(model, t.sample, t.metric, batches=t.batches).reshape(-1)
        rounded = [round(x, 5) for x in numbers.tolist()]
        found |= zip(t.parts or [name], rounded, strict=True)
    return found


def _folder(folder: Path | None) -> Path:
    if folder is None and not RESULTS.parent.is_dir():
        raise ValueError(
            f"there is no folder {RESULTS.parent} here: name one for the results, "
            "with --out or folder="
        )
    return RESULTS if folder is None else Path(folder)


def _sorted(runs: list[Record], known: Settings) -> list[Record]:
    order = [(name, model) for name, s in known.items() for model in s.lr]
    place = {pair: i for i, pair in enumerate(order)}
    last = len(order)
    return sorted(
        runs,
        key=lambda r: (place.get((r["setting"], r["model"]), last), r["seed"], r["lr"]),
    )


def _contents(
    experiment: Experiment, preset: str, known: Settings, runs: list[Record]
) -> Record:
    return {
        "kind": "experiment",
        "experiment": experiment.name,
        "about": experiment.about,
        "preset": preset,
        **circumstances(),
        "seconds": round(sum(r["seconds"] or 0 for r in runs), 1),
        "chosen": experiment.chosen,
        "settings": {name: setting.told() for name, setting in known.items()},
        "summary": summary(runs),
        "runs": runs,
    }
