"""Sequential ListOps: read a nested list from left to right, say its value at the end.

Chapter   chapters/08_programs_and_lists.ipynb
Tests     tests/test_list_ops.py
Sources   [1] Nangia & Bowman (2018), arXiv:1804.06028.
          [2] Irie, Schlag, Csordas & Schmidhuber (2021), arXiv:2106.06295, section 4.2.

Shapes    B batch, T time, N nodes of one level of all trees, M of the next one.

[2] draws trees of any depth and throws away those of another depth than wanted, more
than 98 in 100. Here each node knows how deep it must or may go, and the trees that come
out have the same probabilities.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from srwm_lite.arguments import check_range, check_whole
from srwm_lite.scores import IGNORED
from srwm_lite.tokens import PADDING, Vocabulary
from srwm_lite.trees import (
    OPERATORS,
    Level,
    Node,
    apply,
    drawing,
    evaluate,
    measure,
    parse,
    place,
)

__all__ = ["ListOps", "Node", "drawing", "parse"]

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class ListOps:
    """Streams of tokens such as ``[MAX 4 [MIN 7 2 ] 0 ]``; the answer ends them.

    An argument is a list again with probability `nested`; a list has 2 to `max_args`
    arguments; digits and operators are equally likely. Of such trees we draw those
    whose deepest digit stands in `depth` lists.

    Parameters
    ----------
    depth : int
    operators : tuple of str
        Of ``MAX``, ``MIN``, ``FIRST`` and ``SM``, the sum modulo ten.
    max_args : int
    nested : float
    """

    depth: int = 3
    operators: tuple[str, ...] = ("MAX", "MIN", "FIRST")
    max_args: int = 5
    nested: float = 0.25

    def __post_init__(self) -> None:
        check_whole(1, depth=self.depth)
        check_whole(2, max_args=self.max_args)
        check_range(0.01, 0.99, nested=self.nested)
        known = {*self.operators} <= {*OPERATORS}
        if isinstance(self.operators, str) or not (self.operators and known):
            raise ValueError(
                f"operators must be some of {OPERATORS}: got {self.operators!r}"
            )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of a list; the first one is padding."""
        return Vocabulary((PADDING, "]", *DIGITS, *(f"[{name}" for name in OPERATORS)))

    @property
    def num_in(self) -> int:
        """Number of words in a list."""
        return len(self.vocabulary)

    @property
    def num_out(self) -> int:
        """Number of answers: ten digits."""
        return len(DIGITS)

    def sample(
        self, batch: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw lists as tokens, with the answer to each token.

        Returns
        -------
        x : Tensor of integers, (B, T)
            Shorter lists end in padding.
        target : Tensor of integers, (B, T)
            The value of the list at its last token, -100 elsewhere.
        """
        return self.write(self.draw(batch, generator))

    def write(self, levels: list[Level]) -> tuple[Tensor, Tensor]:
        """Return trees as tokens and answers, in the shape of `sample`."""
        word, sizes = self.vocabulary, measure(levels)
        B, T = len(levels[0].kind), int(sizes[0].max())
        x = torch.full((B, T), word[PADDING])
        target = torch.full_like(x, IGNORED)
        target[torch.arange(B), sizes[0] - 1] = evaluate(levels)[0]
        kinds = word.places(*DIGITS, *(f"[{name}" for name in OPERATORS))
        starts = place(levels, sizes, T * torch.arange(B))
        for level, start, size in zip(levels, starts, sizes, strict=True):
            x.view(-1)[start + size - 1] = word["]"]
            x.view(-1)[start] = kinds[level.kind]
        return x, target

    def draw(self, batch: int, generator: Generator | None = None) -> list[Level]:
        """Draw trees as levels of nodes, the roots first.

        A node is deep if it must hold `bound` lists in one another, loose if it may
        hold fewer. One argument of a deep list is deep, and is the first that is.
        """
        check_whole(1, batch=batch)
        deep = torch.ones(batch, dtype=torch.bool)
        bound = torch.full((batch,), self.depth)
        levels: list[Level] = []
        while not levels or len(bound):
            level = self._level(deep, bound, generator)
            first_deep = self._first_deep(deep, bound, level.arity, generator)
            parent = level.parent
            order = torch.arange(len(parent)) - level.first[parent] - first_deep[parent]
            deep = (order == 0) & deep[parent]
            bound = bound[parent] - 1 - (order < 0).long()
            levels.append(level)
        return levels

    def _level(self, deep: Tensor, bound: Tensor, generator: Generator | None) -> Level:
        """Draw which nodes are lists, and what they are."""
        N, codes = len(bound), [10 + OPERATORS.index(name) for name in self.operators]
        nested, counts = self._chances
        draw = torch.rand(N, generator=generator, dtype=torch.double)
        lists = torch.where(deep, bound > 0, draw < nested[bound]).nonzero()[:, 0]
        kind = torch.randint(10, (N,), generator=generator)
        pick = torch.randint(len(codes), (len(lists),), generator=generator)
        kind[lists] = torch.tensor(codes)[pick]
        count = torch.zeros(N, dtype=torch.long)
        if len(lists):
            chance = counts[deep[lists].long(), bound[lists]]
            count[lists] = 2 + torch.multinomial(chance, 1, generator=generator)[:, 0]
        return Level(kind, count)

    def _first_deep(
        self, deep: Tensor, bound: Tensor, count: Tensor, generator: Generator | None
    ) -> Tensor:
        """Draw which argument of a deep list is its first deep one; else 0."""
        chosen, lists = torch.zeros_like(count), (deep & (count > 0)).nonzero()[:, 0]
        if len(lists):
            F, b, n = self._shallow, bound[lists], torch.arange(self.max_args)
            chance = (F[b - 1] / F[b])[:, None] ** n * (n < count[lists][:, None])
            chosen[lists] = torch.multinomial(chance, 1, generator=generator)[:, 0]
        return chosen

    @cached_property
    def _shallow(self) -> Tensor:
        """Return F(d), how likely an argument is at most d = -1, 0, ... lists deep.

        ::

            F(-1) = 0,  F(d) = 1 - nested + nested mean_n F(d - 1)^n
        """
        F = torch.zeros(self.depth + 2, dtype=torch.double)
        for d in range(self.depth + 1):
            F[d + 1] = 1 - self.nested + self.nested * (F[d] ** self._counts).mean()
        return F

    @property
    def _counts(self) -> Tensor:
        return torch.arange(2, self.max_args + 1)

    @cached_property
    def _chances(self) -> tuple[Tensor, Tensor]:
        """Return how likely a loose node is a list, and how many arguments a list has.

        The first by bound, the second by deep or not, bound, and number.
        """
        F, n = self._shallow, self._counts
        loose = F[:-1, None] ** n
        less = torch.cat([torch.zeros(1, len(n)), loose[:-1]])
        return self.nested * loose.mean(dim=1) / F[1:], torch.stack(
            [loose, loose - less]
        )

    def tree(self, x: Tensor) -> Node:
        """Return one list (T,) as a tree, with the value of every list in it."""
        return parse(self.vocabulary.decode(x))

    def class_balance(
        self, lists: int = 2000, generator: Generator | None = None
    ) -> Tensor:
        """Return how often each digit is the answer, (10,)."""
        value = evaluate(self.draw(lists, generator))[0]
        return torch.bincount(value, minlength=10) / lists

    def ceilings(
        self, lists: int = 2000, generator: Generator | None = None
    ) -> dict[str, float]:
        """Return how often answers that leave something out are right.

        Returns
        -------
        dict
            ``majority``: the most frequent answer. ``operator``: the most frequent
            under the operator of the outermost list. ``flat``: the outermost list
            alone, each list in it replaced by the most frequent answer.
        """
        levels = self.draw(lists, generator)
        value, operator = evaluate(levels)[0], levels[0].kind
        common = value.mode().values
        of_operator = torch.stack(
            [(value[operator == code].mode().values) for code in operator.unique()]
        )
        known = operator.unique(return_inverse=True)[1]
        kinds = levels[1].kind
        flat = apply(levels[0], torch.where(kinds < 10, kinds, common))
        guesses = {"majority": common, "operator": of_operator[known], "flat": flat}
        return {
            name: float((guess == value).double().mean())
            for name, guess in guesses.items()
        }
