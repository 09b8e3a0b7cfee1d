"""Formal languages: read a word symbol by symbol, say what may come next.

Chapter   chapters/09_state_tracking.ipynb
Tests     tests/test_formal_languages.py
Sources   [1] Bhattamishra, Ahuja & Goyal (2020), arXiv:2009.11264.
          [2] Irie, Csordas & Schmidhuber (2023), arXiv:2310.16076.

At every step the target is the set of symbols that may follow, ``$`` for the end of the
word among them. Each set that can occur is one class, so cross-entropy is a proper
loss, and "``$`` is in the set" says that the word so far belongs to the language.
This is the task of [1], with one rule for all languages; they ask of parity, (aa)* and
(abab)* only whether the word may end. Parity, (aa)*, (abab)* and the brackets are read
as prefixes, cut anywhere; a word of the counters is whole.

Shapes    B batch, T time: the longest word of the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from srwm_lite.arguments import check_whole
from srwm_lite.scores import IGNORED

RESETS = 1 / 8  # share of # in reset Dyck-1

Draw = Callable[[Tensor, Tensor, Generator | None], tuple[Tensor, Tensor]]


class Language(NamedTuple):
    """What a language is made of.

    Attributes
    ----------
    symbols : str
        The alphabet; a symbol is read as its place in it.
    sets : tuple of str
        What may come next, one entry for each class.
    draw : callable
        ``draw(length, t, generator)``, with lengths (B, 1) and times (1, T), returns
        symbols and classes (B, T).
    unit : int
        Lengths are multiples of it.
    """

    symbols: str
    sets: tuple[str, ...]
    draw: Draw
    unit: int = 1


def _draw_parity(
    length: Tensor, t: Tensor, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    x = torch.randint(2, (len(length), t.numel()), generator=generator)
    return x, x.cumsum(dim=1) % 2


def _draw_cycle(period: int, classes: tuple[int, ...]) -> Draw:
    def draw(length: Tensor, t: Tensor, _: Generator | None) -> tuple[Tensor, Tensor]:
        shape = len(length), t.numel()
        wanted = torch.tensor(classes)[t % len(classes)]
        return (t % period).expand(shape), wanted.expand(shape)

    return draw


def _draw_counter(blocks: int) -> Draw:
    def draw(length: Tensor, t: Tensor, _: Generator | None) -> tuple[Tensor, Tensor]:
        n = length // blocks
        x = (t // n).clamp(max=blocks - 1)
        ended = ((t + 1) // n).clamp(max=blocks)
        return x, torch.where(t < n, 0, ended)  # nobody can know yet where a ends

    return draw


def _walk(shape: tuple[int, int], generator: Generator | None) -> Tensor:
    return 2 * torch.randint(2, shape, generator=generator) - 1


def _closes(depth: Tensor) -> Tensor:
    before = torch.nn.functional.pad(depth, (1, 0))[:, :-1]
    return (depth < before).long()


def _draw_dyck(
    length: Tensor, t: Tensor, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    # the distance of a random walk from its start never goes below zero
    depth = _walk((len(length), t.numel()), generator).cumsum(dim=1).abs()
    return _closes(depth), (depth > 0).long()


def _draw_shuffle(
    length: Tensor, t: Tensor, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    step = _walk((len(length), t.numel()), generator)
    kind = torch.randint(2, step.shape, generator=generator)
    round_, square = ((step * (kind == i)).cumsum(dim=1).abs() for i in range(2))
    closes = torch.where(kind == 0, _closes(round_), _closes(square))
    return 2 * kind + closes, (round_ > 0).long() + 2 * (square > 0).long()


def _draw_reset(
    length: Tensor, t: Tensor, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    step = _walk((len(length), t.numel()), generator)
    reset = torch.rand(step.shape, generator=generator) < RESETS
    place = torch.nn.functional.pad((step * ~reset).cumsum(dim=1), (1, 0))
    last = torch.where(reset, t + 1, 0).cummax(dim=1).values
    depth = (place[:, 1:] - place.gather(1, last)).abs()
    return torch.where(reset, 2, _closes(depth)), (depth > 0).long()


LANGUAGES = {
    "parity": Language("01", ("01$", "01"), _draw_parity),
    "(aa)*": Language("a", ("a$", "a"), _draw_cycle(1, (1, 0))),
    "(abab)*": Language("ab", ("a$", "a", "b"), _draw_cycle(2, (2, 1, 2, 0))),
    "counter-2": Language("ab", ("ab", "b", "$"), _draw_counter(2), 2),
    "counter-3": Language("abc", ("ab", "b", "c", "$"), _draw_counter(3), 3),
    "shuffle-2": Language("()[]", ("([$", "()[", "([]", "()[]"), _draw_shuffle),
    "Dyck-1": Language("()", ("($", "()"), _draw_dyck),
    "reset Dyck-1": Language("()#", ("(#$", "()#"), _draw_reset),
}


@dataclass(frozen=True)
class FormalLanguage:
    """Read words of a language; at every step, name the set of possible next symbols.

    ============== =====================================================================
    parity         bits with an even number of ones
    (aa)*          an even number of letters
    (abab)*        abab, again and again
    counter-2      n times a, then n times b
    counter-3      n times a, then n times b, then n times c
    shuffle-2      two kinds of brackets, each balanced, in any order
    Dyck-1         balanced brackets
    reset Dyck-1   brackets; ``#`` forgives all that is open
    ============== =====================================================================

    Parameters
    ----------
    name : str
        One of `LANGUAGES`.
    low, high : int
        The shortest and the longest word; every length between is as likely.
    """

    name: str
    low: int = 2
    high: int = 20

    def __post_init__(self) -> None:
        if self.name not in LANGUAGES:
            names = ", ".join(LANGUAGES)
            raise ValueError(f"name must be one of {names}: got {self.name!r}")
        check_whole(1, low=self.low, high=self.high)
        first, last = self._multiples()
        if first > last:
            raise ValueError(
                f"no word of {self.name} has low={self.low} to high={self.high} "
                f"symbols: lengths are multiples of {self._language.unit}"
            )

    @property
    def _language(self) -> Language:
        return LANGUAGES[self.name]

    def _multiples(self) -> tuple[int, int]:
        unit = self._language.unit
        return -(-self.low // unit), self.high // unit

    @property
    def num_in(self) -> int:
        """Number of symbols."""
        return len(self._language.symbols)

    @property
    def num_out(self) -> int:
        """Number of sets of possible next symbols."""
        return len(self._language.sets)

    @property
    def ceiling(self) -> float:
        """Accuracy of the best answer that sees only the present symbol.

        Counted over many words: for each symbol, the set that most often follows it.
        """
        words = min(4096, max(64, 2**19 // self.high))
        x, target = self.sample(words, torch.Generator().manual_seed(0))
        asked = target != IGNORED
        pair = self.num_out * x[asked] + target[asked]
        table = torch.bincount(pair, minlength=self.num_in * self.num_out)
        best = table.unflatten(0, (self.num_in, self.num_out)).max(dim=1).values
        return (best.sum() / asked.sum()).item()

    def longer(self, times: int) -> "FormalLanguage":
        """Return the language in the bin of lengths that ends at ``times * high``.

        The bin starts after ``(times - 1) * high``; ``times = 1`` is `self`.
        """
        check_whole(1, times=times)
        if times == 1:
            return self
        low = (times - 1) * self.high + 1
        return FormalLanguage(self.name, low, times * self.high)

    def sample(
        self, batch: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw words.

        Returns
        -------
        x : Tensor of integers, (B, T)
            Symbols; what stands behind the end of a word has no meaning.
        target : Tensor of integers, (B, T)
            Class of the set that may follow, -100 behind the end of a word.
        """
        check_whole(1, batch=batch)
        first, last = self._multiples()
        n = torch.randint(first, last + 1, (batch, 1), generator=generator)
        length = n * self._language.unit
        t = torch.arange(int(length.max()))[None]
        x, target = self._language.draw(length, t, generator)
        return x, torch.where(t < length, target, IGNORED)

    def pretty(self, x: Tensor, target: Tensor) -> str:
        """Show a word, `x` and `target` (T,); what may follow stands below a symbol."""
        symbols, sets, *_ = self._language
        asked = target != IGNORED
        word = "".join(symbols[i] for i in x[asked].tolist())
        follow = [sets[i] for i in target[asked].tolist()]
        rows = ["".join(c) for c in zip_longest(*follow, fillvalue=" ")]
        heads = ["read", "next"] + [""] * len(rows)
        lines = zip(heads, [word, *rows], strict=False)
        shown = (f"{head:6}{' '.join(line)}".rstrip() for head, line in lines)
        return "\n".join(line for line in shown if line)
