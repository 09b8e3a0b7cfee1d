import itertools
import math

import pytest
import torch

from srwm_lite.ngrams import NGram

IDS = torch.randint(4, (300,), generator=torch.Generator().manual_seed(0))


def by_counting(ids, context, size, order):
    """Return the probabilities of the next token, from the formula read aloud."""
    p = [1 / size] * size
    for n in range(min(order, len(context) + 1)):
        h = context[len(context) - n :]
        after = [ids[i + n] for i in range(len(ids) - n) if ids[i : i + n] == h]
        if after:
            t = len(set(after))
            p = [(after.count(c) + t * p[c]) / (len(after) + t) for c in range(size)]
    return p


def test_a_tiny_text_by_hand():
    # "aab": after nothing a twice and b once; after a, once a and once b
    model = NGram(2, 2).learn(torch.tensor([0, 0, 1]))
    single = (2 + 2 / 2) / (3 + 2)
    after_a = (1 + 2 * single) / (2 + 2)
    cost = model.bits(torch.tensor([0, 0]))
    torch.testing.assert_close(cost, torch.tensor([-math.log2(after_a)]))


@pytest.mark.equation("eq:witten-bell")
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_fast_count_is_the_formula(order):
    model, train = NGram(order, 4).learn(IDS), IDS.tolist()
    for context in itertools.product(range(4), repeat=2):
        p = by_counting(train, list(context), 4, order)
        for c in range(4):
            cost = model.bits(torch.tensor([*context, c]))[-1]
            assert float(cost) == pytest.approx(-math.log2(p[c]), rel=1e-5)
        assert sum(p) == pytest.approx(1)


def test_nothing_learned_costs_the_size_of_the_vocabulary():
    cost = NGram(3, 8).bits(IDS)
    torch.testing.assert_close(cost, torch.full((len(IDS) - 1,), 3.0))


def test_learning_while_reading_uses_only_the_past():
    model = NGram(3, 4).learn(IDS[:100])
    costs = model.bits(IDS[100:], learn=True)
    for i in (1, 57, 199):
        fresh = NGram(3, 4).learn(IDS[:100])
        fresh.bits(IDS[100 : 100 + i], learn=True)
        # the first of a text to read is not predicted, and not counted
        again = fresh.bits(IDS[100 : 101 + i])[-1]
        torch.testing.assert_close(costs[i - 1], again)


def test_reading_without_learning_changes_nothing():
    model = NGram(3, 4).learn(IDS[:100])
    assert torch.equal(model.bits(IDS), model.bits(IDS))
    assert not torch.equal(model.bits(IDS, learn=True), model.bits(IDS))


def test_what_repeats_becomes_cheap():
    text = torch.tensor([1, 2, 3, 0] * 50)
    costs = NGram(3, 4).bits(text, learn=True)
    assert costs[:4].mean() > 1.5
    assert costs[-20:].max() < 0.1


def test_bad_arguments_are_named():
    with pytest.raises(
        ValueError, match="order must be a whole number, positive: got 0"
    ):
        NGram(0, 4)
    with pytest.raises(
        ValueError, match="ids must be from 0 to size - 1 = 2: got 0 to 3"
    ):
        NGram(2, 3).learn(IDS)
