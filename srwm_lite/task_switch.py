"""A switch that nobody announces: two tasks in one stream, labels one step late.

Chapter   chapters/13_task_switch.ipynb
Tests     tests/test_task_switch.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2022), arXiv:2202.05780, section 4.2.

Shapes    B batch, T time, h and w pixels.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from srwm_lite.arguments import check_whole
from srwm_lite.episodes import FewShot
from srwm_lite.few_shot import FewShotNet


class TaskSwitch:
    """Draw streams of pictures of one family, from some time on of another [1].

    The labels 0, 1, ... mean other classes after the switch. Nothing says when it is:
    whoever learns from the labels must notice that what it knew is wrong.

    Parameters
    ----------
    first, second : FewShot
        The families, with as many ways and pixels.
    length : int
        Number T of pictures in a stream.
    low, high : int
        Earliest and latest time of the switch, the number of pictures before it.
    either : bool
        Let half of the streams begin with `second`; if False, `first` comes first.
    """

    def __init__(
        self,
        first: FewShot,
        second: FewShot,
        length: int = 60,
        low: int = 20,
        high: int = 40,
        *,
        either: bool = True,
    ) -> None:
        check_whole(1, low=low)
        check_whole(low, high=high)
        check_whole(high + 1, length=length)
        one, two = ((x.ways, *x.images.shape[-2:]) for x in (first, second))
        if one != two:
            raise ValueError(
                f"both families need the same (ways, h, w): got {one} and {two}"
            )
        self.first, self.second, self.length = first, second, length
        self.low, self.high, self.either = low, high, either

    def sample(
        self, batch: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw streams, each with its own time of the switch.

        Returns
        -------
        images : Tensor, (B, T, h, w)
        labels : Tensor of integers, (B, T)
        switch : Tensor of integers, (B,)
            Time of the first picture of the other family.
        """
        one, known = self.first.stream(batch, self.length, generator)
        two, other = self.second.stream(batch, self.length, generator)
        times = (batch,)
        switch = torch.randint(self.low, self.high + 1, times, generator=generator)
        turned = torch.rand(batch, generator=generator) < 0.5 * self.either
        second = behind(switch, self.length) ^ turned[:, None]
        images = torch.where(second[..., None, None], two, one)
        return images, torch.where(second, other, known), switch


def behind(switch: Tensor, length: int) -> Tensor:
    """Say of every step whether the switch is behind it, (B, T)."""
    return torch.arange(length) >= switch[:, None]


def appearances(labels: Tensor, switch: Tensor) -> Tensor:
    """Count how often a class was there before, since the stream or switch began.

    Returns
    -------
    Tensor of integers, (B, T)
        0 where a class appears for the first time.
    """
    after = behind(switch, labels.shape[1])
    task = 2 * labels + after
    return (task[:, :, None] == task[:, None, :]).tril(-1).sum(dim=-1)


def switch_loss(
    model: FewShotNet, images: Tensor, labels: Tensor, switch: Tensor
) -> Tensor:
    """Return the cross-entropy of all steps, in nats; the switch is not told."""
    y = model.late(images, labels)
    return functional.cross_entropy(y.flatten(0, 1), labels.flatten())


def switch_accuracy(
    model: FewShotNet, images: Tensor, labels: Tensor, switch: Tensor
) -> Tensor:
    """Return the share of all steps whose class is named right."""
    return _right(model, images, labels).mean()


def accuracy_around(
    model: FewShotNet,
    images: Tensor,
    labels: Tensor,
    switch: Tensor,
    *,
    before: int,
    after: int,
) -> Tensor:
    """Return the accuracy at each step around the switch, (before + after,).

    The first entry is that of `before` steps before the first picture of the other
    family; streams must be long enough on both sides.
    """
    right, offsets = _right(model, images, labels), torch.arange(-before, after)
    return right.gather(1, switch[:, None] + offsets).mean(dim=0)


def accuracy_by_appearance(
    model: FewShotNet, images: Tensor, labels: Tensor, switch: Tensor, *, times: int
) -> Tensor:
    """Return the accuracy where a class appears for the k-th time, (2 times,).

    First those before the switch, k = 1, 2, ..., then those after it.
    """
    right, after = _right(model, images, labels), behind(switch, labels.shape[1])
    count = appearances(labels, switch)
    parts = [
        right[(count == k) & side].mean()
        for side in (~after, after)
        for k in range(times)
    ]
    return torch.stack(parts)


def _right(model: FewShotNet, images: Tensor, labels: Tensor) -> Tensor:
    return (model.late(images, labels).argmax(dim=-1) == labels).float()
