"""Inputs and comparisons for the kernel of a VSML layer that learns online."""

import torch

from srwm_lite.kernels import vsml
from srwm_lite.vsml import SubRNN, vsml_step
from srwm_lite.vsml_learner import ERROR, IN, LABEL, OUT, VSML, Memory, message, squash

PARTS = ("x", "targets", "h", "c", "back")
WEIGHTS = ("weight", "bias", "forward_weight", "forward_bias")
NAMES = ("logits", "h_T", "c_T", "back_T", *PARTS, *WEIGHTS)


def problem(*sizes, B=2, T=7, ticks=2, dtype=torch.float64, feed_label=True):
    """Return a learner with open gates, and x, targets, h, c and back."""
    rows, columns, N, M = sizes or (4, 3, 5, 4)
    cell = SubRNN(N, M, ticks=ticks, forget_shift=1.5, input_shift=0.5)
    with torch.no_grad():
        for p in cell.parameters():
            p.normal_().mul_(0.6 * N**-0.5)
        cell.forward_weight.mul_(3)
    targets = torch.eye(columns)[torch.randint(columns, (B, T))]
    state = (torch.randn(B, rows, columns, N) for _ in range(2))
    x = torch.randn(B, T, rows), targets, *state, torch.randn(B, columns, M)
    net = VSML(cell, feed_label=feed_label).to(dtype)
    return net, [t.to(dtype) for t in x]


def run(net, x, backend="fused"):
    """Return logits, h, c and back."""
    x, targets, h, c, back = x
    logits, memory = net(x, targets, Memory(((h, c),), (back,)), backend=backend)
    return logits, *memory.states[0], memory.backs[0]


def all_results(net, x, backend="fused", used=(0, 1, 2, 3), run=run):
    """Return the outputs, and the gradient of those used for all that went in."""
    x = [t.detach().requires_grad_() for t in x]
    out = run(net, x, backend)
    loss = 0
    for i in used:
        g = torch.Generator().manual_seed(i)
        weights = torch.randn(out[i].shape, generator=g, dtype=torch.float64)
        loss = loss + (out[i] * weights.to(out[i])).sum()
    leaves = [*x, *(getattr(net.cell, name) for name in WEIGHTS)]
    return [*(t.detach() for t in out), *torch.autograd.grad(loss, leaves)]


def errors(net, x):
    """Return the relative error of every output and gradient.

    The loop runs in float64 on the numbers that the kernel gets.
    """
    ours = all_results(net, x)
    loop = all_results(net.double(), [t.double() for t in x], "loop")
    return {
        name: ((a.double() - b).norm() / b.norm().clamp(min=1e-30)).item()
        for name, a, b in zip(NAMES, ours, loop, strict=True)
    }


def parts(net, x):
    """Return all tensors that the door of the kernel takes."""
    cell = net.cell
    answer = cell.forward_weight[OUT], cell.forward_bias[OUT]
    return [*x, cell.weight, cell.bias, *answer]


def door(*x, ticks=2, shifts=(0.25, -1.0), told=(0.5, -3.0)):
    """Call the kernel itself."""
    options = {"ticks": ticks, "shifts": shifts, "told": told}
    return vsml.fused()(*x[:2], tuple(x[2:5]), tuple(x[5:]), **options)


def by_hand(net, x, _):
    """Read one example after the other, with other factors and shifts."""
    x, targets, *state, back = x
    cell, answers = net.cell, []
    cell.input_shift, cell.forget_shift = 0.25, -1.0
    for x_t, target in zip(x.unbind(1), targets.unbind(1), strict=True):
        heard = message(cell.message_size, {IN: x_t}), back
        state, (said, _) = vsml_step(cell, tuple(state), *heard)
        answers.append(squash(said[..., OUT]))
        error = 0.5 * (answers[-1].softmax(dim=-1) - target)
        back = message(cell.message_size, {ERROR: error, LABEL: -3 * target})
    return torch.stack(answers, dim=1), *state, back
