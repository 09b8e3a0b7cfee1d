"""Training: one loop for every experiment, which survives an interrupt.

Chapters  chapters/02_fast_weights.ipynb and every later one
Tests     tests/test_training.py
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from srwm_lite import backends, distributed
from srwm_lite.checkpoints import DivergedError, Run, Sample, Score
from srwm_lite.schedules import Schedule, warmup_cosine, warmup_linear
from srwm_lite.shared_norms import shared_norms

__all__ = [
    "DivergedError",
    "History",
    "evaluate",
    "fit",
    "over_seeds",
    "progress",
    "warmup_cosine",
    "warmup_linear",
]

MODEL, FRESH = 2**30, 2**31  # seeds far apart: batches, draws of a model, new batches


@dataclass(frozen=True)
class History:
    """What a training run looked like.

    Attributes
    ----------
    losses : Tensor, (steps,) or (steps, C) for a model of C copies
    steps : int
        Steps taken, fewer than asked for if the run stopped early.
    seconds : float
        Time the steps took, those before an interrupt included.
    """

    losses: Tensor
    steps: int
    seconds: float


def fit(
    model: nn.Module,
    sample: Sample,
    loss: Score,
    *,
    steps: int,
    lr: float = 1e-3,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    every: int = 100,
    stop: float | None = None,
    clip: float | None = None,
    schedule: Schedule | None = None,
    watch: Callable[[Run], Any] | None = None,
) -> History:
    """Train `model` with Adam.

    Parameters
    ----------
    model : Module
        Changed in place.
    sample : callable
        ``sample(generator)`` draws a batch: a tuple.
    loss : callable
        ``loss(model, *batch)``; the sum of its entries is descended, so a model of
        independent copies may return one loss for each.
    steps : int
        Steps to take, those of an interrupted run included.
    lr : float
        Learning rate.
    seed : int
        Seeds the batches, and whatever `model` draws while it runs.
    checkpoint : path, optional
        File that keeps the run, also when it is interrupted or fails. If it exists,
        the run goes on from it, says so, and ends with the same bits as without.
    every : int
        Steps between two checkpoints, and between two looks at `stop`.
    stop : float, optional
        Stop when the mean loss of the last `every` steps is below it.
    clip : float, optional
        Shorten every gradient that is longer than this to this length.
    schedule : callable, optional
        ``schedule(step)`` multiplies `lr` in that step, counted from 0: such as
        `warmup_cosine`. A run goes on only with the clip and the schedule it had.
    watch : callable, optional
        ``watch(run)`` is called at the beginning and after every step: such as
        `srwm_lite.logbook.Logbook`.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, `checkpoint` is no checkpoint, or it belongs to another
        model, `sample`, `loss`, learning rate, seed, or longer run.
    DivergedError
        If the loss or its gradient is not finite; `model` is as before that step.
    """
    backends.check_whole(1, steps=steps, every=every)
    _check_callable(sample=sample, loss=loss)
    _check_optional(clip, schedule)
    model.train()
    with _own_randomness(seed):
        run = Run(model, sample, loss, lr, seed, checkpoint, clip, schedule)
        run.resume(steps)
        distributed.wait()
        try:
            bar = progress(total=steps, initial=len(run.losses))
            with bar, shared_norms(model):
                _watch(watch, run)
                while not run.finished(steps, every, stop):
                    run.step()
                    bar.update()
                    _watch(watch, run)
        except BaseException:
            run.save()
            raise
    return History(torch.stack(run.losses).cpu(), len(run.losses), run.seconds)


def _watch(watch: Callable[[Run], Any] | None, run: Run) -> None:
    if watch is not None and distributed.first():
        watch(run)


def _check_callable(**functions: Any) -> None:
    for name, x in functions.items():
        if not callable(x):
            raise TypeError(
                f"{name} must be a function: got {x!r}; for a task use "
                "sample=lambda generator: task.sample(32, generator)"
            )


def _check_optional(clip: float | None, schedule: Schedule | None) -> None:
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be positive: got {clip}; leave it out for none")
    if schedule is not None and not callable(schedule):
        raise TypeError(
            f"schedule must be a function of the step: got {schedule!r}; "
            "use schedule=warmup_cosine(steps)"
        )


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + MODEL)
        yield


def progress(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """Return tqdm's bar, switched off where ``SRWM_LITE_PROGRESS`` is 0."""
    off = os.environ.get("SRWM_LITE_PROGRESS") == "0" or not distributed.first()
    return tqdm(items, disable=off, leave=False, **options)


@torch.no_grad()
def evaluate(
    model: nn.Module, sample: Sample, metric: Score, *, batches: int = 20, seed: int = 1
) -> Tensor:
    """Return the mean of ``metric(model, *batch)`` over fresh batches.

    The model runs in evaluation mode, and is handed back in the mode it came in.

    Parameters
    ----------
    model, sample, metric
        As in `fit`.
    batches : int
    seed : int
        Seeds the batches, and whatever `model` draws; `fit` draws others.

    Returns
    -------
    Tensor
        Of the shape that `metric` returns, often a single number.
    """
    backends.check_whole(1, batches=batches)
    _check_callable(sample=sample, metric=metric)
    generator = torch.Generator().manual_seed(seed + FRESH)
    training = model.training
    model.eval()
    try:
        with _own_randomness(seed + FRESH):
            scores = [metric(model, *sample(generator)) for _ in range(batches)]
    finally:
        model.train(training)
    return torch.stack(scores).mean(dim=0)


def over_seeds(run: Callable[[int], Any], seeds: Iterable[int]) -> Tensor:
    """Return ``run(seed)`` for every seed, stacked: (seeds, ...).

    Torch is seeded from `seed` before each run, so new models differ.
    """
    results = []
    for seed in progress(list(seeds)):
        with _own_randomness(seed):
            results.append(torch.as_tensor(run(seed)))
    if not results:
        raise ValueError("seeds is empty: give at least one, such as range(3)")
    return torch.stack(results)
