import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from srwm_lite import language_model
from srwm_lite.delta_rule import DeltaNet
from srwm_lite.language_model import NextToken, bits
from srwm_lite.models import SequenceModel

IDS = torch.randint(5, (203,), generator=torch.Generator().manual_seed(0))


def net(**options):
    torch.manual_seed(3)
    return SequenceModel(5, 5, 8, layer=DeltaNet, **options)


class Constant(nn.Module):
    """Give every token the same probabilities at every step."""

    def __init__(self, *p):
        super().__init__()
        self.p = torch.tensor(p)

    def forward(self, x, states=None):
        return self.p.log().expand(*x.shape, -1), states


def test_pieces_are_drawn_from_everywhere_and_targets_come_next():
    task = NextToken(torch.arange(10), 10, length=7)
    x, target = task.sample(200, torch.Generator().manual_seed(0))
    assert x.shape == target.shape == (200, 7)
    assert torch.equal(target, x + 1)
    assert x[:, 0].unique().tolist() == [0, 1, 2]
    assert task.num_in == task.num_out == 10
    again = task.sample(200, torch.Generator().manual_seed(0))
    assert torch.equal(x, again[0])


@pytest.mark.equation("eq:bits")
def test_bits_of_a_tiny_string_by_hand():
    model = Constant(0.5, 0.25, 0.25)
    cost = bits(model, torch.tensor([0, 0, 1, 2, 0]), num=2, length=1)
    torch.testing.assert_close(cost, torch.tensor([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("length", [7, 10, 99])
def test_bits_are_the_loop_read_aloud(carry, length):
    model, num = net(num_layers=2), 4
    costs = bits(model, IDS, num=num, length=length, carry=carry)
    L = (len(IDS) - 1) // num
    for b in range(num):
        for i in (0, 9, L - 1):
            start = 0 if carry else i // length * length
            y, _ = model(IDS[None, b * L + start : b * L + i + 1])
            cost = functional.cross_entropy(y[0, -1], IDS[b * L + i + 1])
            torch.testing.assert_close(costs[b, i], cost.detach() / math.log(2))


@pytest.mark.parametrize("length", [1, 7, 50])
def test_with_the_state_carried_the_cut_does_not_matter(length):
    whole = bits(net(), IDS, num=4, length=10**6)
    torch.testing.assert_close(bits(net(), IDS, num=4, length=length), whole)


@pytest.mark.parametrize("mode", [True, False])
def test_counting_bits_leaves_no_trace(mode):
    model = net().train(mode)
    assert not bits(model, IDS).requires_grad
    assert model.training is mode
    with pytest.raises(ValueError, match="x must be from 0 to num_in"):
        bits(model, IDS + 5)
    assert model.training is mode


def test_places_after_a_reset_are_averaged():
    found = language_model.after_reset(net(), IDS, num=2, length=10)
    costs = bits(net(), IDS, num=2, length=10, carry=False)
    assert costs.shape == (2, 101)
    for t in (0, 4, 9):
        torch.testing.assert_close(found[t], costs[:, t:100:10].mean())
    with pytest.raises(
        ValueError, match="tokens_in_a_stream must be a whole number, 1"
    ):
        language_model.after_reset(net(), IDS, num=2, length=102)


def test_new_words_are_told_apart_by_occurrence():
    text = "first or first; or first. then other or other"
    cost = torch.arange(len(text) - 1).float()  # the first character costs nothing
    once = language_model.by_occurrence(cost, text, "or", num=1)
    first, second = (
        text.index("first", 1),
        text.rindex("first"),
    )
    other, again = text.index("other"), text.rindex("other")
    assert once[0] == (first + other) / 2 + 1  # the middle of five, one character late
    assert once[1] == (second + again) / 2 + 1
    assert once[2].isnan()


def test_each_stream_has_words_of_its_own():
    text = "|never never|never never|"
    cost = torch.arange(24.0).view(2, 12)
    found = language_model.by_occurrence(cost, text, "", num=2, last=2)
    assert found.tolist() == [cost[:, :5].mean(), cost[:, 6:11].mean()]
    known = language_model.by_occurrence(cost, text, "never", num=2)
    assert known.isnan().all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="number_of_tokens must be a whole number, 2"):
        NextToken(IDS, 5, length=203)
    with pytest.raises(ValueError, match="ids must be from 0 to num_in - 1 = 3: got"):
        NextToken(IDS, 4, length=3)
