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


@dataclass(frozen=True)
class History:
    """What a training run looked like.

    Attributes
    ----------
    losses : Tensor, (steps,) or (steps, C) for a model of C copies
    steps : int
        Steps taken, fewer than asked for if the run stopped early.
    seconds : float
        Time spent in the steps, interrupted runs included.
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
        File that keeps the run: written every `every` steps, at the end and when the
        run is interrupted. If it exists, the run goes on from it, and says so; the
        result has the same bits as a run without interrupt.
    every : int
        Steps between two checkpoints, and over which `stop` averages.
    stop : float, optional
        Stop as soon as the mean loss of the last `every` steps is below it.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If `checkpoint` belongs to another model, learning rate or seed.
    DivergedError
        If the loss is not finite; `model` is left as it was before that step.
    """
    if steps < 1 or every < 1:
        raise ValueError(f"steps and every must be positive: got {steps} and {every}")
    path = None if checkpoint is None else Path(checkpoint)
    model.train()
    with _own_randomness(seed):
        run = _Run(model, lr, seed)
        if path is not None and path.exists():
            run.load(path, steps)
        bar = progress(range(len(run.losses), steps))
        try:
            for step in bar:
                run.step(sample, loss)
                if path is not None and (step + 1) % every == 0:
                    run.save(path)
                if stop is not None and run.recent(every) < stop:
                    break
        except KeyboardInterrupt:
            run.keep(path)
            raise
        if path is not None:
            run.save(path)
    return run.history()


class _Run:
    """Everything that decides how a run goes on."""

    def __init__(self, model: nn.Module, lr: float, seed: int) -> None:
        self.model, self.generator = model, torch.Generator().manual_seed(seed)
        self.optimiser = torch.optim.Adam(model.parameters(), lr=lr)
        self.losses: list[Tensor] = []
        self.seconds, self.whole = 0.0, True
        shapes = {name: tuple(p.shape) for name, p in model.state_dict().items()}
        self.identity = f"{type(model).__name__} {shapes}, lr={lr}, seed={seed}"
        self.before = self.randomness()

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

    def randomness(self) -> tuple[Tensor, Tensor]:
        return self.generator.get_state(), torch.get_rng_state()

    def recent(self, every: int) -> float:
        if len(self.losses) < every:
            return float("inf")
        return float(torch.stack(self.losses[-every:]).mean())

    def history(self) -> History:
        return History(torch.stack(self.losses).cpu(), len(self.losses), self.seconds)

    def save(self, path: Path) -> None:
        """Write the run to `path`, whole or not at all."""
        unfinished = path.with_name(path.name + ".part")
        torch.save(
            {
                "identity": self.identity,
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "randomness": self.before,
                "losses": self.losses,
                "seconds": self.seconds,
            },
            unfinished,
        )
        os.replace(unfinished, path)

    def keep(self, path: Path | None) -> None:
        """Save after an interrupt, unless it tore a step: then the last save counts."""
        if path is not None and self.whole and self.losses:
            self.save(path)

    def load(self, path: Path, steps: int) -> None:
        saved = torch.load(path, weights_only=True)
        if saved["identity"] != self.identity:
            raise ValueError(
                f"the checkpoint {path} belongs to another run: it holds "
                f"{saved['identity']}, wanted {self.identity}; "
                f"give another path, or delete the file to start again"
            )
        if len(saved["losses"]) > steps:
            raise ValueError(
                f"the checkpoint {path} is {len(saved['losses'])} steps old, more than "
                f"steps={steps}: give another path, or delete the file"
            )
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.generator.set_state(saved["randomness"][0])
        torch.set_rng_state(saved["randomness"][1])
        self.losses, self.seconds = saved["losses"], saved["seconds"]
        print(f"goes on from {path} at step {len(self.losses)} of {steps}")


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed torch for a while, without a trace outside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def progress(items: Iterable[Any]) -> Iterable[Any]:
    """Show a bar while going through `items`, unless ``SRWM_LITE_PROGRESS`` is 0."""
    return tqdm(items, disable=os.environ.get("SRWM_LITE_PROGRESS") == "0", leave=False)


@torch.no_grad()
def evaluate(
    model: nn.Module, sample: Sample, metric: Score, *, batches: int = 20, seed: int = 1
) -> Tensor:
    """Return the mean of ``metric(model, *batch)`` over fresh batches.

    The model runs in evaluation mode, and is handed back in the mode it came in.

    Parameters
    ----------
    model, sample, metric
        As in `fit`; the default `seed` differs, so the batches are new.
    batches : int
        Number of batches.
    seed : int
        Seeds the batches, and whatever `model` draws.

    Returns
    -------
    Tensor
        Of the shape that `metric` returns, often a single number.
    """
    generator, training = torch.Generator().manual_seed(seed), model.training
    model.eval()
    try:
        with _own_randomness(seed):
            scores = [metric(model, *sample(generator)) for _ in range(batches)]
    finally:
        model.train(training)
    return torch.stack(scores).mean(dim=0)


def over_seeds(run: Callable[[int], Any], seeds: Iterable[int]) -> Tensor:
    """Return ``run(seed)`` for every seed, stacked: (seeds, ...).

    Torch is seeded with `seed` before each run, so new models differ.
    """
    results = []
    for seed in progress(list(seeds)):
        with _own_randomness(seed):
            results.append(torch.as_tensor(run(seed)))
    return torch.stack(results)
