"""Episodes: see each class once or a few times, then name one.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_few_shot.py
Source    [1] Vinyals et al. (2016), arXiv:1606.04080 (N-way K-shot episodes).

Shapes    B batch, C classes, N drawings of each, ways classes in an episode, S support
          images (ways * shots), Q queries, T time, h and w pixels.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from srwm_lite.arguments import check_rank, check_whole


class Episode(NamedTuple):
    """Support images with labels, and queries with the labels that are wanted."""

    support: Tensor
    labels: Tensor
    queries: Tensor
    targets: Tensor


class FewShot:
    """Draw N-way K-shot episodes from pictures of many classes [1].

    Parameters
    ----------
    images : Tensor, (C, N, h, w)
        N drawings of each of C classes.
    ways, shots : int
        Classes in an episode, and support images of each.
    queries : int
        Images to name after the same support; each is asked on its own.
    rotations : bool
        Take every class turned by 90, 180 and 270 degrees as a class of its own, which
        makes four times as many; the images must be square.
    """

    def __init__(
        self,
        images: Tensor,
        ways: int = 5,
        shots: int = 1,
        queries: int = 5,
        *,
        rotations: bool = False,
    ) -> None:
        check_rank("CNhw", images=images)
        check_whole(1, ways=ways, shots=shots, queries=queries)
        self.images, self.rotations = images, rotations
        self.ways, self.shots, self.queries = ways, shots, queries
        C, N, height, width = images.shape
        if rotations and height != width:
            raise ValueError(f"rotations need square images: got {height} x {width}")
        if ways > self.num_classes or shots >= N:
            raise ValueError(
                f"an episode needs {ways} classes and more than {shots} drawings of "
                f"each: images {tuple(images.shape)} hold {C} classes, {N} drawings"
            )

    @property
    def num_classes(self) -> int:
        """Return the number of classes to draw from, rotated ones included."""
        return len(self.images) * (4 if self.rotations else 1)

    @property
    def ceiling(self) -> float:
        """Accuracy of the best answer without a memory: every label is as likely."""
        return 1 / self.ways

    def sample(self, batch: int, generator: Generator | None = None) -> Episode:
        """Draw episodes; no query is an image of its support.

        Returns
        -------
        Episode
            support (B, S, h, w), labels (B, S), queries (B, Q, h, w), targets (B, Q).
        """
        check_whole(0, batch=batch)
        classes = self._distinct(batch, self.num_classes, self.ways, generator)
        slots = torch.arange(self.ways).repeat_interleave(self.shots).expand(batch, -1)
        mixed = torch.rand(slots.shape, generator=generator).argsort(dim=1)
        labels = slots.gather(1, mixed)
        N = self.images.shape[1]
        order = self._distinct(batch * self.ways, N, N, generator)
        order = order.view(batch, self.ways, N)
        shown = order[:, :, : self.shots].flatten(1).gather(1, mixed)
        asked = (batch, self.queries)
        targets = torch.randint(self.ways, asked, generator=generator)
        other = torch.randint(self.shots, N, asked, generator=generator)
        hidden = order[torch.arange(batch)[:, None], targets, other]
        support = self._pictures(classes.gather(1, labels), shown)
        queries = self._pictures(classes.gather(1, targets), hidden)
        return Episode(support, labels, queries, targets)

    def stream(
        self, batch: int, length: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw streams of images of `ways` classes, any class at any time.

        Returns
        -------
        images : Tensor, (B, T, h, w)
        labels : Tensor of integers, (B, T)
        """
        check_whole(0, batch=batch)
        check_whole(1, length=length)
        classes = self._distinct(batch, self.num_classes, self.ways, generator)
        labels = torch.randint(self.ways, (batch, length), generator=generator)
        N = self.images.shape[1]
        drawings = torch.randint(N, (batch, length), generator=generator)
        return self._pictures(classes.gather(1, labels), drawings), labels

    @staticmethod
    def _distinct(
        batch: int, size: int, count: int, generator: Generator | None
    ) -> Tensor:
        """Return `count` different numbers below `size` in each row."""
        return torch.rand(batch, size, generator=generator).topk(count, dim=1).indices

    def _pictures(self, classes: Tensor, drawings: Tensor) -> Tensor:
        C = len(self.images)
        pictures = self.images[classes % C, drawings].float()
        if not self.rotations:
            return pictures
        turned = torch.stack([pictures.rot90(r, (-2, -1)) for r in range(4)])
        return turned.gather(
            0, (classes // C)[None, ..., None, None].expand_as(pictures[None])
        )[0]
