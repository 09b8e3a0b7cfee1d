"""Few-shot learning: see five new characters once, then name a new drawing.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_experiments_pictures.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2022), arXiv:2202.05780, section 4.1.

The characters are our own, so that all runs without a network; the same on Omniglot is
`srwm_lite.experiments.omniglot`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from srwm_lite.experiments.pictures import (
    CLIP,
    HERE,
    MODELS,
    RATES,
    WARMUP,
    Pictures,
    Sight,
    episodes,
)
from srwm_lite.experiments.setting import Experiment, Setting, Settings, Test
from srwm_lite.few_shot import FewShotNet, few_shot_accuracy, few_shot_loss

STEPS, BATCH, QUERIES, EPISODES = 1500, 16, 10, 600
METRIC = 1.0  # weight of the lesson for the stem, see srwm_lite.few_shot


def mean_and_interval(model: FewShotNet, *episode: Tensor) -> Tensor:
    """Return mean accuracy and half its 95 % interval over the episodes, (2,)."""
    *shown, targets = episode
    right = (model(*shown).argmax(dim=-1) == targets).float().mean(dim=1)
    return torch.stack([right.mean(), 1.96 * right.std() / len(right) ** 0.5])


def setting(
    pictures: Pictures,
    about: str,
    *,
    ways: int = 5,
    shots: int = 1,
    steps: int = STEPS,
    batch: int = BATCH,
    queries: int = QUERIES,
    metric: float = METRIC,
    tested: int = EPISODES,
    lr: Mapping[str, float] = RATES,
    frame: Mapping[str, Any] | None = None,
) -> Setting:
    """Return the setting of N-way K-shot episodes of some characters.

    Every class is also taken turned by 90, 180 and 270 degrees in training, not in the
    tests. Those are new characters; with K > 1 there is a test after each number of
    shots.
    """
    draw = partial(episodes, pictures=pictures, ways=ways, queries=queries)
    tests = {}
    for k in (shots, *range(1, shots)):
        name = f"{ways}-way {k}-shot"
        sample = partial(draw, part="test", batch=tested, shots=k, queries=QUERIES)
        tests[name] = Test(sample, mean_and_interval, 1, parts=(name, f"{name}, ±"))
    train = partial(draw, part="train", batch=batch, shots=shots, rotations=True)
    val = partial(draw, part="val", batch=100, shots=shots)
    return Setting(
        about=(
            f"{about}, {ways} ways, {shots} shots, {batch} episodes of {queries} "
            f"queries in a batch, lesson of the stem times {metric:g}; {tested} "
            f"episodes of {QUERIES} queries in the tests"
        ),
        frame=Sight(pictures.size, ways, **(frame or {})),
        sample=train,
        tests=tests,
        lr=lr,
        steps=steps,
        loss=partial(few_shot_loss, metric=metric),
        warmup=WARMUP,
        clip=CLIP,
        known={"chance": 1 / ways},
        layers=HERE,
        valid=Test(val, few_shot_accuracy, 1),
        ready=partial(pictures.part, "train"),
    )


OURS = "invented characters of curved strokes"
TINY: dict[str, Any] = {"d_model": 8, "num_heads": 2, "d_hidden": 8, "features": 8}


def quick() -> Settings:
    """Return a few characters, in seconds, to see that all runs."""
    small: Any = {"steps": 3, "batch": 2, "tested": 4, "frame": TINY}
    return {
        "2 shots": setting(Pictures("curved", 7, (8, 8, 8)), OURS, shots=2, **small)
    }


def laptop() -> Settings:
    """Return what is stored: about an hour on a core."""
    here, some = Pictures("curved"), {name: RATES[name] for name in MODELS[:2]}
    return {
        "5-way 1-shot": setting(here, OURS),
        "5-way 5-shot": setting(here, OURS, shots=5),
        "one query": setting(here, OURS, queries=1, lr=some),
        "no lesson for the stem": setting(here, OURS, metric=0.0, lr=some),
    }


def paper() -> Settings:
    """Return the sizes of [1]: pictures of 28 x 28, four convolutions, width 256."""
    pictures = Pictures("curved", 28, (1028, 172, 423))
    return {
        f"5-way {k}-shot": setting(pictures, OURS, shots=k, **PAPER) for k in (1, 5)
    }


PAPER: dict[str, Any] = {
    "steps": 300_000,
    "batch": 128,
    "frame": {"stem": "conv", "d_model": 256, "num_heads": 16, "d_hidden": 1024},
}
EXPERIMENT = Experiment(
    "few_shot",
    "five models learn new characters from one drawing of each",
    {"quick": quick, "laptop": laptop, "paper": paper},
    chosen=(
        "Stem, width, steps and the learning rate 2e-3, the same for all models, were "
        "set in a few trials with SRWM and DeltaNet on other invented characters; 4e-3 "
        "was too high for SRWM. Nothing was searched for each model."
    ),
)
