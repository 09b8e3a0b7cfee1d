"""Code execution: read a small Python program, say what it prints.

Chapter   chapters/08_programs_and_lists.ipynb
Tests     tests/test_programs.py
Sources   [1] Irie, Schlag, Csordas & Schmidhuber (2021), arXiv:2106.06295, section 4.2.
          [2] Zaremba & Sutskever (2014), arXiv:1410.4615.

Shapes    B batch, S statements, V variables, T time.

The programs are those of [1] with one repair: a statement under a condition that holds
takes effect always. In the published generator it does not if it assigns to a variable
that already has a value.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from srwm_lite.arguments import check_whole
from srwm_lite.scores import IGNORED, NOTHING
from srwm_lite.statements import (
    ALWAYS,
    ASSIGN,
    DOWN,
    NAMES,
    PRINT,
    UP,
    Line,
    Statements,
    advance,
    execute,
    listing,
    look,
    spell,
    words,
)
from srwm_lite.tokens import PADDING, Vocabulary, pack

KINDS = "assign", "step", "print", "if"


@dataclass(frozen=True)
class CodeExecution:
    """Streams of tokens that are programs; the answer is due where a print ends [1].

    A program is drawn statement by statement, each kind equally often. The first
    assigns, the last prints, and a variable is used only when it has a value. A
    statement under ``if`` is of one of the other kinds. A step that would leave
    ``low..high`` goes the other way, so that nothing is ever clipped.

    The target of a token is `NOTHING` (the paper's ``_``), also at a print that its
    condition skips. At the ``;`` of a print that runs it is the value, and behind the
    end of a program it is -100.

    Parameters
    ----------
    num_variables, num_statements : int
        V and S; in [1] 3 or 5 variables and 100 statements.
    kinds : tuple of str
        Kinds of statements, of ``assign``, ``step``, ``print`` and ``if``; the first
        and the third are always there. A kind named twice is drawn twice as often.
    numbers : int
        Numbers in a program are 0 to ``numbers - 1``.
    low, high : int
        Smallest and largest value of a variable.
    """

    num_variables: int = 3
    num_statements: int = 100
    kinds: tuple[str, ...] = KINDS
    numbers: int = 10
    low: int = -8
    high: int = 16

    def __post_init__(self) -> None:
        check_whole(1, num_variables=self.num_variables, numbers=self.numbers)
        check_whole(2, num_statements=self.num_statements)
        if self.num_variables > len(NAMES):
            raise ValueError(
                f"num_variables must be at most {len(NAMES)}: got {self.num_variables}"
            )
        kinds = {*self.kinds}
        if isinstance(self.kinds, str) or not {"assign", "print"} <= kinds <= {*KINDS}:
            raise ValueError(
                f"kinds must be some of {KINDS}, 'assign' and 'print' among them: "
                f"got {self.kinds!r}"
            )
        if not self.low <= 0 <= self.numbers - 1 <= self.high or self.low == self.high:
            raise ValueError(
                f"0 to numbers - 1 = {self.numbers - 1} must lie in low..high: "
                f"got {self.low}..{self.high}"
            )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of a program; the first one is padding."""
        return words(self.num_variables, self.numbers)

    @cached_property
    def answers(self) -> Vocabulary:
        """The words of the answers: ``_`` and every value."""
        return Vocabulary(("_", *(str(n) for n in range(self.low, self.high + 1))))

    @property
    def num_in(self) -> int:
        """Number of words in a program."""
        return len(self.vocabulary)

    @property
    def num_out(self) -> int:
        """Number of answers."""
        return len(self.answers)

    def sample(
        self, batch: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw programs as tokens, with the answer to each token.

        Returns
        -------
        x : Tensor of integers, (B, T)
            Shorter programs end in padding.
        target : Tensor of integers, (B, T)
        """
        return self.write(self.draw(batch, generator))

    def draw(self, batch: int, generator: Generator | None = None) -> Statements:
        """Draw programs as statements, fields (B, S)."""
        check_whole(1, batch=batch)
        free, chance = self._plan(batch, generator)
        values = torch.zeros(batch, self.num_variables, dtype=torch.long)
        defined = torch.zeros(batch, self.num_variables, dtype=torch.bool)
        drawn = []
        for s in range(self.num_statements):
            statement = self._fit(free.at(s), chance[:, s], values, defined)
            values, runs = advance(values, statement)
            new = runs | look(defined, statement.name)
            defined = defined.scatter(1, statement.name[:, None], new[:, None])
            drawn.append(statement)
        return Statements(*(torch.stack(f, dim=1) for f in zip(*drawn, strict=True)))

    def _plan(
        self, batch: int, generator: Generator | None
    ) -> tuple[Statements, Tensor]:
        """Draw what does not depend on the values, and chances for what does."""
        shape = batch, self.num_statements

        def below(n: int) -> Tensor:
            return torch.randint(n, shape, generator=generator)

        kinds = sorted(map(KINDS.index, self.kinds))
        plain = torch.tensor([kind for kind in kinds if KINDS[kind] != "if"])
        kind, up = below(len(kinds)), below(2)
        guard = torch.where(kind >= len(plain), 1 + below(2), ALWAYS)
        kind = torch.where(kind >= len(plain), below(len(plain)), kind)
        kind[:, 0], kind[:, -1] = 0, len(plain) - 1
        guard[:, [0, -1]] = ALWAYS
        action = torch.tensor([ASSIGN, UP, PRINT])[plain[kind]]
        action = torch.where(action == UP, torch.where(up == 0, DOWN, UP), action)
        name, number, bound = map(
            below, (self.num_variables, self.numbers, self.numbers)
        )
        chance = torch.rand(*shape, 2, self.num_variables, generator=generator)
        return Statements(action, name, number, guard, name, bound), 1 - chance

    def _fit(
        self, free: Statements, chance: Tensor, values: Tensor, defined: Tensor
    ) -> Statements:
        """Choose variables that have a value, and turn steps back at the border."""
        tested, known = (chance * defined[:, None]).argmax(dim=2).unbind(dim=1)
        name = torch.where(free.action == ASSIGN, free.name, known)
        value, action = look(values, name), free.action
        action = torch.where((action == UP) & (value == self.high), DOWN, action)
        back = (action == DOWN) & (value == self.low)
        return free._replace(
            action=torch.where(back, UP, action), name=name, tested=tested
        )

    def write(self, statements: Statements) -> tuple[Tensor, Tensor]:
        """Return programs as tokens and answers, in the shape of `sample`."""
        x, keep = spell(statements, self.vocabulary)
        value, runs = execute(statements, self.num_variables)
        target = torch.full_like(x, NOTHING)
        printed = runs & (statements.action == PRINT)
        target[..., -1] = torch.where(printed, 1 + value - self.low, NOTHING)
        x, keep, target = x.flatten(1), keep.flatten(1), target.flatten(1)
        return pack(x, keep, self.vocabulary[PADDING]), pack(target, keep, IGNORED)

    def listing(self, x: Tensor) -> list[Line]:
        """Return one program (T,) as lines of Python, each with its tokens."""
        return listing(self.vocabulary.decode(x))

    def ceilings(
        self, programs: int = 1000, generator: Generator | None = None
    ) -> dict[str, float]:
        """Return how often answers that leave something out agree with what is printed.

        Returns
        -------
        dict
            ``majority``: the value printed most often. ``last assigned``: the number
            last assigned to the variable, steps and conditions ignored. ``no steps``:
            everything but steps. ``no conditions``: as if every condition held.
        """
        program = self.draw(programs, generator)
        value, runs = execute(program, self.num_variables)
        printed = runs & (program.action == PRINT)

        def agree(other: Statements) -> float:
            guess, _ = execute(other, self.num_variables)
            return float((guess == value)[printed].double().mean())

        steps = (program.action == UP) | (program.action == DOWN)
        still = program._replace(action=program.action.masked_fill(steps, PRINT))
        always = torch.full_like(program.guard, ALWAYS)
        common = value[printed].mode().values
        return {
            "majority": float((value[printed] == common).double().mean()),
            "last assigned": agree(still._replace(guard=always)),
            "no steps": agree(still),
            "no conditions": agree(program._replace(guard=always)),
        }
