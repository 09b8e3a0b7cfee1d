import pytest
import torch

from srwm_lite.boolean_rules import RULES, BooleanRules
from srwm_lite.scores import IGNORED

MEANING = {
    "AND": lambda a, b: a and b,
    "OR": lambda a, b: a or b,
    "XOR": lambda a, b: a != b,
    "NAND": lambda a, b: not (a and b),
}


def test_the_tables_are_the_functions():
    for name, answers in RULES.items():
        inputs = [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert [int(MEANING[name](a, b)) for a, b in inputs] == list(answers)


def test_every_sequence_follows_one_of_the_rules():
    x, target = BooleanRules().sample(200, torch.Generator().manual_seed(0))
    assert x.shape == (200, 5, 7)
    assert (target[:, :-1] == IGNORED).all()
    a, b, answer = (x[:, :, i : i + 2].argmax(dim=-1) for i in (0, 2, 4))
    seen = set()
    for i in range(200):
        shown = {(int(a[i, t]), int(b[i, t])): int(answer[i, t]) for t in range(4)}
        table = tuple(shown[pair] for pair in ((0, 0), (0, 1), (1, 0), (1, 1)))
        seen.add(table)
        assert int(target[i, 4]) == shown[int(a[i, 4]), int(b[i, 4])]
    assert seen == set(RULES.values())


def test_the_question_hides_the_answer():
    x, _ = BooleanRules().sample(50)
    assert (x[:, :4, 6] == 0).all()
    assert (x[:, :4, :6].sum(dim=-1) == 3).all()
    assert x[:, 4, 4:].tolist() == [[0, 0, 1]] * 50
    assert (x[:, 4, :4].sum(dim=-1) == 2).all()


def test_the_ceiling_is_what_counting_finds():
    assert BooleanRules().ceiling == 11 / 16
    x, target = BooleanRules().sample(40_000, torch.Generator().manual_seed(0))
    asked = x[:, 4, 1].long() * 2 + x[:, 4, 3].long()
    best = 0
    for pair in range(4):
        answers = target[asked == pair, 4]
        best += max((answers == 0).sum(), (answers == 1).sum()).item()
    assert best / len(target) == pytest.approx(11 / 16, abs=0.01)


def test_the_same_generator_draws_the_same():
    a, b = (BooleanRules().sample(3, torch.Generator().manual_seed(5)) for _ in "ab")
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])


def test_given_sequences_are_written_out():
    x, target = BooleanRules().sequences(
        torch.tensor([2]), torch.tensor([[0, 3, 1, 2, 3]])
    )
    assert x[0].argmax(dim=1).tolist() == [0, 1, 0, 1, 1]
    assert x[0, :, 2:4].argmax(dim=1).tolist() == [0, 1, 1, 0, 1]
    assert x[0, :4, 4:6].argmax(dim=1).tolist() == [0, 0, 1, 1]  # XOR
    assert target.tolist() == [[IGNORED] * 4 + [0]]


def test_every_sequence_occurs_once_and_a_fixed_answer_is_at_most_at_the_ceiling():
    task = BooleanRules()
    x, target = task.every()
    assert len(x.flatten(1).unique(dim=0)) == len(x) == 4 * 24 * 4
    answers = target[:, -1].view(4, 24, 4)
    assert torch.equal(answers, task.rules[:, None].expand(4, 24, 4))
    fixed = torch.cartesian_prod(*4 * [torch.arange(2)])
    shares = [(answers == f).double().mean().item() for f in fixed]
    assert max(shares) == task.ceiling


def test_bad_sequences_are_named():
    task, inputs = BooleanRules(), torch.zeros(1, 5, dtype=torch.long)
    with pytest.raises(ValueError, match=r"inputs \(B, 5\): got .* inputs \(1, 4\)"):
        task.sequences(inputs[:, 0], inputs[:, :4])
    with pytest.raises(ValueError, match=r"the number of rules - 1 = 3: got 4 to 4"):
        task.sequences(inputs[:, 0] + 4, inputs)
    with pytest.raises(ValueError, match=r"the number of inputs - 1 = 3: got 9 to 9"):
        task.sequences(inputs[:, 0], inputs + 9)
