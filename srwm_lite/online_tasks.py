"""Streams of small learning problems: pictures, random vectors, or a mixture.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_online_tasks.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, section 4 and appendix.

Shapes    B problems, T examples of each, I inputs (pixels), O classes, n pictures.
"""

import torch
from torch import Generator, Tensor

from srwm_lite.arguments import check_agree, check_flag, check_rank
from srwm_lite.vector_tasks import (
    Gaussian,
    LinearTeacher,
    Memorise,
    OnlineTask,
    SumSign,
    ideal_gaussian,
)

__all__ = [
    "Gaussian",
    "Images",
    "LinearTeacher",
    "Memorise",
    "Mixture",
    "OnlineTask",
    "SumSign",
    "ideal_gaussian",
]

MANY = 2**40  # a remainder of a number below it is as good as a fair draw


class Images(OnlineTask):
    """Tell some classes of a set of pictures apart, numbered at random.

    An example is a class, then one of its pictures; both may come again. Pixels are
    standardised with the mean and the standard deviation of the whole set.

    Parameters
    ----------
    pictures : Tensor, (n, h, w)
    labels : Tensor of integers, (n,)
    classes : int
        How many of the classes a problem has.
    length : int
    shuffled : bool
        Put the pixels of each problem into an order of its own.
    projected : bool
        Multiply them with a matrix (I, I) of its own, N(0, 1/I): as in half of the
        training of [1].

    Raises
    ------
    ValueError
        If pictures and labels do not fit, or there are too few classes.
    """

    def __init__(
        self,
        pictures: Tensor,
        labels: Tensor,
        classes: int,
        length: int,
        *,
        shuffled: bool = False,
        projected: bool = False,
    ) -> None:
        check_rank("nhw", pictures=pictures)
        check_agree("n", pictures=pictures, labels=labels)
        check_flag(shuffled=shuffled, projected=projected)
        super().__init__(pictures.shape[1] * pictures.shape[2], classes, length)
        named, counts = labels.unique(return_counts=True)
        if labels.dim() != 1 or len(named) < classes:
            raise ValueError(
                f"labels must be (n,) and name {classes} classes or more: got "
                f"{tuple(labels.shape)} with {len(named)} classes"
            )
        std, mean = torch.std_mean(pictures, correction=0)
        if not std > 0:
            raise ValueError(f"pictures must differ: every pixel is {float(mean)}")
        self.pictures, self.mean, self.std = pictures.flatten(1), mean, std
        self.counts, self.order = counts, labels.argsort(stable=True)
        self.shuffled, self.projected = shuffled, projected

    def _draw(self, B: int, T: int, generator: Generator | None) -> tuple[Tensor, ...]:
        mixed = torch.rand(B, len(self.counts), generator=generator).argsort(dim=1)
        labels = self._labels(B, T, generator)
        chosen = mixed.gather(1, labels)
        nth = torch.randint(MANY, (B, T), generator=generator) % self.counts[chosen]
        first = self.counts.cumsum(0) - self.counts
        x = self.pictures[self.order[first[chosen] + nth]]
        return self._seen((x - self.mean) / self.std, generator), labels

    def _seen(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Return pictures (B, T, I) as each problem sees them."""
        B, _, size = x.shape
        if self.shuffled:
            order = torch.rand(B, 1, size, generator=generator).argsort(dim=-1)
            x = x.gather(-1, order.expand_as(x))
        if self.projected:
            x = x @ (torch.randn(B, size, size, generator=generator) / size**0.5)
        return x


class Mixture:
    """Draw each batch from one of several tasks, all as likely.

    They may differ in I, O and T: a learner whose cells share their weights takes any.
    """

    def __init__(self, *tasks: OnlineTask) -> None:
        if not tasks:
            raise ValueError("a mixture needs one task or more: got none")
        self.tasks = tasks

    def sample(
        self,
        batch: int,
        generator: Generator | None = None,
        *,
        length: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw a task, then a batch of it, as `OnlineTask.sample` does."""
        which = int(torch.randint(len(self.tasks), (), generator=generator))
        return self.tasks[which].sample(batch, generator, length=length)
