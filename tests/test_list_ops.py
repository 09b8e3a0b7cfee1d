import random
import re
from collections import Counter

import pytest
import torch

from srwm_lite.list_ops import ListOps, drawing

ALL = "MAX", "MIN", "FIRST", "SM"
TASKS = pytest.mark.parametrize(
    "task",
    [
        ListOps(1),
        ListOps(2, operators=("SM",)),
        ListOps(3),
        ListOps(4, operators=ALL, max_args=3, nested=0.4),
        ListOps(10),
        ListOps(5, operators=("FIRST", "MAX"), max_args=2, nested=0.1),
    ],
    ids=lambda task: f"{task.depth}-{'-'.join(task.operators)}",
)
PYTHON = {"MAX": "max", "MIN": "min", "FIRST": "first", "SM": "mod"}
MEANING = {"first": lambda v: v[0], "mod": lambda v: sum(v) % 10}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def calculate(text):
    """Return the value of a list by turning it into an expression of Python."""
    source = re.sub(r"(\d)", r"\1,", text).replace("]", ")),")
    source = re.sub(r"\[(\w+)", lambda name: PYTHON[name[1]] + "((", source)
    return eval(source, dict(MEANING))[0]


def depth(text):
    level = [(c == "[") - (c == "]") for c in text]
    return max(sum(level[: t + 1]) for t in range(len(level)))


def texts(task, batch, seed=0):
    x, target = task.sample(batch, generator(seed))
    for tokens, row in zip(x, target, strict=True):
        (end,) = (row != -100).nonzero()[:, 0].tolist()
        assert set(task.vocabulary.decode(tokens[end + 1 :])) <= {"·"}
        yield " ".join(task.vocabulary.decode(tokens[: end + 1])), int(row[end])


@TASKS
def test_every_answer_is_what_python_calculates(task):
    for text, answer in texts(task, 200):
        assert calculate(text) == answer, text


@TASKS
def test_lists_are_as_deep_and_as_wide_as_asked(task):
    operators, numbers = set(), set()
    for text, _ in texts(task, 200):
        assert depth(text) == task.depth
        while inner := re.search(r"\[(\w+) ([^\[\]]+) \]", text):
            operators.add(inner[1])
            numbers.add(len(inner[2].split()))
            text = text.replace(inner[0], "0", 1)
        assert text == "0"
    assert operators == set(task.operators)
    assert numbers == set(range(2, task.max_args + 1))


@TASKS
def test_the_tree_knows_every_token(task):
    x, target = task.sample(20, generator())
    for tokens, row in zip(x, target, strict=True):
        node = task.tree(tokens)
        assert node.value == int(row[row != -100])
        assert node.stop == int((row != -100).nonzero()) + 1
        assert drawing(node).count("\n") + 1 == node.stop - drawing(node).count("=")


def rejected(rng, level=1):
    """Draw a tree without a bound, as the paper does: its shape, None for a digit."""
    if level > 1 and rng.random() > 0.25:
        return None
    return tuple(rejected(rng, level + 1) for _ in range(rng.randint(2, 5)))


def height(shape):
    return 0 if shape is None else 1 + max(map(height, shape))


def shape_of(node):
    return tuple(map(shape_of, node.arguments)) or None


def statistics(shapes):
    """Return arity of the root, sum over it, and place of the first deep argument."""
    rows = Counter()
    for shape in shapes:
        deep = [height(argument) for argument in shape]
        rows["arity", len(shape)] += 1
        rows["first deep", deep.index(max(deep))] += 1
        rows["deep ones", min(2, deep.count(max(deep)))] += 1
        rows["second", height(shape[1])] += 1
    return rows


def test_the_trees_are_those_that_rejection_keeps():
    rng, task = random.Random(0), ListOps(3)
    kept = [tree for tree in (rejected(rng) for _ in range(40000)) if height(tree) == 3]
    x, _ = task.sample(len(kept), generator())
    ours = statistics(shape_of(task.tree(tokens)) for tokens in x)
    theirs = statistics(kept)
    assert len(kept) > 4000
    assert set(ours) == set(theirs)
    for row, count in theirs.items():
        deviation = (count * (1 - count / len(kept))) ** 0.5
        assert abs(ours[row] - count) < 5 * 2**0.5 * deviation + 1, row


def test_digits_and_operators_are_equally_likely():
    x, _ = ListOps(3).sample(3000, generator())
    counts = torch.bincount(x.flatten(), minlength=16)[2:].double()
    for part, n in ((counts[:10], 10), (counts[10:13], 3)):
        torch.testing.assert_close(
            part / part.sum(), torch.full((n,), 1 / n).double(), rtol=0.06, atol=0
        )


def test_class_balance_and_ceilings_by_counting():
    task = ListOps(3)
    rows = list(texts(task, 500, seed=3))
    counts = Counter(answer for _, answer in rows)
    balance = task.class_balance(500, generator(3))
    assert balance.tolist() == pytest.approx([counts[d] / 500 for d in range(10)])
    ceilings = task.ceilings(500, generator(3))
    assert ceilings["majority"] == pytest.approx(max(counts.values()) / 500)
    best = 0
    for name in task.operators:
        of = Counter(answer for text, answer in rows if text.startswith(f"[{name}"))
        best += max(of.values())
    assert ceilings["operator"] == pytest.approx(best / 500)
    common = str(min(d for d in counts if counts[d] == max(counts.values())))
    right = 0
    for text, answer in rows:
        while re.search(r" \[[^\[\]]*\]", text):
            text = re.sub(r" \[[^\[\]]*\]", f" {common}", text)
        right += calculate(text) == answer
    assert ceilings["flat"] == pytest.approx(right / 500)


def test_a_flat_list_needs_no_stack():
    assert ListOps(1).ceilings(100)["flat"] == 1


def test_the_generator_decides():
    task = ListOps(4)
    one, same, other = (task.sample(4, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert one[0].shape != other[0].shape or not torch.equal(one[0], other[0])


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("depth must be a whole number, positive: got 0", {"depth": 0}),
        ("max_args must be a whole number, 2 or more: got 1", {"max_args": 1}),
        ("nested must be from 0.01 to 0.99: got 1.5", {"nested": 1.5}),
        ("operators must be some of .* got 'MAX'", {"operators": "MAX"}),
        ("operators must be some of", {"operators": ()}),
        ("operators must be some of", {"operators": ("MED",)}),
    ],
)
def test_impossible_tasks_are_refused(message, options):
    with pytest.raises(ValueError, match=message):
        ListOps(**options)
    with pytest.raises(ValueError, match="batch must be a whole number"):
        ListOps().sample(0)
