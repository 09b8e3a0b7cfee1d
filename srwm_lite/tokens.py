"""Words and integers: what the tasks made of tokens share.

Chapter   chapters/08_programs_and_lists.ipynb
Tests     tests/test_tokens.py

Shapes    B batch, T time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from srwm_lite.arguments import check_agree, check_index

PADDING = "·"


@dataclass(frozen=True)
class Vocabulary:
    """The words of a language, each with an integer: its place in the list.

    Parameters
    ----------
    words : tuple of str
        All different, without spaces.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        double = [w for w in self.words if self.words.count(w) > 1]
        if double:
            raise ValueError(f"every word stands once: {double[0]!r} comes again")

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    def __getitem__(self, word: str) -> int:
        if word not in self._places:
            raise ValueError(f"no word {word!r}: there are {' '.join(self.words)}")
        return self._places[word]

    def places(self, *words: str) -> Tensor:
        """Return the integers of some words, a tensor to look them up in."""
        return torch.tensor([self[word] for word in words], dtype=torch.long)

    def encode(self, text: str) -> Tensor:
        """Return the integers (T,) of a text whose words stand between spaces."""
        return self.places(*text.split())

    def decode(self, tokens: Tensor | Sequence[int]) -> list[str]:
        """Return the words of `tokens` (T,)."""
        tokens = torch.as_tensor(tokens) if len(tokens) else self.places()
        check_index("number of words", len(self), tokens=tokens)
        return [self.words[int(token)] for token in tokens]


def pack(x: Tensor, keep: Tensor, fill: int) -> Tensor:
    """Push what is kept of each row to its left, and fill the rest.

    Parameters
    ----------
    x : Tensor, (B, N)
    keep : Tensor of bool, (B, N)
    fill : int
        What stands behind the end of the shorter rows.

    Returns
    -------
    Tensor, (B, T)
        With T the length of the longest row.
    """
    check_agree("BN", x=x, keep=keep)
    place = keep.cumsum(dim=1) - 1
    longest = int(keep.sum(dim=1).max()) if keep.numel() else 0
    packed = x.new_full((len(x), longest), fill)
    packed[keep.nonzero()[:, 0], place[keep]] = x[keep]
    return packed
