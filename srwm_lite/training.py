"""Training: one loop for every experiment, which survives an interrupt.

Chapters  chapters/02_fast_weights.ipynb and every later one
Tests     tests/test_training.py
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from tqdm.auto import tqdm

Sample = Callable[[Generator], tuple[Any, ...]]
Score = Callable[..., Tensor]
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


class DivergedError(ArithmeticError):
    """The loss is no longer a finite number."""


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
        File that keeps the run, also when it is interrupted. If it exists, the run
        goes on from it, says so, and ends with the same bits as without interrupt.
    every : int
        Steps between two checkpoints, and between two looks at `stop`.
    stop : float, optional
        Stop when the mean loss of the last `every` steps is below it.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If `checkpoint` belongs to another model, learning rate, seed, or longer run.
    DivergedError
        If the loss is not finite; `model` is left as it was before that step.
    """
    if steps < 1 or every < 1:
        raise ValueError(f"steps and every must be positive: got {steps} and {every}")
    model.train()
    with _own_randomness(seed):
        run = _Run(model, lr, seed, None if checkpoint is None else Path(checkpoint))
        run.resume(steps)
        try:
            with progress(total=steps, initial=len(run.losses)) as bar:
                while not run.finished(steps, every, stop):
                    run.step(sample, loss)
                    bar.update()
        except KeyboardInterrupt:
            run.save()
            raise
    return History(torch.stack(run.losses).cpu(), len(run.losses), run.seconds)


class _Run:
    """Everything that decides how a run goes on."""

    def __init__(
        self, model: nn.Module, lr: float, seed: int, path: Path | None
    ) -> None:
        self.model, self.path = model, path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimiser = torch.optim.Adam(model.parameters(), lr=lr)
        self.losses: list[Tensor] = []
        self.seconds, self.whole = 0.0, True
        size = sum(p.numel() for p in model.parameters())
        self.identity = f"{model!r} with {size} parameters, lr={lr}, seed={seed}"
        self.before = self.randomness()

    def randomness(self) -> tuple[Tensor, Tensor]:
        return self.generator.get_state(), torch.get_rng_state()

    def step(self, sample: Sample, loss: Score) -> None:
        """Take one step; until the weights change, an interrupt can be undone."""
        start, self.before = time.perf_counter(), self.randomness()
        value = loss(self.model, *sample(self.generator))
        if not value.isfinite().all():
            raise DivergedError(
                f"the loss is {value.tolist()} at step {len(self.losses)}: lower lr "
                f"({self.optimiser.defaults['lr']}), or normalise the keys"
            )
        self.optimiser.zero_grad()
        value.sum().backward()
        self.whole = False
        self.optimiser.step()
        self.losses.append(value.detach())
        self.seconds += time.perf_counter() - start
        self.before, self.whole = self.randomness(), True

    def finished(self, steps: int, every: int, stop: float | None) -> bool:
        """Say whether the last step is taken; save now and then, and at the end."""
        now, last = len(self.losses), self.losses[-every:]
        on_time, end = now > 0 and now % every == 0, now >= steps
        if on_time and stop is not None:
            end = end or float(torch.stack(last).mean()) < stop
        if end or on_time:
            self.save()
        return end

    def save(self) -> None:
        """Write the checkpoint, whole or not at all; a torn step is not worth it."""
        if self.path is None or not self.whole:
            return
        unfinished = self.path.with_name(self.path.name + ".part")
        contents = {
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "randomness": self.before,
            "losses": self.losses,
            "seconds": self.seconds,
        }
        torch.save(contents, unfinished)
        os.replace(unfinished, self.path)

    def resume(self, steps: int) -> None:
        """Go on from the checkpoint, if there is one and it is ours."""
        if self.path is None or not self.path.exists():
            return
        saved = torch.load(self.path, weights_only=True)
        done = len(saved["losses"])
        if saved["identity"] != self.identity or done > steps:
            raise ValueError(
                f"the checkpoint {self.path} belongs to another run: it holds step "
                f"{done} of {saved['identity']}; wanted at most step {steps} of "
                f"{self.identity}; give another path, or delete the file"
            )
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.generator.set_state(saved["randomness"][0])
        torch.set_rng_state(saved["randomness"][1])
        self.before = saved["randomness"]
        self.losses, self.seconds = saved["losses"], saved["seconds"]
        print(f"goes on from {self.path} at step {done} of {steps}")


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + MODEL)
        yield


def progress(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """Return tqdm's bar, switched off where ``SRWM_LITE_PROGRESS`` is 0."""
    off = os.environ.get("SRWM_LITE_PROGRESS") == "0"
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
    return torch.stack(results)
