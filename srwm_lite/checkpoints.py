"""Checkpoints: a run that can be put into a file and go on from there.

Chapters  whoever trains; first used in chapters/02_fast_weights.ipynb
Tests     tests/test_checkpoints.py, tests/test_training.py
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from srwm_lite import distributed
from srwm_lite.identity import Identity, identity
from srwm_lite.schedules import Schedule

Sample = Callable[[Generator], tuple[Any, ...]]
Score = Callable[..., Tensor]
NO_GRADIENT = (
    "loss has no gradient: compute it from the model's output, without detach, item "
    "or no_grad"
)
PARTS = {"identity", "model", "optimiser", "randomness", "losses", "seconds"}


class DivergedError(ArithmeticError):
    """The loss or its gradient is no longer a finite number."""


class Run:
    """Everything that decides how a run goes on."""

    def __init__(
        self,
        model: nn.Module,
        sample: Sample,
        loss: Score,
        lr: float,
        seed: int,
        path: str | Path | None,
        clip: float | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        self.model, self.sample, self.loss = model, sample, loss
        self.lr, self.clip, self.schedule = lr, clip, schedule
        self.path = None if path is None else check_path(path)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimiser = torch.optim.Adam(model.parameters(), lr=lr)
        self.losses: list[Tensor] = []
        self.seconds, self.whole = 0.0, True
        settings = {"lr": lr, "seed": seed, "sample": sample, "loss": loss}
        chosen = {"clip": clip, "schedule": schedule}
        settings |= {name: x for name, x in chosen.items() if x is not None}
        self.identity = identity(model, **settings) if self.path else {}
        self.before = self.randomness()

    def randomness(self) -> tuple[Tensor, Tensor]:
        """Return the state of all that draws."""
        return self.generator.get_state(), torch.get_rng_state()

    def step(self) -> None:
        """Take one step; until the weights change, an interrupt can be undone."""
        start, self.before = time.perf_counter(), self.randomness()
        batch, weight = distributed.share(self.sample(self.generator))
        value = _checked(self.loss(self.model, *batch)) * weight
        whole = value.detach().clone()
        distributed.add_up([whole])
        self.demand_finite("loss", whole)
        self.optimiser.zero_grad()
        value.sum().backward()
        slopes = [p.grad for p in self.model.parameters() if p.grad is not None]
        if not slopes:
            raise ValueError(NO_GRADIENT)
        distributed.add_up(slopes)
        length = torch.stack([slope.norm() for slope in slopes]).norm()
        self.demand_finite("length of the gradient", length)
        self._prepare(length)
        self.whole = False
        self.optimiser.step()
        advance: Any = getattr(self.model, "advance", None)
        if advance is not None:  # a model that carries its memory on
            advance()
        self.losses.append(whole)
        self.seconds += time.perf_counter() - start
        self.before, self.whole = self.randomness(), True

    def _prepare(self, length: Tensor) -> None:
        """Shorten a gradient of this length if wanted, and set the learning rate."""
        if self.clip is not None and length > self.clip:
            for p in self.model.parameters():
                if p.grad is not None:
                    p.grad.mul_(self.clip / length)
        if self.schedule is not None:
            factor = self.schedule(len(self.losses))
            self.optimiser.param_groups[0]["lr"] = self.lr * factor

    def demand_finite(self, what: str, x: Tensor) -> None:
        """Raise `DivergedError` unless every entry of `x` is a finite number."""
        if not x.isfinite().all():
            raise DivergedError(
                f"the {what} is {x.tolist()} at step {len(self.losses)}: lower lr "
                f"({self.optimiser.defaults['lr']}), or normalise the keys"
            )

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
        """Write the checkpoint; no step is not worth it, nor is a torn one."""
        if self.path is None or not (
            self.whole and self.losses and distributed.first()
        ):
            return
        contents = {
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "randomness": self.before,
            "losses": self.losses,
            "seconds": self.seconds,
        }
        write(self.path, contents)

    def resume(self, steps: int) -> None:
        """Go on from the checkpoint, if there is one and it is ours."""
        if self.path is None or not self.path.exists():
            return
        saved = load(self.path, self.identity, steps)
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.generator.set_state(saved["randomness"][0])
        torch.set_rng_state(saved["randomness"][1])
        self.before = saved["randomness"]
        self.losses, self.seconds = saved["losses"], saved["seconds"]
        if distributed.first():
            print(f"goes on from {self.path} at step {len(self.losses)} of {steps}")


def _checked(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor):
        raise TypeError(
            f"loss must return a tensor: got {type(loss).__name__}; does it end with "
            "return?"
        )
    if not loss.requires_grad:
        raise ValueError(NO_GRADIENT)
    return loss


def check_path(path: str | Path) -> Path:
    """Return where the checkpoint will lie, or raise ``ValueError`` for a folder."""
    if not str(path) or Path(path).is_dir():
        raise ValueError(
            f"checkpoint must name a file: got {str(path)!r}; use a path such as "
            f"'{Path(path) / 'run.pt'}'"
        )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return Path(path)


def write(path: Path, contents: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    torch.save(contents, unfinished)
    os.replace(unfinished, path)


def load(path: Path, wanted: Identity, steps: int) -> dict[str, Any]:
    """Read the checkpoint of the run `wanted`, of at most `steps` steps.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or belongs to another or longer run; the file
        is left as it is.
    """
    saved, remedy = _read(path), "give another path, or delete the file"
    found, done = saved["identity"], len(saved["losses"])
    keys = [k for k in {**found, **wanted} if found.get(k) != wanted.get(k)]
    if keys or done > steps:
        ours, theirs = (_listed(run, keys) for run in (wanted, found))
        raise ValueError(
            f"the checkpoint {path} belongs to another run: it holds step {done}"
            f"{theirs}; wanted at most step {steps}{ours}; {remedy}"
        )
    return saved


def _listed(run: Identity, keys: list[str]) -> str:
    words = [f"{key}={run.get(key, 'nothing')}" for key in keys]
    return f" of a run with {', '.join(words)}" if words else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        saved = torch.load(path, weights_only=True)
    except Exception as error:
        what = "it is empty" if not path.stat().st_size else "it is damaged, or no file"
        raise ValueError(_unreadable(path, f"{what} of torch.save")) from error
    if not isinstance(saved, dict) or set(saved) != PARTS:
        held = sorted(map(str, saved)) if isinstance(saved, dict) else type(saved)
        raise ValueError(_unreadable(path, f"it holds {held}, not {sorted(PARTS)}"))
    if not isinstance(saved["identity"], dict):
        raise ValueError(_unreadable(path, "it is of an earlier version"))
    return saved


def _unreadable(path: Path, what: str) -> str:
    return (
        f"{path} is no checkpoint that can be read: {what}; delete it, or name "
        "another path"
    )
