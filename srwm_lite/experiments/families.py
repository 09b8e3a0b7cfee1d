"""What online learners meet in training and in tests: families of problems.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_experiments_vsml.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, section 4 and appendix.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn

from srwm_lite.experiments.setting import Test
from srwm_lite.image_sets import images
from srwm_lite.online_tasks import (
    Gaussian,
    Images,
    LinearTeacher,
    Memorise,
    Mixture,
    SumSign,
)
from srwm_lite.vsml_learner import online_curve

I, O, LENGTH = 16, 5, 50  # noqa: E741  sizes in training
ENDS = (5, 10, 20, 40, 70, 100)  # of the pieces of a curve
LONG = (10, 30, 100, 300, 1000)
CURVED = ("Gaussian", "digits")
REAL = ("mnist", "fashion", "kmnist")


def draw(
    generator: Generator, *, task: Callable[[], Any], batch: int, length: int
) -> tuple[Tensor, Tensor]:
    """Draw streams of a task, which is made when it is needed."""
    return task().sample(batch, generator, length=length)


def between(ends: Sequence[int]) -> list[tuple[int, int]]:
    """Return begin and end of the pieces of a curve; one end alone cuts nothing."""
    return list(pairwise((0, *ends))) if len(ends) > 1 else []


def pieces(
    learner: nn.Module, x: Tensor, targets: Tensor, *, ends: Sequence[int]
) -> Tensor:
    """Return the accuracy over the whole stream, then over its pieces."""
    curve = online_curve(learner, x, targets)
    cuts = between(ends)
    return torch.stack([curve.mean(), *(curve[a:b].mean() for a, b in cuts)])


def parts(name: str, ends: Sequence[int]) -> list[str]:
    """Name what `pieces` returns."""
    cuts = between(ends)
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
    "random patterns": partial(Memorise, I, O, LENGTH),
    "sign of the sum": partial(SumSign, I, LENGTH),
    "linear teacher": partial(LinearTeacher, I, O, LENGTH),
    "digits": partial(pictures, "digits", "test", 8, 10),
    "digits, pixels shuffled": partial(
        pictures, "digits", "test", 8, 10, shuffled=True
    ),
    "digits, projected": partial(pictures, "digits", "test", 8, 10, projected=True),
    "digits, 4 x 4": partial(pictures, "digits", "test", 4, 5),
}
SAME_SIZE = ["Gaussian", "random patterns", "linear teacher", "digits, 4 x 4"]


def many() -> Mixture:
    """Return several families in several sizes, none of real pictures."""
    return Mixture(
        GAUSSIAN(),
        Gaussian(24, 3, LENGTH),
        Gaussian(8, 8, LENGTH),
        Gaussian(24, 10, LENGTH, noise=1.5),
        Memorise(I, O, LENGTH, pictures=10),
        Memorise(I, 10, LENGTH),
        SumSign(12, LENGTH),
    )


def some(*names: str, ends: Sequence[int] = ENDS, **options: Any) -> dict[str, Test]:
    """Return the tests of these families, of all if none is named.

    How accuracy rises is asked for those in `CURVED` only.
    """
    return {
        n: asked(n, FAMILIES[n], ends if n in CURVED else ends[-1:], **options)
        for n in names or FAMILIES
    }


def real(streams: int = 10) -> dict[str, Test]:
    """Return long streams of MNIST, Fashion-MNIST and KMNIST, of the test parts."""
    return {
        name: asked(name, partial(pictures, name, "test", 28, 10), LONG, streams)
        for name in REAL
    }


def fetched() -> None:
    """Raise `DataUnavailable` unless the pictures of `real` are there."""
    for name in REAL:
        images(name, "test", 28)
