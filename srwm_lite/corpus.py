"""Corpora: a text cut into tokens, and the tokens made integers.

Chapter   chapters/10_language_model.ipynb
Tests     tests/test_corpus.py

Shapes    N tokens.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from srwm_lite.arguments import check_index, check_range, check_whole

UNKNOWN = "<unk>"
Cut = Callable[[str], list[str]]


def characters(text: str) -> list[str]:
    """Cut a text into its characters."""
    return list(text)


def words(text: str) -> list[str]:
    """Cut a text into words, punctuation marks and ends of lines; spaces are lost."""
    return re.findall(r"\w+|[^\w\s]|\n", text)


def spaced(text: str) -> list[str]:
    """Cut at spaces and keep the ends of lines, as is usual for WikiText."""
    return [word for line in text.split("\n")[:-1] for word in [*line.split(), "\n"]]


@dataclass(frozen=True)
class TextVocabulary:
    """The tokens of a text, the frequent ones first; 0 stands for all that are rare.

    Parameters
    ----------
    tokens : tuple of str
        `UNKNOWN` and then the others, all different.
    """

    tokens: tuple[str, ...]

    @classmethod
    def of(cls, tokens: Sequence[str], min_count: int = 1) -> "TextVocabulary":
        """Keep what comes `min_count` times or more; equally frequent ones by name."""
        check_whole(1, min_count=min_count)
        count = Counter(tokens)
        del count[UNKNOWN]
        kept = sorted((-n, token) for token, n in count.items() if n >= min_count)
        return cls((UNKNOWN, *(token for _, token in kept)))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {token: place for place, token in enumerate(self.tokens)}

    def encode(self, tokens: Sequence[str]) -> Tensor:
        """Return the integers (N,) of `tokens`, 0 for an unknown one."""
        return torch.tensor([self._places.get(token, 0) for token in tokens])

    def decode(self, ids: Tensor) -> list[str]:
        """Return the tokens of `ids` (N,)."""
        check_index("the size of the vocabulary", len(self), ids=ids)
        return [self.tokens[i] for i in ids.tolist()]


@dataclass(frozen=True)
class Corpus:
    """A text in three parts, as integers; the vocabulary knows the first part only.

    Attributes
    ----------
    vocabulary : TextVocabulary
    train, valid, test : Tensor of integers, (N,)
    """

    vocabulary: TextVocabulary
    train: Tensor
    valid: Tensor
    test: Tensor

    @property
    def unknown(self) -> float:
        """Share of unknown tokens in the test part: they cost too little."""
        return float((self.test == 0).double().mean())


def split(text: str, train: float = 0.8, valid: float = 0.1) -> tuple[str, str, str]:
    """Cut a text into three pieces that follow each other; the rest is the third."""
    check_range(0, 1, train=train, valid=valid, sum_of_train_and_valid=train + valid)
    a, b = round(len(text) * train), round(len(text) * (train + valid))
    return text[:a], text[a:b], text[b:]


def corpus(
    train: str, valid: str, test: str, *, cut: Cut = characters, min_count: int = 1
) -> Corpus:
    """Make integers of three texts.

    Parameters
    ----------
    train, valid, test : str
        As from `split`.
    cut : callable
        `characters`, `words` or `spaced`.
    min_count : int
        Tokens that come less often than this in `train` are unknown.
    """
    parts = [cut(part) for part in (train, valid, test)]
    for name, part in zip(("train", "valid", "test"), parts, strict=True):
        check_whole(2, **{f"number of tokens in {name}": len(part)})
    vocabulary = TextVocabulary.of(parts[0], min_count)
    return Corpus(vocabulary, *map(vocabulary.encode, parts))
