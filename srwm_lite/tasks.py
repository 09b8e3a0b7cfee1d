"""Retrieval tasks: show pairs of keys and values, then ask.

Chapters  chapters/02_fast_weights.ipynb, 04_feature_maps.ipynb, 05_delta_rule.ipynb
Tests     tests/test_tasks.py
Sources   [1] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 6.1.

Shapes    B batch, L pairs in a sequence, T time, S number of keys, C copies of a model.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

IGNORED = -100


class Retrieval(NamedTuple):
    """Sequences of pairs and one question each."""

    keys: Tensor
    values: Tensor
    query: Tensor
    target: Tensor


@dataclass(frozen=True)
class AssociativeRetrieval:
    """Store pairs, then ask for the value last stored under one key [1].

    Setting 1 draws every key and every value once; setting 2 draws both with
    replacement, so that old values must be overwritten.

    Parameters
    ----------
    num_keys : int
        Number S of keys, and of values.
    replace : bool
        False for setting 1, True for setting 2.
    length : int, optional
        Number L of pairs; S in setting 1 and 2 S in setting 2 if omitted.
    """

    num_keys: int
    replace: bool = False
    length: int | None = None

    def __post_init__(self) -> None:
        self._pairs(self.length)

    @property
    def ceiling(self) -> float:
        """Accuracy of the best answer without a memory: every value is as likely."""
        return 1 / self.num_keys

    def sample(
        self, batch: int | tuple[int, ...], generator: Generator | None = None
    ) -> Retrieval:
        """Draw sequences, each with a query: the key at a random position.

        Parameters
        ----------
        batch : int or tuple of int
            B, or (C, B) for a model of C copies.
        generator : torch.Generator, optional
            Source of randomness.

        Returns
        -------
        Retrieval
            keys and values (..., L), query and target (...); all integers.
        """
        shape = (batch,) if isinstance(batch, int) else batch
        L = self._pairs(self.length)
        keys, values = (self._draw(shape, L, generator) for _ in range(2))
        position = torch.randint(L, (*shape, 1), generator=generator)
        query = keys.gather(-1, position)[..., 0]
        return Retrieval(keys, values, query, last_value(keys, values, query))

    def queries(
        self,
        sequences: int = 20,
        generator: Generator | None = None,
        *,
        length: int | None = None,
    ) -> Retrieval:
        """Draw sequences and ask each for every key in it, as in the evaluation of [1].

        Parameters
        ----------
        sequences : int
        generator : torch.Generator, optional
        length : int, optional
            Pairs in a sequence, as in training if omitted; the published numbers of
            setting 2 were evaluated on ``length=num_keys``.

        Returns
        -------
        Retrieval
            One row for each sequence and distinct key, shapes as in `sample`.
        """
        L = self._pairs(length or self.length)
        keys, values = (self._draw((sequences,), L, generator) for _ in range(2))
        asked = functional.one_hot(keys, self.num_keys).any(dim=1)
        row, query = asked.nonzero(as_tuple=True)
        keys, values = keys[row], values[row]
        return Retrieval(keys, values, query, last_value(keys, values, query))

    def _draw(
        self, shape: tuple[int, ...], L: int, generator: Generator | None
    ) -> Tensor:
        if self.replace:
            return torch.randint(self.num_keys, (*shape, L), generator=generator)
        order = torch.rand(*shape, self.num_keys, generator=generator).argsort(dim=-1)
        return order[..., :L]

    def _pairs(self, length: int | None) -> int:
        L = self.num_keys * (1 + self.replace) if length is None else length
        if self.num_keys < 1 or L < 1:
            raise ValueError(
                f"num_keys and length must be positive: got num_keys={self.num_keys}, "
                f"length={length}"
            )
        if L > self.num_keys and not self.replace:
            raise ValueError(
                f"length={L} pairs need as many keys, got num_keys={self.num_keys}: "
                f"use replace=True to let keys come again"
            )
        return L


def last_value(keys: Tensor, values: Tensor, query: Tensor) -> Tensor:
    """Return the value that stands under the last occurrence of `query` in `keys`.

    Parameters
    ----------
    keys, values : Tensor of integers, (..., L)
    query : Tensor of integers, (...)

    Returns
    -------
    Tensor of integers, (...)
    """
    order = torch.arange(1, keys.shape[-1] + 1, device=keys.device)
    last = ((keys == query[..., None]) * order).argmax(dim=-1, keepdim=True)
    return values.gather(-1, last)[..., 0]


def retrieval_loss(
    model: nn.Module, keys: Tensor, values: Tensor, query: Tensor, target: Tensor
) -> Tensor:
    """Return ``1/2 sum_i (y_i - target_i)^2``, averaged over the batch [1].

    A scalar, or (C,) for a model of C copies. An answer of zeros costs 0.5.
    """
    y = model(keys, values, query)
    wanted = functional.one_hot(target, y.shape[-1])
    return (y - wanted).square().sum(dim=-1).mean(dim=-1) / 2


def retrieval_accuracy(
    model: nn.Module, keys: Tensor, values: Tensor, query: Tensor, target: Tensor
) -> Tensor:
    """Return the share of right answers (largest entry), in the shape of the loss."""
    right = model(keys, values, query).argmax(dim=-1) == target
    return right.double().mean(dim=-1)


@dataclass(frozen=True)
class RetrievalSequence:
    """The same as a stream of vectors: pairs first, then keys alone as questions.

    A step is ``[key; value]``, both one-hot, or ``[key; 0]`` for a question. The keys
    of a sequence differ; values are drawn anew for each, so that whoever sees only the
    present step answers at chance.

    Parameters
    ----------
    num_pairs : int
        Pairs shown.
    num_keys, num_values : int
        Size of the two vocabularies; at least `num_pairs` keys.
    num_queries : int
        Questions at the end, each for one of the keys shown.
    """

    num_pairs: int
    num_keys: int = 8
    num_values: int = 8
    num_queries: int = 1

    def __post_init__(self) -> None:
        if min(self.num_pairs, self.num_queries, self.num_values) < 1:
            raise ValueError(f"all numbers must be positive: got {self}")
        if self.num_pairs > self.num_keys:
            raise ValueError(
                f"num_pairs={self.num_pairs} pairs need as many keys: "
                f"got num_keys={self.num_keys}"
            )

    @property
    def num_in(self) -> int:
        """Size of the vector seen at each step."""
        return self.num_keys + self.num_values

    @property
    def ceiling(self) -> float:
        """Accuracy of the best answer that knows only the present step."""
        return 1 / self.num_values

    def sample(
        self, batch: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw a batch of streams.

        Returns
        -------
        x : Tensor, (B, T, num_in)
            With ``T = num_pairs + num_queries``.
        target : Tensor of integers, (B, T)
            The value wanted at each question, -100 where nothing is asked.
        """
        pairs = AssociativeRetrieval(self.num_keys, length=self.num_pairs)
        keys = pairs.sample(batch, generator).keys
        values = torch.randint(self.num_values, keys.shape, generator=generator)
        shape = (batch, self.num_queries)
        asked = torch.randint(self.num_pairs, shape, generator=generator)
        x = torch.zeros(batch, self.num_pairs + self.num_queries, self.num_in)
        shown = torch.cat([keys, keys.gather(1, asked)], dim=1)
        x.scatter_(2, shown[..., None], 1)
        x[:, : self.num_pairs].scatter_(2, self.num_keys + values[..., None], 1)
        target = torch.cat(
            [torch.full_like(values, IGNORED), values.gather(1, asked)], dim=1
        )
        return x, target


def sequence_loss(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of ``model(x)[0]`` at the steps that have a target."""
    y, _ = model(x)
    return functional.cross_entropy(y.flatten(0, 1), target.flatten())


def sequence_accuracy(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Return the share of right answers at the steps that have a target."""
    y, _ = model(x)
    return (y.argmax(dim=-1) == target)[target != IGNORED].double().mean()
