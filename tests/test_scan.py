import pytest
import torch

from srwm_lite.scan import scan, unroll


def add(state, x):
    return state + x, 10 * (state + x)


def test_unroll_yields_every_state_and_output():
    x = torch.tensor([[1.0, 2.0, 3.0]])
    seen = [(s.item(), y.item()) for s, y in unroll(add, torch.zeros(1), x)]
    assert seen == [(1, 10), (3, 30), (6, 60)]


def test_scan_stacks_outputs_along_time():
    x = torch.randn(2, 5, 3)
    y, last = scan(add, torch.zeros(2, 3), x)
    torch.testing.assert_close(y, 10 * x.cumsum(dim=1))
    torch.testing.assert_close(last, x.sum(dim=1))


def test_state_may_be_a_tuple():
    def fibonacci(state, _):
        a, b = state
        return (b, a + b), a

    one = torch.ones(1)
    y, state = scan(fibonacci, (0 * one, one), torch.zeros(1, 7))
    assert y[0].tolist() == [0, 1, 1, 2, 3, 5, 8]
    assert [x.item() for x in state] == [13, 21]


def test_an_empty_sequence_is_refused():
    with pytest.raises(ValueError, match="T is 0"):
        scan(add, torch.zeros(1), torch.zeros(1, 0))


def test_inputs_of_different_length_are_refused():
    def step(state, x, z):
        return state, x + z

    with pytest.raises(ValueError, match="shorter"):
        scan(step, None, torch.zeros(1, 3), torch.zeros(1, 2))
