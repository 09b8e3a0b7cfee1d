"""Counting: the n-gram model, the yardstick of every language model.

Chapter   chapters/10_language_model.ipynb
Tests     tests/test_ngrams.py
Sources   [1] Witten & Bell (1991), "The zero-frequency problem".
          [2] Shannon (1951), "Prediction and entropy of printed English".

Shapes    N tokens.
"""

import math

import torch
from torch import Tensor

from srwm_lite.arguments import check_index, check_whole

Counts = dict[str, dict[str, int]]


class NGram:
    """Predict the next token by what followed the last ``order - 1`` ones [2].

    Equation: eq:witten-bell ::

        p(c | h) = (n(h c) + t(h) p(c | h')) / (n(h) + t(h))

    Here n counts, t(h) is the number of different tokens seen after the context h, and
    h' is h without its first token; after the empty context all are as likely [1].

    Parameters
    ----------
    order : int
        1 counts tokens alone, 2 pairs, ...
    size : int
        Size of the vocabulary.
    """

    def __init__(self, order: int, size: int) -> None:
        check_whole(1, order=order, size=size)
        self.order, self.size = order, size
        self.counts: Counts = {}

    def learn(self, ids: Tensor) -> "NGram":
        """Count all that follows in `ids` (N,), and return the model."""
        text = self._text(ids)
        for i in range(len(text)):
            self._count(text, i)
        return self

    def bits(self, ids: Tensor, *, learn: bool = False) -> Tensor:
        """Return ``-log2 p`` of each token of `ids` (N,) but the first, (N - 1,).

        Parameters
        ----------
        ids : Tensor of integers, (N,)
        learn : bool
            Count each token right after it was predicted, as a memory would.
        """
        text, costs = self._text(ids), []
        for i in range(1, len(text)):
            costs.append(-math.log2(self._probability(text, i)))
            if learn:
                self._count(text, i)
        return torch.tensor(costs)

    def _text(self, ids: Tensor) -> str:
        """Return `ids` as a string: pieces of it are the keys of the counts."""
        check_index("size", self.size, ids=ids)
        return "".join(map(chr, ids.tolist()))

    def _contexts(self, text: str, i: int) -> list[str]:
        """Return what stands before place `i`, from nothing to ``order - 1`` tokens."""
        return [text[i - n : i] for n in range(min(self.order, i + 1))]

    def _count(self, text: str, i: int) -> None:
        for context in self._contexts(text, i):
            after = self.counts.setdefault(context, {})
            after[text[i]] = after.get(text[i], 0) + 1

    def _probability(self, text: str, i: int) -> float:
        p = 1 / self.size
        for context in self._contexts(text, i):
            after = self.counts.get(context)
            if after is None:
                break
            n, t = sum(after.values()), len(after)
            p = (after.get(text[i], 0) + t * p) / (n + t)
        return p
