"""Look into a learner made of cells: the weights it behaves as if it had.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_introspection.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905.

Shapes    B tasks, T examples, I inputs, O classes.
"""

import torch
from torch import Tensor

from srwm_lite.vsml import REDUCE
from srwm_lite.vsml_learner import IN, OUT, VSML, Memory, message, squash


def implied_weights(net: VSML, memory: Memory, x: Tensor | None = None) -> Tensor:
    """Return how much each answer would change with each input, if it were shown now.

    ::

        w_ab = d logit_b / d x_a       at the input `x`, errors that wait being heard

    Of a linear map these are the weights. A cell holds no weight, only a state of
    sixteen and sixteen numbers; this is what it acts like.

    Parameters
    ----------
    net : VSML
        With a single layer.
    memory : Memory
        As `VSML.forward` returned it.
    x : Tensor, (B, I), optional
        Where to take the slope; at zero if omitted.

    Returns
    -------
    Tensor, (B, I, O)

    Raises
    ------
    ValueError
        If there are several layers.
    """
    if net.hidden:
        raise ValueError(
            f"net must have a single layer: got hidden={net.hidden}; there an answer "
            "is no sum over inputs"
        )
    (state,), (back,) = memory
    B, inputs, outputs = state[0].shape[:3]
    x = state[0].new_zeros(B, inputs) if x is None else x
    with torch.enable_grad():  # every cell gets an input of its own: one slope for each
        own = x[:, :, None].expand(B, inputs, outputs).detach().clone()
        own.requires_grad_()
        heard = message(net.cell.message_size, {IN: own})
        _, forward, _ = net.cell(state, heard, back[:, None])
        joined = REDUCE[net.reduce](forward[..., OUT], dim=1)
        (slope,) = torch.autograd.grad(squash(joined).sum(), own)
    return slope


@torch.no_grad()
def film(net: VSML, x: Tensor, targets: Tensor, task: int = 0) -> Tensor:
    """Return the implied weights of one task before and after each example.

    Returns
    -------
    Tensor, (T + 1, O, I)
        To be played by `srwm_lite.widgets.WeightPlayer`.
    """
    x, targets = x[task : task + 1], targets[task : task + 1]
    memory = net.start(1, x.shape[2], targets.shape[2])
    frames = [implied_weights(net, memory)]
    for x_t, target in zip(x.unbind(dim=1), targets.unbind(dim=1), strict=True):
        memory, _ = net.example(memory, x_t, target)
        frames.append(implied_weights(net, memory))
    return torch.cat(frames).mT
