"""Statements of small Python programs: a machine for them, and how they are spelled.

Chapter   chapters/08_programs_and_lists.ipynb
Tests     tests/test_programs.py

Shapes    B batch, S statements, V variables, T time.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from srwm_lite.tokens import PADDING, Vocabulary

NAMES = "x", "y", "z", "a", "b", "c", "d", "e", "f", "g"
ASSIGN, UP, DOWN, PRINT = range(4)
ALWAYS, LESS, GREATER = range(3)
SIGNS = PADDING, ";", "=", "++", "--", "print", "if", ":", "<", ">"


class Statements(NamedTuple):
    """Statements field by field, integers (B, S); some fields play no part in some.

    ::

        if tested <guard> bound : name = number ;

    Attributes
    ----------
    action : Tensor
        `ASSIGN`, `UP`, `DOWN` or `PRINT`.
    name, number : Tensor
        The variable that the action is about, and the number assigned.
    guard : Tensor
        `ALWAYS` if there is no condition, else `LESS` or `GREATER`.
    tested, bound : Tensor
        The variable and the number of the condition.
    """

    action: Tensor
    name: Tensor
    number: Tensor
    guard: Tensor
    tested: Tensor
    bound: Tensor

    def at(self, s: int) -> "Statements":
        """Return statement `s` of every program, fields (B,)."""
        return Statements(*(field[:, s] for field in self))


def advance(values: Tensor, statement: Statements) -> tuple[Tensor, Tensor]:
    """Execute one statement of every program.

    Parameters
    ----------
    values : Tensor of integers, (B, V)
        What the variables hold.
    statement : Statements
        Fields (B,).

    Returns
    -------
    values : Tensor, (B, V)
    runs : Tensor of bool, (B,)
        Whether the statement took effect: its condition held, or it has none.
    """
    action, name, number, guard, tested, bound = statement
    difference = look(values, tested) - bound
    runs = torch.where(guard == LESS, difference < 0, difference > 0)
    runs = runs | (guard == ALWAYS)
    old = look(values, name)
    new = old + (action == UP).long() - (action == DOWN).long()
    new = torch.where(action == ASSIGN, number, new)
    new = torch.where(runs, new, old)
    return values.scatter(1, name[:, None], new[:, None]), runs


def look(values: Tensor, name: Tensor) -> Tensor:
    """Return (B,) what the variable `name` (B,) of each row of `values` holds."""
    return values.gather(1, name[:, None])[:, 0]


def execute(statements: Statements, num_variables: int) -> tuple[Tensor, Tensor]:
    """Execute programs from the top.

    Returns
    -------
    value : Tensor of integers, (B, S)
        What the variable of each statement holds after it.
    runs : Tensor of bool, (B, S)
        Whether the statement took effect.
    """
    B, S = statements.action.shape
    values = torch.zeros(B, num_variables, dtype=torch.long)
    seen = []
    for s in range(S):
        values, runs = advance(values, statements.at(s))
        seen.append((look(values, statements.name[:, s]), runs))
    value, runs = (torch.stack(column, dim=1) for column in zip(*seen, strict=True))
    return value, runs


def words(num_variables: int, numbers: int) -> Vocabulary:
    """Return the words of a program: signs, padding first, then numbers, then names."""
    digits = tuple(str(n) for n in range(numbers))
    return Vocabulary(SIGNS + digits + NAMES[:num_variables])


def spell(statements: Statements, word: Vocabulary) -> tuple[Tensor, Tensor]:
    """Write statements as words, each in the nine places that the longest needs.

    ::

        if tested < bound : name = number ;
                            name ++       ;
                            print name    ;

    Returns
    -------
    x : Tensor of integers, (B, S, 9)
    keep : Tensor of bool, (B, S, 9)
        The places that the statement needs.
    """
    action, name, number, guard, tested, bound = statements
    variables = word.places(*(w for w in word.words if w in NAMES))
    numbers = word.places(*(w for w in word.words if w.isdecimal()))
    same, prints = torch.ones_like(action), action == PRINT
    x = [
        word["if"] * same,
        variables[tested],
        word.places("<", "<", ">")[guard],
        numbers[bound],
        word[":"] * same,
        torch.where(prints, word["print"], variables[name]),
        torch.where(prints, variables[name], word.places("=", "++", "--", ";")[action]),
        numbers[number],
        word[";"] * same,
    ]
    keep = torch.ones(*action.shape, len(x), dtype=torch.bool)
    keep[..., :5] = (guard != ALWAYS)[..., None]
    keep[..., 7] = action == ASSIGN
    return torch.stack(x, dim=2), keep


class Line(NamedTuple):
    """A statement as a line of Python, and which tokens it stands for.

    Attributes
    ----------
    source : str
    start, stop : int
        First token, and the first that is not of this line any more.
    """

    source: str
    start: int
    stop: int


def listing(program: list[str]) -> list[Line]:
    """Return the lines of a program given as words; padding ends it.

    ::

        "x", "=", "5", ";", "if", "x", "<", "7", ":", "x", "++", ";"
        Line("x = 5", 0, 4), Line("if x < 7: x += 1", 4, 12)
    """
    ends = [t + 1 for t, word in enumerate(program) if word == ";"]
    starts = [0, *ends[:-1]]
    return [
        Line(_python(program[start : stop - 1]), start, stop)
        for start, stop in zip(starts, ends, strict=True)
    ]


def _python(statement: list[str]) -> str:
    match statement:
        case ["if", tested, relation, bound, ":", *rest]:
            return f"if {tested} {relation} {bound}: {_python(rest)}"
        case ["print", name]:
            return f"print({name})"
        case [name, "++" | "--" as step]:
            return f"{name} {step[0]}= 1"
        case [name, "=", number]:
            return f"{name} = {number}"
    raise ValueError(f"no statement: {' '.join(statement)!r}")
