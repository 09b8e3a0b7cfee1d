"""Clone backpropagation with random numbers, then let the clone learn pictures.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_cloning.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, sections 3.2 and 4.1.

No picture is seen while an LSTM learns to imitate the cell of
`srwm_lite.sweeps.backprop_cell`. Then its copies stand at every weight of a network,
and learn from a stream of pictures, beside the cell itself from the same start. All
numbers of the LSTM stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from srwm_lite.cloning import (
    PARTS,
    Clone,
    answers,
    cloning_loss,
    distance,
    drift,
    imitation,
    race,
    situations,
)
from srwm_lite.experiments.setting import Experiment, Setting, Settings, Test
from srwm_lite.experiments.shown import means
from srwm_lite.experiments.store import Record
from srwm_lite.image_sets import images
from srwm_lite.sweeps import backprop_cell, softmax_error, start

RATE, STEPS, BATCH, LR = 0.1, 20_000, 512, 5e-3
CLASSES, HELD = 10, 0.2  # share of the pictures that are for the test
MODEL = "VSML clone"
MODELS: dict[str, Any] = {MODEL: partial(Clone, RATE)}
REAL = ("mnist", "fashion", "kmnist")
SHOWN = ("clone", "backprop", "same answers", "apart")


def made(make: Any) -> nn.Module:
    """Return a new clone: there is no frame around it."""
    return make()


@dataclass(frozen=True)
class Case:
    """A network, and the pictures it learns.

    Attributes
    ----------
    pictures : str
        A name of `srwm_lite.image_sets.images`.
    size : int
        Pixels a side.
    hidden : tuple of int
        Units between the layers.
    rate : float
        Learning rate of the network: the error is sent ``rate / 0.1`` times as large.
    examples, tested : int
    part : str
        Of the set; all of it is cut into pictures to learn and pictures for the test.
    """

    pictures: str
    size: int
    hidden: tuple[int, ...] = ()
    rate: float = 0.01
    examples: int = 2000
    tested: int = 300
    part: str = "test"

    @property
    def name(self) -> str:
        """The pictures, and whether there is a layer between."""
        return f"{self.pictures}, {'two layers' if self.hidden else 'one layer'}"

    @property
    def sizes(self) -> list[int]:
        """Units of all layers."""
        return [self.size**2, *self.hidden, CLASSES]

    def ready(self) -> None:
        """Read the pictures, or raise `srwm_lite.data.DataUnavailable`."""
        images(self.pictures, self.part, self.size)

    def sample(self, generator: Generator) -> tuple[Tensor, ...]:
        """Draw a stream (1, T, I) with its targets, and others to be tested with.

        The pictures are mixed, always alike: some files are in the order of the
        classes. The last fifth is for the test. Pixels have mean 0 and standard
        deviation 1 over all that is not.
        """
        pictures, labels = images(self.pictures, self.part, self.size)
        mixed = torch.randperm(len(labels), generator=Generator().manual_seed(0))
        pictures, labels = pictures[mixed], labels[mixed]
        x, seen = pictures.flatten(1), len(pictures) - int(len(pictures) * HELD)
        x = (x - x[:seen].mean()) / x[:seen].std()
        drawn = torch.randint(seen, (self.examples,), generator=generator)
        targets = functional.one_hot(labels[drawn], CLASSES).float()
        test = slice(seen, seen + self.tested)
        return x[None, drawn], targets[None], x[test], labels[test]

    def error(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the error of the cross-entropy, so large that the rate is right."""
        return self.rate / RATE * softmax_error(answer, target)

    def measured(self, clone: Clone, *stream: Tensor) -> Tensor:
        """Return the numbers of `SHOWN`.

        Share of right answers to the test of both networks, share of answers in the
        stream that are the same, and the largest `distance` of a layer.
        """
        x, targets, test, labels = stream
        begin = start(1, self.sizes)
        ran = race(clone, begin, x, targets, error=self.error)
        cells = (clone, ran.states), (backprop_cell(RATE), ran.exact_states)
        right = [
            (answers(cell, states, test).argmax(dim=-1) == labels).float()
            for cell, states in cells
        ]
        same = ran.answers.argmax(dim=-1) == ran.exact_answers.argmax(dim=-1)
        apart = distance(ran.states, ran.exact_states, begin).max()
        return torch.stack([*(r.mean() for r in right), same.float().mean(), apart])

    def test(self) -> Test:
        """Return the test that lets two networks run side by side."""
        parts = [f"{self.name}: {what}" for what in SHOWN]
        return Test(self.sample, self.measured, 1, parts=parts)


def setting(
    cases: Sequence[Case],
    *,
    steps: int = STEPS,
    batch: int = BATCH,
    n: int = 20_000,
    silent: int = 1000,
) -> Setting:
    """Return the setting that clones, and then runs these cases."""
    tests = {case.name: case.test() for case in cases}
    parts = [f"deviation: {part}" for part in PARTS]
    sample = partial(situations, n=n)
    tests["deviation"] = Test(sample, imitation, 1, parts=parts)
    strayed = [f"after {silent} silent steps: {what} moved by" for what in "wb"]
    stray = partial(drift, steps=silent)
    tests["drift"] = Test(partial(situations, n=1000), stray, 1, "", strayed)
    return Setting(
        about=(
            f"one step of backpropagation with rate {RATE:g} in {batch} random "
            "situations a step; then "
            + ", ".join(f"{c.examples} of {c.name} with rate {c.rate:g}" for c in cases)
        ),
        frame=made,
        sample=partial(situations, n=batch),
        tests=tests,
        lr=dict.fromkeys(MODELS, LR),
        steps=steps,
        loss=cloning_loss,
        warmup=0.01,
        clip=1.0,
        known={"chance": 1 / CLASSES},
        layers=MODELS,
        valid=Test(partial(situations, n=2000), cloning_loss, 1, unit=""),
        ready=partial(_ready, cases),
    )


def _ready(cases: Sequence[Case]) -> None:
    for case in cases:
        case.ready()


def both(pictures: str, size: int, hidden: int, rate: float, **options: Any) -> list:
    """Return a network without and one with a layer between."""
    return [
        Case(pictures, size, between, rate, **options) for between in ((), (hidden,))
    ]


def quick() -> Settings:
    """Return tiny digits, in seconds, to see that all runs."""
    cases = both("digits", 3, 2, 0.01, examples=4, tested=5)
    return {"digits": setting(cases, steps=3, batch=8, n=20, silent=3)}


def laptop() -> Settings:
    """Return what is stored: ten minutes a seed on a core."""
    digits = both("digits", 8, 16, 0.01, part="train")
    real = [case for name in REAL for case in both(name, 14, 16, 0.003, examples=1500)]
    return {"pictures": setting([*digits, *real])}


def paper() -> Settings:
    """Return pictures of the size of [1], and longer streams; steps are our guess."""
    sizes: Any = {"examples": 20_000, "tested": 2000}
    cases = [c for name in REAL for c in both(name, 28, 160, 1e-3, **sizes)]
    return {"pictures": setting(cases, steps=200_000, batch=4096)}


def side_by_side(result: Record, setting: str = "pictures") -> str:
    """Return what was measured as a table in Markdown, a row for each network."""
    found = means(result, setting, list(result["settings"][setting]["tests"]))
    lines = [f"| network | {' | '.join(SHOWN)} |", "|---|" + "---:|" * len(SHOWN)]
    for name in dict.fromkeys(key.split(":")[0] for key in found if ": clone " in key):
        numbers = [found[f"{name}: {what} {MODEL}"] for what in SHOWN]
        lines.append(f"| {name} | {' | '.join(f'{100 * x:.1f} %' for x in numbers)} |")
    return "\n".join(lines)


EXPERIMENT = Experiment(
    "vsml_cloning",
    "an LSTM that cloned backpropagation from random numbers learns pictures",
    {"quick": quick, "laptop": laptop, "paper": paper},
    chosen=(
        "The sizes of the LSTM, its shifts and the learning rate of the cloning were "
        "set in a few trials on one seed, judged by the deviations. The rates of the "
        "networks were set with exact backpropagation on digits and MNIST."
    ),
)
