import pytest
import torch
from torch import nn
from torch.nn import functional

from srwm_lite.chains import TelephoneChain
from srwm_lite.scores import IGNORED


def follow(words):
    """Play one sequence as a person would."""
    calls, answers, person = {}, [], None
    for word in words:
        if "calls" in word:
            caller, called = word.split(" calls ")
            calls[caller] = called
        elif word == "next":
            person = calls[person]
            answers.append(person)
        else:
            person = word.removeprefix("begin with ")
    assert sorted(calls) == sorted(calls.values())
    return answers


@pytest.mark.parametrize("people", [2, 3, 6])
def test_a_reader_of_the_words_gives_the_targets(people):
    task = TelephoneChain(people, length=2 * people)
    x, target = task.sample(20)
    assert x.shape == target.shape == (20, 3 * people + 1)
    assert (target[:, : people + 1] == IGNORED).all()
    names = [word.removeprefix("begin with ") for word in task.words[-people - 1 : -1]]
    for row, answers in zip(x, target[:, people + 1 :], strict=True):
        assert follow(task.read(row)) == [names[i] for i in answers]
        assert len(set(answers.tolist())) == people


def test_circles_beginnings_and_orders_differ_and_the_seed_decides():
    task = TelephoneChain()
    x, _ = task.sample(300, torch.Generator().manual_seed(3))
    assert len(x[:, :3].unique(dim=0)) == 12
    assert len(x[:, 3].unique()) == 3
    again, _ = task.sample(300, torch.Generator().manual_seed(3))
    assert torch.equal(again, x)
    assert task.num_in == len(task.words) == 13
    assert task.num_out == 3
    assert 0 <= x.min() <= x.max() == 12


class Says(nn.Module):
    def __init__(self, answers):
        super().__init__()
        self.answers = answers

    def forward(self, x):
        return functional.one_hot(self.answers, 3).double(), None


def test_rounds_are_scored_and_a_constant_answer_is_at_the_ceiling():
    task = TelephoneChain(length=6)
    x, target = task.sample(50)
    perfect = target.clamp(min=0)
    assert task.by_round(Says(perfect), x, target).tolist() == [1, 1]
    half = torch.cat([perfect[:, :7], torch.full((50, 3), 2)], dim=1)
    scores = task.by_round(Says(half), x, target)
    torch.testing.assert_close(scores, torch.tensor([1, task.ceiling]).double())


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="people must be a whole number, 2 or more"):
        TelephoneChain(1)
    with pytest.raises(ValueError, match="people must be at most 6: got 7"):
        TelephoneChain(7)
    with pytest.raises(ValueError, match="length must be a whole number, positive"):
        TelephoneChain(length=0)
    with pytest.raises(ValueError, match="a multiple of people = 3: got 7"):
        TelephoneChain(length=7).by_round(nn.Identity(), *TelephoneChain().sample(1))
    with pytest.raises(ValueError, match="x must be from 0 to num_in - 1 = 12"):
        TelephoneChain().read(torch.tensor([13]))
