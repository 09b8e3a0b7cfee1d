"""A log of a training, one line of JSON now and then; it survives what the run does.

Chapters  whoever trains for long; first used in srwm_lite/experiments
Tests     tests/test_logbook.py
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from srwm_lite.checkpoints import Run

Line = dict[str, Any]


class Logbook:
    """Write a line every some steps; `srwm_lite.training.fit` takes it as ``watch``.

    A line holds ``step`` (counted from 1), ``loss`` (the mean since the line before),
    ``accuracy``, ``seconds`` of training so far, and ``lr`` of this step. When a run
    goes on from a checkpoint, lines of steps after it are dropped, and written again
    when the run comes by: no line is lost, and none is there twice.

    Parameters
    ----------
    path : path
        The file, one line of JSON for each entry.
    steps : int
        Steps of the whole run; the last one gets a line as well.
    every : int
        Steps between two lines.
    accuracy : callable, optional
        ``accuracy()`` returns what is written under this name; it must not draw.
    """

    def __init__(
        self,
        path: Path,
        *,
        steps: int,
        every: int = 100,
        accuracy: Callable[[], float] | None = None,
    ) -> None:
        self.path, self.steps, self.every = path, steps, every
        self.accuracy = accuracy
        self.last: int | None = None  # step of the last line, unknown until we looked

    def __call__(self, run: Run) -> None:
        """Write the line of the step that `run` has taken, if it is due."""
        step = len(run.losses)
        if self.last is None:
            self.last = self._begin(step)
        if self.last < step and (step % self.every == 0 or step == self.steps):
            losses = torch.stack(run.losses[self.last :])
            line = {
                "step": step,
                "loss": round(float(losses.mean()), 6),
                "accuracy": self.accuracy and round(self.accuracy(), 5),
                "seconds": round(run.seconds, 3),
                "lr": run.optimiser.param_groups[0]["lr"],
            }
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self.last = step

    def _begin(self, step: int) -> int:
        """Drop the lines after `step`, return the step of the last one that is left."""
        kept = [line for line in entries(self.path) if line["step"] <= step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(self.path.name + ".part")
        text = "".join(json.dumps(line) + "\n" for line in kept)
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, self.path)
        return kept[-1]["step"] if kept else 0


def entries(path: Path) -> list[Line]:
    """Return the lines of a log, without one that a kill has torn."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]
