"""Learn to learn online: VSML and its rivals on problems they have never met.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_experiments_vsml.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, section 4 and appendix.

Every model is a learner: it answers, is told, goes on. Training (of the numbers that
all problems share) is on streams of one family or of several; the tests are streams of
other families, sizes and pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from srwm_lite.delta_rule import DeltaNet
from srwm_lite.evolution import evolution_loss
from srwm_lite.experiments.setting import Experiment, Setting, Settings, Test
from srwm_lite.feature_maps import unit_norm
from srwm_lite.image_sets import images
from srwm_lite.online_gradient import OnlineAdam, OnlineSGD
from srwm_lite.online_learners import FastWeightLearner, HebbianNet, MetaRNN
from srwm_lite.online_tasks import (
    Gaussian,
    Images,
    LinearTeacher,
    Memorise,
    Mixture,
    SumSign,
)
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import VSML, online_curve, online_loss

I, O, MOST = 16, 5, (64, 10)  # noqa: E741  sizes in training, and of fixed nets
ENDS = (5, 10, 20, 40, 70, 100)  # of the pieces of a curve
LONG = (10, 30, 100, 300, 1000)
REAL = ("mnist", "fashion", "kmnist")
BATCH, LENGTH, STEPS = 8, 50, 1500

LEARNERS: dict[str, Any] = {
    "VSML": VSML,
    "VSML, hidden layer": partial(VSML, hidden=(16,)),
    "VSML, own weights": lambda: VSML(SubRNN(grid=(I, O))),
    "Meta RNN": partial(MetaRNN, *MOST),
    "Hebbian": partial(HebbianNet, *MOST, oja=True),
    "DeltaNet": partial(
        FastWeightLearner, *MOST, layer=partial(DeltaNet, feature_map=unit_norm)
    ),
    "SGD": OnlineSGD,
    "SGD, hidden layer": partial(OnlineSGD, 160),
    "Adam": partial(OnlineAdam, rate=1e-2),
}
RATES = {
    **dict.fromkeys(("VSML", "VSML, hidden layer", "VSML, own weights"), 1e-2),
    **dict.fromkeys(("Meta RNN", "Hebbian", "DeltaNet"), 2e-3),
    **dict.fromkeys(("SGD", "SGD, hidden layer", "Adam"), 3e-2),
}


def made(make: Any) -> nn.Module:
    """Return a new learner: there is no frame around it."""
    return make()


def draw(
    generator: Generator, *, task: Callable[[], Any], batch: int, length: int
) -> tuple[Tensor, Tensor]:
    """Draw streams of a task, which is made when it is needed."""
    return task().sample(batch, generator, length=length)


def pieces(
    learner: nn.Module, x: Tensor, targets: Tensor, *, ends: Sequence[int]
) -> Tensor:
    """Return the accuracy over the whole stream, then over its pieces."""
    curve = online_curve(learner, x, targets)
    cuts = zip((0, *ends), ends, strict=False)
    return torch.stack([curve.mean(), *(curve[a:b].mean() for a, b in cuts)])


def parts(name: str, ends: Sequence[int]) -> list[str]:
    """Name what `pieces` returns."""
    cuts = zip((0, *ends), ends, strict=False)
    spans = [f"{a + 1} to {b}" if b > a + 1 else f"{b}" for a, b in cuts]
    return [name, *(f"{name}, {span}" for span in spans)]


def asked(
    name: str, task: Callable[[], Any], ends: Sequence[int] = ENDS, streams: int = 200
) -> Test:
    """Return the test of one family: its accuracy and how it rises."""
    sample = partial(draw, task=task, batch=streams, length=ends[-1])
    metric = partial(pieces, ends=ends)
    return Test(sample, metric, 1, parts=parts(name, ends))


def pictures(name: str, part: str, side: int, classes: int, **options: Any) -> Images:
    """Return the task of a set of pictures, shrunk to `side` pixels."""
    return Images(*images(name, part, side), classes, LENGTH, **options)


GAUSSIAN = partial(Gaussian, I, O, LENGTH)
FAMILIES: dict[str, Callable[[], Any]] = {
    "Gaussian": GAUSSIAN,
    "Gaussian, 64 inputs, 10 classes": partial(Gaussian, 64, 10, LENGTH),
    "Gaussian, 4 inputs, 2 classes": partial(Gaussian, 4, 2, LENGTH),
    "random pictures": partial(Memorise, I, O, LENGTH),
    "sign of the sum": partial(SumSign, I, LENGTH),
    "linear teacher": partial(LinearTeacher, I, O, LENGTH),
    "digits": partial(pictures, "digits", "test", 8, 10),
    "digits, pixels shuffled": partial(
        pictures, "digits", "test", 8, 10, shuffled=True
    ),
    "digits, projected": partial(pictures, "digits", "test", 8, 10, projected=True),
    "digits, 4 x 4": partial(pictures, "digits", "test", 4, 5),
}
EVERYONE = [name for name in LEARNERS if name != "VSML, own weights"]
EVOLUTION: dict[str, Any] = {"batch": 4, "steps": 500, "lr": {"VSML": 0.025}}
SAME_SIZE = ["Gaussian", "random pictures", "linear teacher", "digits, 4 x 4"]


def many() -> Mixture:
    """Return several families in several sizes, none of real pictures."""
    return Mixture(
        GAUSSIAN(),
        Gaussian(32, 3, LENGTH),
        Gaussian(8, 8, LENGTH),
        Gaussian(48, 10, LENGTH, noise=1.5),
        Memorise(I, O, LENGTH, pictures=10),
        Memorise(32, 10, LENGTH),
        SumSign(12, LENGTH),
    )


def setting(
    about: str,
    models: Sequence[str],
    tests: Mapping[str, Test],
    *,
    task: Callable[[], Any] = GAUSSIAN,
    batch: int = BATCH,
    length: int = LENGTH,
    **options: Any,
) -> Setting:
    """Return a setting in which these learners meet a family in training."""
    usual: Any = {"steps": STEPS, "loss": online_loss, "warmup": 0.01, "clip": 1.0}
    usual["lr"] = {name: RATES[name] for name in models}
    return Setting(
        about=f"{about}; {batch} streams of {length} examples in a batch",
        frame=made,
        sample=partial(draw, task=task, batch=batch, length=length),
        tests=tests,
        layers=LEARNERS,
        **{**usual, **options},
    )


def some(*names: str, **options: Any) -> dict[str, Test]:
    """Return the tests of these families, of all if none is named."""
    return {n: asked(n, FAMILIES[n], **options) for n in names or FAMILIES}


def real(side: int = 28, streams: int = 10) -> dict[str, Test]:
    """Return long streams of MNIST, Fashion-MNIST and KMNIST, of the test parts."""
    return {
        name: asked(name, partial(pictures, name, "test", side, 10), LONG, streams)
        for name in REAL
    }


def fetched() -> None:
    """Raise `DataUnavailable` unless the pictures of `real` are there."""
    for name in REAL:
        images(name, "test", 28)


def evolved(pairs: int) -> dict[str, Any]:
    """Return what makes a setting learn by evolution strategies, as in [1]."""
    return {"loss": partial(evolution_loss, pairs=pairs, sigma=0.05), "clip": None}


def quick() -> Settings:
    """Return every model for a few steps, in seconds, to see that all runs."""
    few: Any = {"ends": (1, 2, 4), "streams": 3}
    small: Any = {"batch": 2, "steps": 2}
    mixed: Any = {"task": many, **small}
    alone = some(*SAME_SIZE, **few)
    return {
        "one family": setting("Gaussian", EVERYONE, some(**few), **small),
        "no sharing": setting("Gaussian", ["VSML, own weights"], alone, **small),
        "many families": setting("several", ["VSML"], some(**few), **mixed),
        "evolution": setting(
            "Gaussian", ["VSML"], some(**few), **small, **evolved(pairs=2)
        ),
    }


def laptop() -> Settings:
    """Return what is stored: each training takes half a minute to six minutes."""
    tests, free = some(), ["VSML", "SGD", "SGD, hidden layer", "Adam"]
    both = ["VSML", "SGD"]
    teacher: Any = {"task": FAMILIES["linear teacher"], "steps": 3000}
    return {
        "one family": setting("Gaussian problems", EVERYONE, tests),
        "many families": setting(
            "seven families, none of pictures",
            free,
            {**tests, **real()},
            task=many,
            steps=3000,
            ready=fetched,
        ),
        "teacher in training": setting("linear teachers", both, tests, **teacher),
        "no sharing": setting(
            "Gaussian problems", ["VSML, own weights"], some(*SAME_SIZE)
        ),
        "evolution": setting(
            "Gaussian problems", ["VSML"], tests, **EVOLUTION, **evolved(pairs=64)
        ),
    }


def paper() -> Settings:
    """Return the sizes of [1]: MNIST in training, streams of 500, 28 x 28 pixels."""
    task = partial(pictures, "mnist", "train", 28, 10, projected=True)
    tests = real(streams=32)
    long: Any = {"task": task, "length": 500, "ready": fetched}
    by: Any = {"batch": 1, "steps": 10_001, "lr": {"VSML": 0.025}, **evolved(pairs=512)}
    slope: Any = {"batch": 128, "steps": 10_001, "lr": {"VSML": 1e-3}, "clip": 25.0}
    return {
        "evolution": setting("MNIST", ["VSML"], tests, **{**long, **by}),
        "gradient": setting("MNIST", ["VSML"], tests, **{**long, **slope}),
    }


EXPERIMENT = Experiment(
    "vsml",
    "learned learning rules, their rivals and gradient descent learn online",
    {"quick": quick, "laptop": laptop, "paper": paper},
    chosen=(
        "Learning rates of training: 1e-2 for VSML, where 3e-3 was tried as well, 2e-3 "
        "for the other nets, 3e-2 for the rates of SGD and Adam, whose training tunes "
        "nothing but their rate and its decay. Steps were set in trials with VSML on "
        "seed 0. Nothing else was searched."
    ),
)
