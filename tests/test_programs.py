import re

import pytest
import torch

from srwm_lite.programs import CodeExecution
from srwm_lite.scores import (
    print_accuracy,
    sequence_accuracy,
    sequence_loss,
    whole_accuracy,
)
from srwm_lite.statements import ALWAYS, ASSIGN, DOWN, PRINT, UP, execute

TASKS = pytest.mark.parametrize(
    "task",
    [
        CodeExecution(3, 30),
        CodeExecution(5, 60),
        CodeExecution(1, 40, low=-2, high=3, numbers=4),
        CodeExecution(2, 12, kinds=("assign", "print")),
        CodeExecution(2, 12, kinds=("assign", "step", "print")),
        CodeExecution(3, 12, kinds=("assign", "print", "if")),
    ],
    ids=lambda task: f"{task.num_variables}-{task.num_statements}-{len(task.kinds)}",
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def interpret(text):
    """Yield, for every token, what Python prints when it has come that far."""
    scope, printed = {}, []
    scope["print"] = printed.append
    for statement in re.findall(r"[^;]*;", text):
        source = re.sub(r"print (\w)", r"print(\1)", statement)
        source = re.sub(r"(\w) (\+|-)\2", r"\1 \2= 1", source)
        exec(source.strip(), scope)
        yield from ["_"] * (len(statement.split()) - 1)
        yield str(printed.pop()) if printed else "_"


def decoded(task, x, target):
    """Yield text and answers of each program, without its padding."""
    for tokens, row in zip(x, target, strict=True):
        asked = row != -100
        text = " ".join(task.vocabulary.decode(tokens[asked]))
        assert set(task.vocabulary.decode(tokens[~asked])) <= {"·"}
        yield text, task.answers.decode(row[asked])


@TASKS
def test_every_answer_is_what_python_prints(task):
    x, target = task.sample(100, generator())
    for text, answers in decoded(task, x, target):
        assert answers == list(interpret(text)), text


@TASKS
def test_the_listing_prints_the_same(task):
    x, target = task.sample(30, generator(1))
    for tokens, row in zip(x, target, strict=True):
        lines = task.listing(tokens)
        printed, scope = [], {}
        exec(
            "\n".join(line.source for line in lines), scope | {"print": printed.append}
        )
        assert printed == [int(task.answers.words[n]) for n in row if n > 0]
        assert [line.start for line in lines[1:]] == [line.stop for line in lines[:-1]]
        assert lines[-1].stop == int((row != -100).sum())


def test_a_taken_assignment_to_a_known_variable_counts():
    # the published generator leaves the old value: 9 % of its answers are wrong
    task = CodeExecution(3, 100)
    program = task.draw(100, generator())
    value, runs = execute(program, 3)
    asked = runs & (program.action == ASSIGN) & (program.guard != ALWAYS)
    assert torch.equal(value[asked], program.number[asked])
    kept = program._replace(action=program.action.masked_fill(asked, PRINT))
    printed = runs & (program.action == PRINT)
    wrong = (execute(kept, 3)[0] != value)[printed].double().mean()
    assert wrong > 0.05


@TASKS
def test_values_stay_in_the_range_without_clipping(task):
    program = task.draw(300, generator())
    value, _ = execute(program, task.num_variables)
    assert task.low <= value.min()
    assert value.max() <= task.high
    if "step" in task.kinds and task.high == 3:
        assert (value.min(), value.max()) == (task.low, task.high)


def test_first_and_last_statement_and_the_share_of_each_kind():
    program = CodeExecution(3, 50).draw(400, generator())
    assert (program.action[:, 0] == ASSIGN).all()
    assert (program.action[:, -1] == PRINT).all()
    assert (program.guard[:, [0, -1]] == ALWAYS).all()
    guarded = (program.guard != ALWAYS)[:, 1:-1]
    plain = program.action[:, 1:-1]
    assert guarded.double().mean() == pytest.approx(1 / 4, rel=0.05)
    for actions in ((ASSIGN,), (UP, DOWN), (PRINT,)):
        share = torch.isin(plain, torch.tensor(actions)).double().mean()
        assert share == pytest.approx(1 / 3, rel=0.05)


def test_kinds_can_be_left_out():
    program = CodeExecution(2, 20, kinds=("print", "assign")).draw(50, generator())
    assert set(program.action.flatten().tolist()) == {ASSIGN, PRINT}
    assert (program.guard == ALWAYS).all()


def test_a_kind_named_twice_is_drawn_twice_as_often():
    task = CodeExecution(2, 50, kinds=("assign", "if", "print", "if", "print"))
    program = task.draw(400, generator())
    guarded = (program.guard != ALWAYS)[:, 1:-1]
    prints = (program.action == PRINT)[:, 1:-1]
    assert guarded.double().mean() == pytest.approx(2 / 5, rel=0.05)
    assert prints.double().mean() == pytest.approx(2 / 3, rel=0.05)


def test_programs_may_differ_in_length():
    x, target = CodeExecution(3, 10).sample(50, generator())
    assert x.shape == target.shape
    lengths = (target != -100).sum(dim=1)
    assert lengths.max() == x.shape[1]
    assert lengths.min() < x.shape[1]


def test_the_generator_decides():
    task = CodeExecution(3, 20)
    one, same, other = (task.sample(4, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert one[0].shape != other[0].shape or not torch.equal(one[0], other[0])


def test_sizes_of_the_vocabularies():
    task = CodeExecution()
    assert task.num_in == 10 + 10 + 3
    assert task.num_out == 1 + 25
    assert (task.answers.words[0], task.answers.words[-1]) == ("_", "16")


def crippled(text, *, steps, conditions):
    """Return what is printed by Python for a program with something left out."""
    printed, scope = {}, dict.fromkeys("xyzab", 0)
    for n, statement in enumerate(re.findall(r"[^;]*;", text)):
        head, colon, rest = statement.rpartition(":")
        source = re.sub(r"(\w) (\+|-)\2", r"\1 \2= 1" if steps else "pass", rest)
        printing = re.search(r"print (\w)", source)
        if printing:
            printed[n] = scope[printing[1]]
        elif not colon or not conditions or eval(head.strip()[3:], scope):
            exec(source.strip(), scope)
    return printed


def test_ceilings_by_another_interpreter():
    task = CodeExecution(3, 25)
    x, target = task.sample(200, generator(3))
    right = dict.fromkeys(("last assigned", "no steps", "no conditions"), 0)
    counts = {}
    for text, answers in decoded(task, x, target):
        ends = [a for a, w in zip(answers, text.split(), strict=True) if w == ";"]
        said = {n: int(a) for n, a in enumerate(ends) if a != "_"}
        for name, steps, conditions in (
            ("last assigned", False, False),
            ("no steps", False, True),
            ("no conditions", True, False),
        ):
            guess = crippled(text, steps=steps, conditions=conditions)
            right[name] += sum(guess[n] == value for n, value in said.items())
        for value in said.values():
            counts[value] = counts.get(value, 0) + 1
    total = sum(counts.values())
    expected = {name: hits / total for name, hits in right.items()}
    expected["majority"] = max(counts.values()) / total
    assert task.ceilings(200, generator(3)) == pytest.approx(expected)
    assert expected["last assigned"] < expected["no conditions"] < 1


def test_without_steps_and_conditions_the_last_assignment_is_printed():
    ceilings = CodeExecution(3, 25, kinds=("assign", "print")).ceilings(50)
    assert ceilings["last assigned"] == 1
    assert ceilings["majority"] < 0.3


def test_scores_of_programs_by_hand():
    target = torch.tensor([[0, 0, 3, -100], [0, 0, 0, 2]])
    answer = torch.tensor([[0, 1, 3, 1], [0, 0, 0, 2]])

    def model(x):
        return torch.nn.functional.one_hot(answer, 4).double(), None

    assert print_accuracy(model, None, target).item() == 1
    assert whole_accuracy(model, None, target).item() == 0.5
    assert sequence_accuracy(model, None, target).item() == 6 / 7
    assert sequence_loss(model, None, target).isfinite()
    answer[1, 3] = 0
    assert print_accuracy(model, None, target).item() == 0.5
    with pytest.raises(ValueError, match="every target is -100"):
        print_accuracy(model, None, torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="every target is -100"):
        whole_accuracy(model, None, torch.full((2, 4), -100))


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("num_variables must be a whole number, positive: got 0", {"num_variables": 0}),
        ("num_variables must be at most 10: got 11", {"num_variables": 11}),
        ("num_statements must be a whole number, 2 or more", {"num_statements": 1}),
        ("'assign' and 'print' among them: got .*'step'", {"kinds": ("step", "print")}),
        ("kinds must be some of", {"kinds": ("assign", "print", "while")}),
        ("kinds must be some of", {"kinds": "print"}),
        ("numbers - 1 = 9 must lie in low..high: got 1..16", {"low": 1}),
        ("numbers - 1 = 19 must lie in low..high", {"numbers": 20}),
    ],
)
def test_impossible_tasks_are_refused(message, options):
    with pytest.raises(ValueError, match=message):
        CodeExecution(**options)
    with pytest.raises(ValueError, match="batch must be a whole number"):
        CodeExecution().sample(0)
