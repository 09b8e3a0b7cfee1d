"""Retrieval tasks: show pairs of keys and values, then ask.

Chapters  chapters/02_fast_weights.ipynb, 04_feature_maps.ipynb, 05_delta_rule.ipynb
Tests     tests/test_tasks.py
Sources   [1] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 6.1.

Shapes    B batch, L pairs in a sequence, T time, S number of keys, C copies of a model.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

from srwm_lite.arguments import check_flag, check_whole
from srwm_lite.scores import (
    IGNORED,
    retrieval_accuracy,
    retrieval_loss,
    sequence_accuracy,
    sequence_loss,
)

__all__ = [
    "AssociativeRetrieval",
    "Retrieval",
    "RetrievalSequence",
    "last_value",
    "retrieval_accuracy",
    "retrieval_loss",
    "sequence_accuracy",
    "sequence_loss",
]


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
        shape = batch if isinstance(batch, tuple) else (batch,)
        check_whole(0, **{f"batch[{i}]": size for i, size in enumerate(shape)})
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
        check_whole(0, sequences=sequences)
        L = self._pairs(self.length if length is None else length)
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
        check_flag(replace=self.replace)
        L = self.num_keys * (1 + self.replace) if length is None else length
        check_whole(1, num_keys=self.num_keys, length=L)
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

    Raises
    ------
    ValueError
        If a query is not among its keys.
    """
    found = keys == query[..., None]
    if not found.any(dim=-1).all():
        absent = query[~found.any(dim=-1)].flatten()[0]
        raise ValueError(f"query must be one of the keys: {int(absent)} is absent")
    order = torch.arange(1, keys.shape[-1] + 1, device=keys.device)
    last = (found * order).argmax(dim=-1, keepdim=True)
    return values.gather(-1, last)[..., 0]


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
        check_whole(1, **vars(self))
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
