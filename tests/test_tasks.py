import numpy as np
import pytest
import torch

from srwm_lite.fast_weights import FastWeightProgrammer
from srwm_lite.tasks import (
    AssociativeRetrieval,
    RetrievalSequence,
    last_value,
    retrieval_accuracy,
    retrieval_loss,
    sequence_accuracy,
    sequence_loss,
)

SETTINGS = pytest.mark.parametrize("replace", [False, True])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def last_by_search(keys, values, query):
    """Walk through one sequence from its end."""
    bound = dict(zip(keys.tolist(), values.tolist(), strict=True))
    return bound[int(query)]


def test_setting_1_draws_every_key_and_value_once():
    keys, values, _, _ = AssociativeRetrieval(6).sample(50, generator())
    for x in (keys, values):
        torch.testing.assert_close(x.sort(dim=-1).values, torch.arange(6).expand(50, 6))
    assert not torch.equal(keys, values)


def test_setting_2_draws_twice_as_many_pairs_with_replacement():
    keys, values, _, _ = AssociativeRetrieval(6, replace=True).sample(500, generator())
    for x in (keys, values):
        assert x.shape == (500, 12)
        share = torch.bincount(x.flatten(), minlength=6) / x.numel()
        torch.testing.assert_close(share, torch.full((6,), 1 / 6), rtol=0.1, atol=0)


@SETTINGS
def test_the_target_is_the_value_bound_last(replace):
    batch = AssociativeRetrieval(5, replace=replace).sample(100, generator())
    for keys, values, query, target in zip(*batch, strict=True):
        assert int(target) == last_by_search(keys, values, query)


def test_last_value_by_hand():
    keys, values = torch.tensor([[1, 0, 1, 2]]), torch.tensor([[7, 8, 9, 6]])
    asked = {q: int(last_value(keys, values, torch.tensor([q]))) for q in (0, 1, 2)}
    assert asked == {0: 8, 1: 9, 2: 6}


def test_the_query_stands_at_a_uniform_position():
    # a key that stands there twice is asked twice as often as the other
    task = AssociativeRetrieval(2, replace=True, length=3)
    keys, _, query, _ = task.sample(20000, generator())
    often = keys.sum(dim=1) == 2
    torch.testing.assert_close(
        query[often].double().mean().item(), 2 / 3, rtol=0.05, atol=0
    )


@SETTINGS
def test_evaluation_asks_for_every_distinct_key_once(replace):
    batch = AssociativeRetrieval(6, replace=replace).queries(4, generator())
    asked = {}
    for keys, values, query, target in zip(*batch, strict=True):
        assert int(target) == last_by_search(keys, values, query)
        asked.setdefault((*keys.tolist(), *values.tolist()), []).append(int(query))
    assert len(asked) == 4
    for sequence, queries in asked.items():
        assert queries == sorted(set(sequence[: len(sequence) // 2]))


def test_evaluation_may_have_another_length():
    keys, *_ = AssociativeRetrieval(6, replace=True).queries(3, generator(), length=6)
    assert keys.shape[1] == 6


def test_a_tuple_draws_batches_for_copies():
    keys, values, query, target = AssociativeRetrieval(6).sample((3, 4), generator())
    assert keys.shape == values.shape == (3, 4, 6)
    assert query.shape == target.shape == (3, 4)


@SETTINGS
def test_the_generator_decides(replace):
    task = AssociativeRetrieval(9, replace=replace)
    one, same, other = (task.sample(4, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.keys, other.keys)


def test_impossible_tasks_are_refused():
    with pytest.raises(
        ValueError, match="length=7 pairs need as many keys, got num_ke"
    ):
        AssociativeRetrieval(6, length=7)
    with pytest.raises(ValueError, match=r"length=7 pairs .* use replace=True"):
        AssociativeRetrieval(6).queries(length=7)
    for name, bad in (
        ("num_keys", {"num_keys": 0}),
        ("num_keys", {"num_keys": 2.5}),
        ("length", {"num_keys": 3, "length": 0}),
    ):
        with pytest.raises(ValueError, match=f"{name} must be a whole number, posi"):
            AssociativeRetrieval(**bad)
    with pytest.raises(TypeError, match="replace must be True or False: got 2"):
        AssociativeRetrieval(3, replace=2)
    with pytest.raises(ValueError, match=r"batch\[0\] must be a whole .* got 2.0"):
        AssociativeRetrieval(3).sample(2.0)
    with pytest.raises(ValueError, match=r"length must be a whole .* got 0"):
        AssociativeRetrieval(3).queries(length=0)


def test_a_batch_may_be_a_number_of_numpy():
    assert AssociativeRetrieval(3).sample(np.int64(2)).keys.shape == (2, 3)


def test_a_key_that_is_not_there_has_no_last_value():
    keys, absent = torch.tensor([[1, 0]]), torch.tensor([2])
    with pytest.raises(ValueError, match="one of the keys: 2 is absent"):
        last_value(keys, keys, absent)


def test_targets_that_do_not_fit_are_refused():
    def answer(*_):
        return torch.zeros(4, 3)

    with pytest.raises(ValueError, match=r"target must have shape \(4,\) to fit .*1"):
        retrieval_accuracy(answer, None, None, None, torch.zeros(1))
    for score in (sequence_loss, sequence_accuracy):
        with pytest.raises(ValueError, match="every target is -100"):
            score(answer, None, torch.full((2, 3), -100))


def test_loss_and_accuracy_by_hand():
    def answer(keys, values, query):
        return torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])

    target = torch.tensor([0, 1])
    none = (torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2))
    assert retrieval_loss(answer, *none, target).item() == (0 + (1 + 4) / 2) / 2
    assert retrieval_accuracy(answer, *none, target).item() == 0.5


def test_an_answer_of_zeros_costs_a_half():
    batch = AssociativeRetrieval(6).sample((3, 4))
    loss = retrieval_loss(lambda *_: torch.zeros(3, 4, 6), *batch)
    assert loss.tolist() == [0.5] * 3


def test_a_stream_shows_pairs_and_then_asks():
    task = RetrievalSequence(3, num_keys=5, num_values=4, num_queries=2)
    x, target = task.sample(50, generator())
    assert x.shape == (50, 5, task.num_in) == (50, 5, 9)
    keys, values = x.split([5, 4], dim=-1)
    assert (keys.sum(dim=-1) == 1).all()
    assert (values.sum(dim=-1) == torch.tensor([1, 1, 1, 0, 0])).all()
    assert (target[:, :3] == -100).all()
    shown, value = keys.argmax(dim=-1), values.argmax(dim=-1)
    assert all(len(set(row[:3].tolist())) == 3 for row in shown)
    for b in range(50):
        for t in (3, 4):
            expected = last_by_search(shown[b, :3], value[b, :3], shown[b, t])
            assert int(target[b, t]) == expected


def test_values_of_a_stream_are_independent_of_the_keys():
    task = RetrievalSequence(2, num_keys=3, num_values=4)
    x, target = task.sample(24000, generator())
    asked = x[:, -1, :3].argmax(dim=-1)
    table = torch.bincount(4 * asked + target[:, -1], minlength=12) / 24000
    torch.testing.assert_close(table, torch.full((12,), 1 / 12), rtol=0.1, atol=0)
    assert task.ceiling == 1 / 4


def test_the_programmer_of_1991_can_solve_the_stream():
    task = RetrievalSequence(6, num_keys=6, num_values=4, num_queries=3)
    net = FastWeightProgrammer(task.num_in, task.num_values)
    with torch.no_grad():
        net.slow.weight.zero_()
        net.slow.weight[:4, 6:] = torch.eye(4)  # TO: the value
        net.slow.weight[4:10, :6] = torch.eye(6)  # FROM: the key
    x, target = task.sample(100, generator())
    assert sequence_accuracy(net, x, target).item() == 1
    net.writes = False
    assert sequence_accuracy(net, x, target).item() < 2 * task.ceiling


def test_sequence_loss_counts_only_the_questions():
    x, target = torch.zeros(2, 3, 4), torch.full((2, 3), -100)
    target[0, 2], target[1, 1] = 1, 3
    y = torch.zeros(2, 3, 4)
    y[0, 2, 1] = y[1, 1, 3] = 50.0
    y[:, 0] = torch.nan
    assert sequence_loss(lambda x: (y, None), x, target).item() < 1e-6
    assert sequence_accuracy(lambda x: (y, None), x, target).item() == 1


def test_impossible_streams_are_refused():
    with pytest.raises(ValueError, match="num_pairs=9 pairs need as many keys"):
        RetrievalSequence(9)
    for name, bad in (
        ("num_pairs", {"num_pairs": 0}),
        ("num_queries", {"num_pairs": 1, "num_queries": 0}),
    ):
        with pytest.raises(ValueError, match=f"{name} must be a whole .* got 0"):
            RetrievalSequence(**bad)
