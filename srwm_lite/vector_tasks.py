"""Streams of small learning problems made of random vectors.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_vector_tasks.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, section 4 and appendix.

Shapes    B problems, T examples of each, I inputs, O classes.

Whatever makes a problem (means, pictures, teacher, names of the classes) is drawn anew
for each row of a batch and stays the same all along the row.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor
from torch.nn import functional

from srwm_lite.arguments import check_agree, check_range, check_rank, check_whole

CUT = 2.0  # standard deviations, where the noise of `SumSign` ends


@dataclass(frozen=True, eq=False)
class OnlineTask:
    """Draw streams for a learner that answers, is told, and goes on.

    Parameters
    ----------
    inputs, classes, length : int
        Sizes I, O and T of a stream.
    """

    inputs: int
    classes: int
    length: int

    def __post_init__(self) -> None:
        check_whole(1, inputs=self.inputs, length=self.length)
        check_whole(2, classes=self.classes)

    @property
    def ceiling(self) -> float:
        """Accuracy of the best answer without a memory: every class is as likely."""
        return 1 / self.classes

    def sample(
        self,
        batch: int,
        generator: Generator | None = None,
        *,
        length: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw a batch of problems.

        Parameters
        ----------
        batch : int
            B.
        generator : torch.Generator, optional
            Source of randomness.
        length : int, optional
            Examples of each, instead of those of the task.

        Returns
        -------
        x : Tensor, (B, T, I)
        targets : Tensor, (B, T, O)
            One 1 in each row, else 0.
        """
        T = self.length if length is None else length
        check_whole(0, batch=batch)
        check_whole(1, length=T)
        x, labels = self._draw(batch, T, generator)
        return x, functional.one_hot(labels, self.classes).to(x)

    def _draw(self, B: int, T: int, generator: Generator | None) -> tuple[Tensor, ...]:
        """Return x (B, T, I) and labels (B, T)."""
        raise NotImplementedError

    def _labels(self, B: int, T: int, generator: Generator | None) -> Tensor:
        return torch.randint(self.classes, (B, T), generator=generator)


@dataclass(frozen=True)
class Gaussian(OnlineTask):
    """Tell classes apart by their means.

    ::

        mean_c ~ N(0, 1),    x ~ N(mean_c, noise²)

    `ideal_gaussian` is the best learner that there can be.
    """

    noise: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(0, 100, noise=self.noise)

    def _draw(self, B: int, T: int, generator: Generator | None) -> tuple[Tensor, ...]:
        means = torch.randn(B, self.classes, self.inputs, generator=generator)
        labels = self._labels(B, T, generator)
        noise = torch.randn(B, T, self.inputs, generator=generator)
        return _rows(means, labels) + self.noise * noise, labels


@dataclass(frozen=True)
class Memorise(OnlineTask):
    """Remember a few Gaussian pictures with random labels: ``random`` in [1].

    They come in random order, each as often as chance has it, and do not change.
    """

    pictures: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(1, pictures=self.pictures)

    def _draw(self, B: int, T: int, generator: Generator | None) -> tuple[Tensor, ...]:
        pictures = torch.randn(B, self.pictures, self.inputs, generator=generator)
        labels = self._labels(B, self.pictures, generator)
        shown = torch.randint(self.pictures, (B, T), generator=generator)
        return _rows(pictures, shown), labels.gather(1, shown)


@dataclass(frozen=True)
class SumSign(OnlineTask):
    """Say whether the sum of the inputs is positive.

    ::

        x_i = (m + e_i) / std,    m ~ N(0, 1/I) for the example,    e_i ~ N(0, 1)

    with `e` cut at 2 standard deviations. The mean is random in [1], too; ours is so
    small that in the sum it weighs about as much as all `e` together, since with a
    large one any input alone would give the answer away. The variance of `x` is 1. Both
    signs are as likely; which of them is class 0 is drawn for each problem.
    """

    classes: int = field(default=2, init=False)

    def _draw(self, B: int, T: int, generator: Generator | None) -> tuple[Tensor, ...]:
        mean = torch.randn(B, T, 1, generator=generator) / self.inputs**0.5
        uniform = 2 * torch.rand(B, T, self.inputs, generator=generator) - 1
        noise = 2**0.5 * torch.erfinv(uniform * math.erf(CUT / 2**0.5))
        x = (mean + noise) / (1 / self.inputs + _cut_variance()) ** 0.5
        swapped = torch.randint(2, (B, 1), generator=generator)
        return x, (x.sum(dim=-1) > 0).long() ^ swapped


def _cut_variance() -> float:
    """Return the variance of N(0, 1), cut at CUT on both sides."""
    density = math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi)
    return 1 - 2 * CUT * density / math.erf(CUT / 2**0.5)


@dataclass(frozen=True)
class LinearTeacher(OnlineTask):
    """Find out a linear map that was drawn at random.

    ::

        W_ci ~ N(0, 1),    x ~ N(0, 1),    label = argmax_c (W x)_c

    The examples of all classes are one cloud, cut by planes through its middle.
    """

    def _draw(self, B: int, T: int, generator: Generator | None) -> tuple[Tensor, ...]:
        W = torch.randn(B, self.classes, self.inputs, generator=generator)
        x = torch.randn(B, T, self.inputs, generator=generator)
        return x, (x @ W.mT).argmax(dim=-1)


def ideal_gaussian(
    x: Tensor, targets: Tensor, noise: float | Tensor = 1.0
) -> tuple[Tensor, None]:
    """Answer as the best learner of `Gaussian` does: by the rule of Bayes.

    With n_c examples of class c told before, and their sum S_c::

        mean_c = S_c / (n_c + noise²)
        var_c  = noise² + noise² / (n_c + noise²)
        logit_c = log N(x; mean_c, var_c)

    Parameters
    ----------
    x : Tensor, (B, T, I)
    targets : Tensor, (B, T, O)
    noise : float
        That of the task.

    Returns
    -------
    logits : Tensor, (B, T, O)
        Without the constant that all classes share.
    None
        It starts anew with every call.

    Raises
    ------
    ValueError
        If shapes disagree or `noise` is not positive.
    """
    check_rank("BTI", x=x)
    check_rank("BTO", targets=targets)
    check_agree("BT", x=x, targets=targets)
    check_range(1e-3, 100, noise=float(torch.as_tensor(noise).detach()))
    count = _before(targets) + noise**2
    mean = _before(targets[..., None] * x[:, :, None]) / count[..., None]
    var = noise**2 + noise**2 / count
    away = (x[:, :, None] - mean).square().sum(dim=-1)
    return -(away / var + x.shape[-1] * var.log()) / 2, None


def _before(x: Tensor) -> Tensor:
    """Return the sum over all earlier times of x (B, T, ...)."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1).cumsum(dim=1)


def _rows(x: Tensor, index: Tensor) -> Tensor:
    """Return rows ``x[b, index[b, t]]`` of x (B, n, I), (B, T, I)."""
    return x[torch.arange(len(x))[:, None], index]
