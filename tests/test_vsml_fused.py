"""The C++ of a layer that learns online equals the readable loop in every gradient."""

import threading

import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from srwm_lite.kernels import launch, vsml
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import VSML, Memory

NAMES = ("logits", "h", "c", "back", "x", "targets", "h_0", "c_0", "back_0")
WEIGHTS = ("weight", "bias", "forward_weight", "forward_bias")
SIZES = [  # I, O, N, M
    (1, 1, 1, 2),
    (1, 5, 3, 2),
    (5, 1, 16, 8),
    (7, 5, 16, 8),
    (5, 7, 3, 8),
    (3, 16, 16, 2),
    (16, 3, 1, 8),
    (2, 33, 16, 8),
    (33, 2, 17, 5),
]


@pytest.fixture
def _poisoned():
    """Let torch fill new tensors with NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


def problem(
    I=4,  # noqa: E741
    O=3,  # noqa: E741
    N=5,
    M=4,
    *,
    B=2,
    T=7,
    dtype=torch.float64,
    **options,
):
    """Return a learner whose gates are open, and x, targets, h, c and back."""
    learning = {n: options.pop(n) for n in ("ticks",) if n in options}
    cell = SubRNN(N, M, forget_shift=1.0, input_shift=0.5, **learning).to(dtype)
    with torch.no_grad():
        for bias in (cell.bias, cell.forward_bias):
            bias.normal_()
        cell.forward_weight.mul_(3)
    net = VSML(cell, feed_label=options.get("feed_label", True))
    targets = torch.eye(O, dtype=dtype)[torch.randint(O, (B, T))]
    shapes = (B, I, O, N), (B, I, O, N), (B, O, M)
    x = torch.randn(B, T, I, dtype=dtype)
    return net, [x, targets, *(torch.randn(s, dtype=dtype) for s in shapes)]


def outputs(net, x, backend):
    """Return logits, h, c and back."""
    x, targets, h, c, back = x
    logits, memory = net(x, targets, Memory(((h, c),), (back,)), backend=backend)
    return logits, *memory.states[0], memory.backs[0]


def all_results(net, x, backend, used=(0, 1, 2, 3)):
    """Return the outputs, and the gradients of all that went in."""
    x = [t.detach().clone().requires_grad_() for t in x]
    out = outputs(net, x, backend)
    torch.manual_seed(1)
    weights = [torch.randn(t.shape, dtype=torch.float64).to(t) for t in out]
    loss = sum((out[i] * weights[i]).sum() for i in used)
    leaves = [*x, *(getattr(net.cell, name) for name in WEIGHTS)]
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [*(t.detach() for t in out), *found]


def errors(net, x):
    """Return the relative error of every output and gradient against float64."""
    ours = all_results(net, x, "fused")
    loop = all_results(net.double(), [t.double() for t in x], "loop")
    return {
        name: ((a.double() - b).norm() / b.norm().clamp(min=1e-30)).item()
        for name, a, b in zip(NAMES + WEIGHTS, ours, loop, strict=True)
    }


def worst(net, x):
    """Return the largest of these errors, and whose it is."""
    found = errors(net, x)
    return max((error, name) for name, error in found.items())


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("T", "ticks"), [(1, 1), (7, 2), (40, 2), (7, 3)])
@pytest.mark.parametrize(("I", "O", "N", "M"), SIZES)
def test_equals_the_loop_to_the_last_digits(I, O, N, M, T, ticks):  # noqa: E741
    assert worst(*problem(I, O, N, M, T=T, ticks=ticks)) <= (1e-13, "")
