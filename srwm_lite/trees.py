"""Nested lists as trees: measure them, evaluate them, write them down, show them.

Chapter   chapters/08_programs_and_lists.ipynb
Tests     tests/test_trees.py
Sources   [1] Nangia & Bowman (2018), arXiv:1804.06028.

Shapes    B batch, T time, N nodes of one level of all trees, M of the next one.
"""

from typing import NamedTuple

import torch
from torch import Tensor

OPERATORS = "MAX", "MIN", "FIRST", "SM"


class Level(NamedTuple):
    """The nodes of one level of all trees, from left to right.

    Attributes
    ----------
    kind : Tensor, (N,)
        A digit, or 10 and the place of an operator in `OPERATORS`.
    arity : Tensor, (N,)
        How many nodes of the next level are arguments of this one; 0 for a digit.
    """

    kind: Tensor
    arity: Tensor

    @property
    def parent(self) -> Tensor:
        """Place in this level of the list around each node of the next one, (M,)."""
        return torch.arange(len(self.arity)).repeat_interleave(self.arity)

    @property
    def first(self) -> Tensor:
        """Place in the next level of the first argument of each node, (N,)."""
        return self.arity.cumsum(dim=0) - self.arity


def apply(level: Level, arguments: Tensor) -> Tensor:
    """Return the value of each node (N,), given the values of its arguments (M,)."""
    parent, some = level.parent, level.arity > 0
    value = level.kind.clone()
    largest = value.scatter_reduce(0, parent, arguments, "amax", include_self=False)
    smallest = value.scatter_reduce(0, parent, arguments, "amin", include_self=False)
    total = torch.zeros_like(value).index_add(0, parent, arguments) % 10
    value[some] = arguments[level.first[some]]
    for code, of_all in ((10, largest), (11, smallest), (13, total)):
        value = torch.where(level.kind == code, of_all, value)
    return value


def evaluate(levels: list[Level]) -> list[Tensor]:
    """Return the value of every node, level by level."""
    values = [levels[-1].kind]
    for level in levels[-2::-1]:
        values.insert(0, apply(level, values[0]))
    return values


def measure(levels: list[Level]) -> list[Tensor]:
    """Return how many tokens every node is long, level by level."""
    sizes = [torch.ones_like(levels[-1].arity)]
    for level in levels[-2::-1]:
        own = 1 + (level.arity > 0).long()  # a list has two brackets
        sizes.insert(0, own.index_add(0, level.parent, sizes[0]))
    return sizes


def place(levels: list[Level], sizes: list[Tensor], start: Tensor) -> list[Tensor]:
    """Return the place of the first token of every node; `start` has those of roots."""
    starts = [start]
    for level, size in zip(levels[:-1], sizes[1:], strict=True):
        before = size.cumsum(dim=0) - size
        parent = level.parent
        before = before - before[level.first[parent]]
        starts.append(starts[-1][parent] + 1 + before)
    return starts


class Node(NamedTuple):
    """A digit, or a list with its arguments, and the tokens it is written in.

    Attributes
    ----------
    name : str
        The digit or the operator.
    value : int
    start, stop : int
        First token, and the first that is not of this node any more.
    arguments : tuple of Node
    """

    name: str
    value: int
    start: int
    stop: int
    arguments: tuple["Node", ...] = ()


def parse(words: list[str]) -> Node:
    """Return the tree of one list given as words, with a value at each node.

    A stack of open lists is all that is kept; padding behind the list is not read.

    ::

        "[MAX", "4", "[MIN", "7", "2", "]", "]"
    """
    open_lists: list[tuple[int, list[Node]]] = [(0, [])]
    for t, word in enumerate(words):
        if word.startswith("["):
            open_lists.append((t, []))
        elif word == "]" and len(open_lists) > 1 and open_lists[-1][1]:
            start, arguments = open_lists.pop()
            open_lists[-1][1].append(_close(words[start][1:], start, t, arguments))
        elif word.isdecimal():
            open_lists[-1][1].append(Node(word, int(word), t, t + 1))
        else:
            raise ValueError(f"word {t} fits in no list: {word!r}")
        if len(open_lists) == 1:
            return open_lists[0][1][0]
    raise ValueError(f"the list does not end: {' '.join(words)}")


def _close(name: str, start: int, end: int, arguments: list[Node]) -> Node:
    values = [argument.value for argument in arguments]
    meaning = {
        "MAX": max(values),
        "MIN": min(values),
        "FIRST": values[0],
        "SM": sum(values) % 10,
    }
    return Node(name, meaning[name], start, end + 1, tuple(arguments))


def drawing(node: Node) -> str:
    """Return a tree as text, an argument a line, with the value of every list."""
    if not node.arguments:
        return node.name
    lines = [f"{node.name} = {node.value}"]
    for argument in node.arguments:
        last = argument is node.arguments[-1]
        head, *rest = drawing(argument).split("\n")
        lines.append(("└─ " if last else "├─ ") + head)
        lines.extend(("   " if last else "│  ") + line for line in rest)
    return "\n".join(lines)
