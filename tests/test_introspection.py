"""The weights that a learner behaves as if it had."""

import pytest
import torch

from srwm_lite.introspection import film, implied_weights
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import VSML


def learner(**options):
    torch.manual_seed(0)
    return VSML(SubRNN(5, 3, input_shift=0.0), **options).double()


def stream(T=4):
    x = torch.randn(2, T, 3).double()
    return x, torch.eye(4).double()[torch.randint(4, (2, T))]


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_they_are_the_slopes_of_the_answers(reduce):
    net, (x, targets) = learner(reduce=reduce), stream()
    _, memory = net(x, targets)
    at = torch.randn(2, 3).double()
    slopes = implied_weights(net, memory, at)
    for a in range(3):
        step = torch.zeros(2, 3).double()
        step[:, a] = 1e-5
        more, less = (
            net.example(memory, at + s * step, targets[:, 0])[1] for s in (1, -1)
        )
        torch.testing.assert_close(slopes[:, a], (more - less) / 2e-5)
    assert not slopes.requires_grad


def test_the_film_begins_with_the_start_and_ends_with_the_last_example():
    net, (x, targets) = learner(), stream()
    torch.manual_seed(1)
    frames = film(net, x, targets, task=1)
    assert frames.shape == (5, 4, 3)
    torch.manual_seed(1)
    memory = net.start(1, 3, 4)
    assert torch.equal(frames[:1], implied_weights(net, memory).mT)
    _, memory = net(x[1:], targets[1:], memory, backend="loop")
    torch.testing.assert_close(frames[-1:], implied_weights(net, memory).mT)


def test_several_layers_are_refused():
    net = learner(hidden=(4,))
    with pytest.raises(ValueError, match=r"single layer: got hidden=\(4,\)"):
        implied_weights(net, net.start(1, 3, 4))
