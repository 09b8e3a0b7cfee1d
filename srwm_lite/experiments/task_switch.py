"""A switch of tasks in mid-stream: who notices, and how soon it is forgotten.

Chapter   chapters/13_task_switch.ipynb
Tests     tests/test_experiments_pictures.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2022), arXiv:2202.05780, section 4.2.

The first family and the second come one after the other in one stream, each label one
step late; the memory is carried over the switch. With invented characters, curved ones
and straight-lined ones, all runs without a network.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from srwm_lite.experiments.few_shot import TINY
from srwm_lite.experiments.pictures import (
    CLIP,
    HERE,
    RATES,
    WARMUP,
    Pictures,
    Sight,
)
from srwm_lite.experiments.setting import Experiment, Setting, Settings, Test
from srwm_lite.few_shot import FewShotNet
from srwm_lite.task_switch import (
    TaskSwitch,
    accuracy_around,
    accuracy_by_appearance,
    switch_accuracy,
    switch_loss,
)

STEPS, BATCH, TESTED = 2500, 16, 500
REMINDER = True  # of the picture before, beside its late label
LENGTH, LOW, HIGH = 60, 20, 40  # of a stream, and where the switch may be
BEFORE, AFTER, TIMES = 10, 20, 5  # steps around it, and appearances of a class
Families = tuple[Pictures, Pictures]


def streams(
    generator: Generator,
    *,
    families: Families,
    part: str,
    batch: int,
    ways: int = 5,
    length: int = LENGTH,
    low: int = LOW,
    high: int = HIGH,
    either: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a batch of streams; in training also of turned characters."""
    turned = part == "train"
    first, second = (f.task(part, ways=ways, rotations=turned) for f in families)
    task = TaskSwitch(first, second, length, low, high, either=either)
    return task.sample(batch, generator)


def measured(
    model: FewShotNet, *stream: Tensor, before: int, after: int, times: int
) -> Tensor:
    """Return all numbers of `names`, in their order."""
    around = accuracy_around(model, *stream, before=before, after=after)
    by_count = accuracy_by_appearance(model, *stream, times=times)
    return torch.cat([switch_accuracy(model, *stream)[None], by_count, around])


def names(order: str, *, before: int, after: int, times: int) -> tuple[str, ...]:
    """Name the accuracies of one order of the families.

    Of all steps; where a class appears for the k-th time before or after the switch;
    and at each step from the switch, where 0 is the first picture of the second family.
    """
    sides = [f"{side}, appearance {k}" for side in SIDES for k in range(1, times + 1)]
    steps = [f"step {t:+d}" for t in range(-before, after)]
    return tuple(f"{order}: {what}" for what in ("all", *sides, *steps))


SIDES = ("before", "after")


def setting(
    families: Families,
    *,
    ways: int = 5,
    steps: int = STEPS,
    batch: int = BATCH,
    tested: int = TESTED,
    limits: Mapping[str, int] | None = None,
    shown: Mapping[str, int] | None = None,
    frame: Mapping[str, Any] | None = None,
) -> Setting:
    """Return the setting of two families; either may come first in training."""
    options: dict[str, Any] = {"ways": ways, **(limits or {})}
    draw = partial(streams, **options)
    asked: dict[str, Any] = {"before": BEFORE, "after": AFTER, "times": TIMES}
    asked |= shown or {}
    metric, tests = partial(measured, **asked), {}
    for pair in (families, families[::-1]):
        order = " then ".join(family.source for family in pair)
        sample = partial(draw, families=pair, part="test", batch=tested, either=False)
        tests[order] = Test(sample, metric, 1, parts=names(order, **asked))
    one, two = (family.source for family in families)
    val = partial(draw, families=families, part="val", batch=50)
    return Setting(
        about=(
            f"streams of {one} and {two} characters with one switch, {ways} ways, "
            f"{batch} in a batch, {tested} in the tests"
        ),
        frame=Sight(families[0].size, ways, **{"reminder": REMINDER, **(frame or {})}),
        sample=partial(draw, families=families, part="train", batch=batch),
        tests=tests,
        lr=RATES,
        steps=steps,
        loss=switch_loss,
        warmup=WARMUP,
        clip=CLIP,
        known={"chance": 1 / ways},
        layers=HERE,
        valid=Test(val, switch_accuracy, 1),
        ready=partial(prepared, families),
    )


def prepared(families: Families) -> None:
    """Draw or read the characters to train with."""
    for family in families:
        family.part("train")


def quick() -> Settings:
    """Return a few characters, in seconds, to see that all runs."""
    few = tuple(Pictures(name, 7, (8, 8, 8)) for name in ("curved", "straight"))
    limits = {"length": 14, "low": 6, "high": 8}
    shown = {"before": 2, "after": 3, "times": 2}
    small: Any = {"limits": limits, "shown": shown, "frame": TINY}
    one, two = few
    return {
        "curved, straight": setting((one, two), steps=3, batch=2, tested=20, **small)
    }


def laptop() -> Settings:
    """Return what is stored: an hour on a core."""
    families = Pictures("curved"), Pictures("straight")
    bare: Any = {"frame": {"reminder": False}}
    return {
        "curved, straight": setting(families),
        "no reminder": setting(families, **bare),
    }


def omniglot() -> Settings:
    """Return the same with Omniglot for the straight-lined characters."""
    return {"curved, omniglot": setting((Pictures("curved"), Pictures("omniglot")))}


def paper() -> Settings:
    """Return about the sizes of [1], with two families that can be had."""
    frame = {"stem": "conv", "num_layers": 3, "d_model": 256, "num_heads": 16}
    families = Pictures("curved", 28, (1028, 172, 423)), Pictures("omniglot", 28)
    limits = {"length": 150, "low": 45, "high": 105}
    sizes: Any = {"steps": 100_000, "batch": 64, "limits": limits, "frame": frame}
    return {"curved, omniglot": setting(families, **sizes)}


EXPERIMENT = Experiment(
    "task_switch",
    "five models read two tasks in one stream, and nobody says when one ends",
    {"quick": quick, "laptop": laptop, "omniglot": omniglot, "paper": paper},
    chosen=(
        "The learning rate 2e-3 and the sizes are those of the experiment few_shot; "
        "the steps were set after one trial with SRWM. Nothing was searched for each "
        "model."
    ),
)
