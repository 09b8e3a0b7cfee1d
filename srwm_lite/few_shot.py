"""Few-shot learning as a sequence: see each class once or a few times, then name one.

Chapter   chapters/12_few_shot.ipynb, to come
Tests     tests/test_few_shot.py
Sources   [1] Vinyals et al. (2016), arXiv:1606.04080 (N-way K-shot episodes).
          [2] Santoro et al. (2016), arXiv:1605.06065 (labels one step late).
          [3] Irie, Schlag, Csordás & Schmidhuber (2022), arXiv:2202.05780, section 4.

Shapes    B batch, C classes, N drawings of each, ways classes in an episode, S support
          images (ways * shots), Q queries, T time, F features, h and w pixels.
"""

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from srwm_lite.arguments import check_rank, check_whole
from srwm_lite.models import SequenceModel


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


def mlp_stem(size: int, features: int = 64, hidden: int = 128) -> nn.Module:
    """Return two dense layers that turn a picture, size by size, into F features."""
    check_whole(1, size=size, features=features, hidden=hidden)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(size * size, hidden),
        nn.ReLU(),
        nn.Linear(hidden, features),
        nn.LayerNorm(features),
    )


def conv_stem(size: int, features: int = 64, channels: int = 32) -> nn.Module:
    """Return four convolutions, each halving the picture, and F features: Conv-4.

    Every picture is normalised by itself (GroupNorm), so that no statistics of an
    episode reach its queries.
    """
    check_whole(1, size=size, features=features, channels=channels)
    parts: list[nn.Module] = [nn.Unflatten(1, (1, size))]
    last = 1
    for _ in range(4):
        parts += [
            nn.Conv2d(last, channels, 3, padding=1),
            nn.GroupNorm(1, channels),
            nn.ReLU(),
        ]
        parts += [nn.MaxPool2d(2)] if size > 1 else []
        last, size = channels, max(1, size // 2)
    flat = channels * size * size
    return nn.Sequential(
        *parts, nn.Flatten(), nn.Linear(flat, features), nn.LayerNorm(features)
    )


class FewShotNet(nn.Module):
    """A stem that sees, and a sequence model that learns while it reads.

    Parameters
    ----------
    stem : Module
        Maps pictures (n, h, w) to features (n, F): `mlp_stem` or `conv_stem`.
    features : int
        Number F of features.
    ways : int
        Classes in an episode.
    **model
        What `srwm_lite.models.SequenceModel` takes: ``d_model``, ``layer``,
        ``num_layers``, ``num_heads`` and ``d_hidden``.
    """

    def __init__(self, stem: nn.Module, features: int, ways: int, **model: Any) -> None:
        super().__init__()
        self.stem, self.ways = stem, ways
        self.mixer = SequenceModel(features + ways, ways, tokens=False, **model)

    def see(self, images: Tensor) -> Tensor:
        """Return the features of pictures, (B, T, h, w) to (B, T, F)."""
        return self.stem(images.flatten(0, 1)).unflatten(0, images.shape[:2])

    def forward(self, support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """Return the logits of every query, (B, Q, ways).

        The support is read once, with its labels. Then every query is read from the
        state the support has left, without a label, and none hears of the others.
        """
        seen = self.see(torch.cat([support, queries], dim=1))
        shown, asked = seen.split([support.shape[1], queries.shape[1]], dim=1)
        _, states = self.mixer(self._with(shown, one_hot(labels, self.ways)))
        Q = queries.shape[1]
        states = [repeated(state, Q) for state in states]
        unknown = asked.new_zeros(*asked.shape[:2], self.ways)
        x = self._with(asked, unknown).flatten(0, 1)[:, None]
        y, _ = self.mixer(x, states)
        return y[:, 0].unflatten(0, (-1, Q))

    def late(self, images: Tensor, labels: Tensor, states: Any = None) -> Tensor:
        """Return logits at every step, each label being shown one step late [2].

        Parameters
        ----------
        images : Tensor, (B, T, h, w)
        labels : Tensor of integers, (B, T)

        Returns
        -------
        Tensor, (B, T, ways)
        """
        told = one_hot(labels, self.ways)
        told = torch.cat([torch.zeros_like(told[:, :1]), told[:, :-1]], dim=1)
        return self.mixer(self._with(self.see(images), told), states)[0]

    @staticmethod
    def _with(features: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([features, labels], dim=-1)


def one_hot(labels: Tensor, ways: int) -> Tensor:
    """Return labels as vectors with one 1, (..., ways)."""
    return functional.one_hot(labels, ways).float()


def repeated(state: Any, times: int) -> Any:
    """Return a state, tuples and lists of tensors too, `times` times for each batch."""
    if isinstance(state, Tensor):
        return state.repeat_interleave(times, dim=0)
    if isinstance(state, tuple | list):
        return type(state)(repeated(part, times) for part in state)
    return state


def few_shot_loss(model: FewShotNet, *episode: Tensor) -> Tensor:
    """Return the cross-entropy of the queries, in nats."""
    *shown, targets = episode
    return functional.cross_entropy(model(*shown).flatten(0, 1), targets.flatten())


def few_shot_accuracy(model: FewShotNet, *episode: Tensor) -> Tensor:
    """Return the share of queries that are named right."""
    *shown, targets = episode
    return (model(*shown).argmax(dim=-1) == targets).float().mean()
