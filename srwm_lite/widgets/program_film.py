"""What a model did with a program, as it is and with parts of it switched off.

Tests     tests/test_program_stepper.py

Shapes    T tokens, P prints, V value size, K key size.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from srwm_lite import trace
from srwm_lite.models import recurrence_off, writes_off
from srwm_lite.scores import NOTHING
from srwm_lite.widgets.film import array, largest
from srwm_lite.widgets.program_script import Script

SWITCHES = {"writes": writes_off, "recurrence": recurrence_off}


@dataclass(frozen=True)
class Matrix:
    """One fast matrix of a model, and its film."""

    layer: int
    letter: str
    head: int
    film: trace.Film

    @property
    def title(self) -> str:
        """Which matrix it is, in words."""
        return f"layer {self.layer + 1}, {self.letter}, head {self.head + 1}"


@dataclass(frozen=True)
class Run:
    """One run of a model over a program.

    Attributes
    ----------
    off : tuple of str
        What was switched off, of "writes" and "recurrence".
    matrices : list of Matrix
    chances : Tensor, (P, answers)
        Probabilities where an answer is due.
    right : list of bool
        Which of these answers are right.
    stray : int
        Tokens at which no print ends and something is answered.
    """

    off: tuple[str, ...]
    matrices: list[Matrix]
    chances: Tensor
    right: list[bool]
    stray: int

    @property
    def title(self) -> str:
        """What was switched off, in words."""
        if len(self.off) == 2:
            return "both off"
        return f"{self.off[0]} off" if self.off else "as trained"


def runs(model: nn.Module, script: Script, num_out: int) -> list[Run]:
    """Run a model over a program, with each choice of its switches.

    Raises
    ------
    ValueError
        If the model has no fast weights, does not fit, or answers with no number.
    """
    there = [s for s in SWITCHES if any(hasattr(m, s) for m in model.modules())]
    choices: list[tuple[str, ...]] = [(), *((s,) for s in there)]
    choices += [tuple(there)] * (len(there) == 2)
    training = model.training
    model.eval()
    try:
        made = [run(model, script, off) for off in choices]
    finally:
        model.train(training)
    if made[0].chances.shape[-1] != num_out:
        raise ValueError(
            f"the task has {num_out} answers, the model {made[0].chances.shape[-1]}: "
            "build it with num_out=task.num_out"
        )
    return made


def run(model: nn.Module, script: Script, off: tuple[str, ...]) -> Run:
    """Run a model over a program with parts of it switched off."""
    x = script.x[None].to(next(model.parameters()).device)
    with _switched(model, off), torch.no_grad(), trace.record(model) as recording:
        out, _ = model(x)
    if not len(recording):
        raise ValueError(
            f"{type(model).__name__} recorded no fast weights: the stepper needs "
            "layers such as DeltaNet or RecurrentDeltaNet"
        )
    chances = out[0].double().softmax(dim=-1).cpu()
    if not chances.isfinite().all():
        raise ValueError("the model answers with NaN: train it anew, or more gently")
    says = chances.argmax(dim=-1)
    at = torch.tensor([p.token for p in script.prints], dtype=torch.long)
    due = torch.tensor([p.due for p in script.prints], dtype=torch.long)
    elsewhere = torch.ones(len(says), dtype=torch.bool).index_fill(0, at, False)
    stray = int((says[elsewhere] != NOTHING).sum())
    right = (says[at] == due).tolist()
    return Run(off, list(matrices(recording)), chances[at], right, stray)


@contextmanager
def _switched(model: nn.Module, off: Sequence[str]) -> Iterator[None]:
    with ExitStack() as undo:
        for switch in off:
            undo.enter_context(SWITCHES[switch](model))
        yield


def matrices(recording: trace.Recording) -> Iterator[Matrix]:
    """Yield every matrix of a recording, layer by layer, with its name."""
    seen = Counter[tuple[int, str]]()
    for n, (name, call) in enumerate(
        zip(recording.names, recording.calls, strict=True)
    ):
        layer, letter = layer_of(name), call.idea.partition(".")[2] or "W"
        seen[layer, letter] += 1
        count = seen[layer, letter]
        letter += str(count) if count > 1 else ""
        for head in range(call.state.shape[1]):
            yield Matrix(layer, letter, head, recording.film(n, head=head))


def layer_of(name: str) -> int:
    """Return the place of the block in the name of its layer, 0 if there is none."""
    found = re.search(r"\bblocks\.(\d+)", name)
    return int(found[1]) if found else 0


def most(tensors: Any) -> float:
    """Return the largest magnitude in some tensors."""
    return max(largest(array(x)) for x in tensors)


def written(one: trace.Film) -> Tensor:
    """Return what is added to the matrix along each key, (T, V)."""
    return one.v if one.beta is None else one.beta[:, None] * one.error
