"""Language models: predict the next token of a text, and count the bits it costs.

Chapter   chapters/10_language_model.ipynb
Tests     tests/test_language_model.py
Sources   [1] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 6.3.
          [2] Mikolov et al. (2010), "Recurrent neural network based language model".

Shapes    B batch or streams, T time in a segment, L time in a stream, N tokens.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from srwm_lite.arguments import check_index, check_whole
from srwm_lite.carried_state import Carried, streams
from srwm_lite.corpus import (
    Corpus,
    Cut,
    TextVocabulary,
    characters,
    corpus,
    spaced,
    split,
    words,
)
from srwm_lite.ngrams import NGram
from srwm_lite.text import occurrences

__all__ = [
    "Carried",
    "Corpus",
    "Cut",
    "NGram",
    "NextToken",
    "TextVocabulary",
    "after_reset",
    "bits",
    "by_occurrence",
    "characters",
    "corpus",
    "spaced",
    "split",
    "streams",
    "words",
]


@dataclass(frozen=True)
class NextToken:
    """The task: after each token of a piece of text, name the next one.

    Parameters
    ----------
    ids : Tensor of integers, (N,)
    num_in : int
        Size of the vocabulary.
    length : int
        Tokens T in a piece.
    """

    ids: Tensor
    num_in: int
    length: int

    def __post_init__(self) -> None:
        check_index("num_in", self.num_in, ids=self.ids)
        check_whole(1, length=self.length)
        check_whole(self.length + 1, number_of_tokens=len(self.ids))

    @property
    def num_out(self) -> int:
        """Size of the vocabulary."""
        return self.num_in

    def sample(
        self, batch: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw pieces from anywhere: x and target (B, T), the same shifted by one."""
        check_whole(0, batch=batch)
        last = len(self.ids) - self.length
        start = torch.randint(last, (batch, 1), generator=generator)
        place = start + torch.arange(self.length)
        return self.ids[place], self.ids[place + 1]


@torch.no_grad()
def bits(
    model: nn.Module,
    ids: Tensor,
    *,
    num: int = 16,
    length: int = 128,
    carry: bool = True,
) -> Tensor:
    """Return what each token of a text costs: ``-log2 p(token)``.

    Equation: eq:bits ::

        bits = -log2 softmax(y)[target]

    The mean is the bits per token, ``2 ** mean`` the perplexity. An unknown token costs
    what its class costs, as if it did not matter which one it is.

    Parameters
    ----------
    model : Module
        ``model(x, states) -> (y, states)``, such as `srwm_lite.models.SequenceModel`.
    ids : Tensor of integers, (N,)
    num : int
        Streams B that are read in parallel, see `streams`.
    length : int
        Tokens T in a segment.
    carry : bool
        Each segment goes on with the state of the one before; if False, each starts
        with an empty memory.

    Returns
    -------
    Tensor, (B, L)
        In the order of the text.
    """
    training = model.training
    model.eval()
    try:
        return torch.cat(list(_costs(model, ids, num, length, carry)), dim=1)
    finally:
        model.train(training)


def _costs(
    model: nn.Module, ids: Tensor, num: int, length: int, carry: bool
) -> Iterator[Tensor]:
    (x, target), states = streams(ids, num), None
    for x_t, target_t in zip(x.split(length, 1), target.split(length, 1), strict=True):
        y, states = model(x_t, states if carry else None)
        cost = functional.cross_entropy(y.mT, target_t, reduction="none")
        yield cost / math.log(2)


def after_reset(
    model: nn.Module, ids: Tensor, *, num: int = 16, length: int = 64
) -> Tensor:
    """Return what the first, the second, ... token after an empty memory costs.

    The mean over all whole segments of the text, (T,): it says how far back a model
    looks, since the token at place t was predicted from t tokens.

    Parameters
    ----------
    model, ids, num, length
        As in `bits`.
    """
    cost = bits(model, ids, num=num, length=length, carry=False)
    check_whole(length, tokens_in_a_stream=cost.shape[1])
    whole = cost.shape[1] // length * length
    return cost[:, :whole].reshape(-1, length).mean(dim=0)


def by_occurrence(
    cost: Tensor, text: str, known: str, *, num: int, last: int = 3
) -> Tensor:
    """Return what a character of a new word costs when the word comes again.

    Parameters
    ----------
    cost : Tensor, (B, L) or (N - 1,)
        What the characters of `text` cost, from `bits` or `NGram.bits`.
    text, known : str
        Words that stand in `known` are not new, see `srwm_lite.text.occurrences`.
    num : int
        Streams B that count as texts of their own.
    last : int
        Occurrences to look at.

    Returns
    -------
    Tensor, (last,)
        The mean at first occurrences, at second ones, ...
    """
    L = (len(text) - 1) // num
    pieces = [text[i * L + 1 : (i + 1) * L + 1] for i in range(num)]
    place = torch.tensor([occurrences(piece, known) for piece in pieces])
    cost = cost.flatten()[: place.numel()].view(place.shape)
    return torch.stack([cost[place == n].mean() for n in range(1, last + 1)])
