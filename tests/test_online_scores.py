"""Curves of several learners on one stream."""

import pytest
import torch

from srwm_lite.online_scores import certainty, errors_off, online_curves
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import VSML


def stream(B=2, T=5):
    torch.manual_seed(0)
    return torch.randn(B, T, 3), torch.eye(2)[torch.randint(2, (B, T))]


def knows(x, targets):
    return 9 * targets, None


def errs(x, targets):
    return -9 * targets, None


def test_windows_by_hand():
    x, targets = stream()

    def half(x, targets):
        sign = torch.tensor([1, 1, -1, 1, -1.0])[:, None]
        return sign * targets, None

    lines = online_curves({"knows": knows, "half": half}, x, targets, window=2)
    assert lines["knows"].tolist() == [1, 1]
    assert lines["half"].tolist() == [1, 0.5]
    assert online_curves({"errs": errs}, x, targets)["errs"].tolist() == [0] * 5


def test_certainty_is_the_probability_of_what_is_told():
    x, targets = stream()
    sure = 1 / (1 + torch.exp(torch.tensor(-9.0)))
    torch.testing.assert_close(certainty(knows, x, targets), sure.expand(5))
    torch.testing.assert_close(certainty(errs, x, targets), 1 - sure.expand(5))


def test_with_errors_off_nothing_is_heard_and_the_other_is_as_before():
    net = VSML(SubRNN(4, 2, input_shift=0.0))
    x, targets = stream()
    run = errors_off(net)
    torch.manual_seed(1)
    a, _ = run(x, targets)
    torch.manual_seed(1)
    b, _ = run(x, 1 - targets)
    assert torch.equal(a, b)
    assert net.writes
    torch.manual_seed(1)
    assert not torch.equal(net(x, targets)[0], a)


def test_bad_windows_are_refused():
    x, targets = stream()
    with pytest.raises(ValueError, match="at most the T = 5 examples: got 6"):
        online_curves({"knows": knows}, x, targets, window=6)
    with pytest.raises(ValueError, match="window must be a whole number"):
        online_curves({"knows": knows}, x, targets, window=0)
