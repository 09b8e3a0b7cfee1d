"""Evolution strategies: try many small changes, and step towards the better ones.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_evolution.py
Sources   [1] Salimans, Ho, Chen, Sidor & Sutskever (2017), arXiv:1703.03864.
          [2] Kirsch & Schmidhuber (2021), arXiv:2012.14905 (pairs 512, sigma 0.05, and
          Adam with learning rate 0.025).

Shapes    P numbers in all parameters, n pairs of members.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parameters_to_vector

from srwm_lite import backends
from srwm_lite.checkpoints import Score
from srwm_lite.vsml_learner import online_loss

SEEDS = 2**62


def evolution_loss(
    model: nn.Module,
    *batch: Any,
    pairs: int,
    sigma: float = 0.05,
    loss: Score = online_loss,
    ranks: bool = False,
) -> Tensor:
    """Return the mean loss of changed models, with a gradient that no model computed.

    Equation: eq:evolution, with n `pairs` of members around the parameters theta, and
    eps normal ::

        L+_k = loss(theta + sigma eps_k),  L-_k = loss(theta - sigma eps_k)
        value    = mean of all L
        gradient = 1/n sum_k (L+_k - L-_k) / (2 sigma) eps_k

    Give it to `srwm_lite.training.fit`, which takes the step ::

        fit(model, sample, partial(evolution_loss, pairs=64), steps=1000, lr=0.025)

    Nothing is differentiated, so `loss` may be any number, and a stream costs no memory
    for its length. All noise comes from torch's global generator of the CPU, so a run
    that is interrupted goes on with the same bits. The members of a call share their
    luck: whatever `model` draws, such as its first states, is the same for all, and
    only the change of the parameters makes a difference.

    Parameters
    ----------
    model : Module
        Its parameters are changed and put back, bit for bit.
    *batch
        What `loss` takes besides; all members see the same.
    pairs : int
        A member and its mirror image each: twice as many losses are computed.
    sigma : float
        Standard deviation of the changes.
    loss : callable
        ``loss(model, *batch)``: one number.
    ranks : bool
        Take for the gradient, in place of the losses, their ranks among all members,
        from -1/2 to 1/2 [1]: a single wild loss then weighs no more than a bad one.

    Returns
    -------
    Tensor, ()

    Raises
    ------
    ValueError
        If `loss` returns more than a number, `sigma` is not positive, or no parameter
        can be changed.
    """
    backends.check_whole(1, pairs=pairs)
    backends.check_flag(ranks=ranks)
    if not sigma > 0:
        raise ValueError(f"sigma must be positive: got {sigma}; [2] takes 0.05")
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise ValueError(f"{type(model).__name__} has no parameter that can change")
    seeds = torch.randint(SEEDS, (pairs + 1,)).tolist()
    with torch.no_grad(), _put_back(weights), torch.random.fork_rng(devices=[]):
        losses = _try(model, batch, loss, weights, sigma, seeds)
    fitness = centred_ranks(losses) if ranks else losses
    heights = (fitness[0] - fitness[1]) / (2 * sigma * pairs)
    slope = sum(
        height * _noise(weights, seed)
        for height, seed in zip(heights, seeds[1:], strict=True)
    )
    push = parameters_to_vector(weights) @ slope
    return losses.mean() + (push - push.detach())


@contextmanager
def _put_back(weights: list[nn.Parameter]) -> Iterator[None]:
    """Let parameters hold other tensors for a while, then their own again."""
    before = [p.data for p in weights]
    try:
        yield
    finally:
        for p, own in zip(weights, before, strict=True):
            p.data = own


def _try(
    model: nn.Module,
    batch: tuple[Any, ...],
    loss: Score,
    weights: list[nn.Parameter],
    sigma: float,
    seeds: list[int],
) -> Tensor:
    """Return the losses of all members, (2, n); all draw from the first seed."""
    luck, *seeds = seeds
    sizes = [p.numel() for p in weights]
    theta, losses = parameters_to_vector(weights), []
    for seed in seeds:
        change = sigma * _noise(weights, seed)
        for member in (theta + change, theta - change):
            for p, part in zip(weights, member.split(sizes), strict=True):
                p.data = part.view_as(p)
            torch.manual_seed(luck)
            losses.append(_number(loss(model, *batch)))
    return torch.stack(losses).view(-1, 2).T


def _noise(weights: list[nn.Parameter], seed: int) -> Tensor:
    """Return one change of all parameters, (P,), drawn again when it is needed."""
    generator = Generator().manual_seed(seed)
    size = sum(p.numel() for p in weights)
    drawn = torch.randn(size, generator=generator, dtype=weights[0].dtype)
    return drawn.to(weights[0].device)


def _number(x: Tensor) -> Tensor:
    if not isinstance(x, Tensor) or x.numel() != 1:
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"loss must return one number, a tensor of one: got {got}")
    return x.reshape(())


def centred_ranks(x: Tensor) -> Tensor:
    """Return where each entry stands among all, from -1/2 (least) to 1/2 (most).

    Equal entries share the mean of their ranks.
    """
    flat = x.flatten()
    less = (flat < flat[:, None]).sum(dim=1)
    equal = (flat == flat[:, None]).sum(dim=1) - 1
    ranks = (less + equal / 2) / max(len(flat) - 1, 1)
    return (ranks - 0.5).to(x).view_as(x)
