"""A program as the stepper shows it: lines, tokens, and what Python makes of it.

Tests     tests/test_program_stepper.py

Shapes    T tokens.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from srwm_lite.programs import CodeExecution
from srwm_lite.scores import NOTHING
from srwm_lite.statements import Line
from srwm_lite.tokens import PADDING

SPELLED = {
    "if": "if ",
    "<": " < ",
    ">": " > ",
    ":": ": ",
    "=": " = ",
    "++": " += 1",
    "--": " -= 1",
}


class Print(NamedTuple):
    """A print, and the answer that is due at its last token.

    Attributes
    ----------
    line, token : int
        Counted from zero.
    due : int
        Place of the right answer among the answers of the task.
    """

    line: int
    token: int
    due: int


@dataclass(frozen=True)
class Script:
    """One program, executed.

    Attributes
    ----------
    x : Tensor of integers, (T,)
    lines : list of Line
    pieces : list of str
        What each token stands for in its line.
    effects : list of str
        What each line does.
    values : list of dict
        The variables before the first line, and after each.
    prints : list of Print
    """

    x: Tensor
    lines: list[Line]
    pieces: list[str]
    effects: list[str]
    values: list[dict[str, int]]
    prints: list[Print]

    @property
    def names(self) -> list[str]:
        """The variables, in the order of their first value."""
        return list(self.values[-1])

    @property
    def told(self) -> list[tuple[Line, str]]:
        """The lines, each with what it does."""
        return list(zip(self.lines, self.effects, strict=True))

    def line_of(self, token: int) -> int:
        """Return the line that a token belongs to."""
        return next(n for n, line in enumerate(self.lines) if token < line.stop)


def script(task: CodeExecution, program: str | Tensor) -> Script:
    """Read a program, and let Python execute it.

    Parameters
    ----------
    task : CodeExecution
        Whose words and answers the program uses.
    program : str or Tensor of integers, (T,)
        As in ``"x = 5 ; x ++ ; print x ;"``, or as `task.sample` draws it.

    Raises
    ------
    ValueError
        If it is no program of the task, or Python cannot execute it.
    """
    x = tokens(task, program)
    lines, words = task.listing(x), task.vocabulary.decode(x)
    values: list[dict[str, int]] = [{}]
    prints, effects = [], []
    for n, line in enumerate(lines):
        after, printed = execute(line.source, n, values[-1])
        effects.append(effect(line.source, values[-1], after, printed))
        if "print" in line.source:
            due = task.answers[str(printed[0])] if printed else NOTHING
            prints.append(Print(n, line.stop - 1, due))
        values.append(after)
    said = [piece for line in lines for piece in pieces(words[line.start : line.stop])]
    return Script(x, lines, said, effects, values, prints)


def tokens(task: CodeExecution, program: str | Tensor) -> Tensor:
    """Return a program as tokens (T,), without its padding."""
    x = program
    if isinstance(x, str):
        x = task.vocabulary.encode(x)
    if not isinstance(x, Tensor) or x.dim() != 1:
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            "program must be the tokens (T,) of one program, such as "
            f"task.sample(1)[0][0], or its text: got {got}"
        )
    x = x[: int((x != task.vocabulary[PADDING]).sum())]
    if not len(x) or int(x[-1]) != task.vocabulary[";"]:
        raise ValueError(
            f"a program ends in ';': got {' '.join(task.vocabulary.decode(x))!r}"
        )
    return x


def execute(
    source: str, n: int, before: dict[str, int]
) -> tuple[dict[str, int], list[int]]:
    """Let Python execute a line; return its variables, and what it printed."""
    printed: list[int] = []
    after = dict(before)
    try:
        exec(source, {"__builtins__": {"print": printed.append}}, after)
    except NameError as problem:
        raise ValueError(f"line {n + 1}, {source!r}: {problem}") from None
    return after, printed


def effect(
    source: str, before: dict[str, int], after: dict[str, int], printed: list[int]
) -> str:
    """Say what a line did."""
    if printed:
        return f"prints {printed[0]}".replace("-", "−")
    if source.startswith("if") and not holds(source, before):
        return "is skipped: the condition does not hold"
    name = source.rpartition(": ")[2].split()[0]
    verb = "stays" if before.get(name) == after[name] else "becomes"
    return f"{name} {verb} {after[name]}".replace("-", "−")


def holds(source: str, values: dict[str, int]) -> Any:
    """Return whether the condition of a line holds."""
    return eval(source[2 : source.index(":")].strip(), {"__builtins__": {}}, values)


def pieces(words: list[str]) -> list[str]:
    """Return what each token of a statement stands for in its line of Python."""
    said = [SPELLED.get(word, word) for word in words]
    if "print" in words:
        said[-2] = f"({words[-2]})"
    return said
