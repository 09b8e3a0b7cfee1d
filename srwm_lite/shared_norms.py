"""Batch norms whose batch is spread over several processes.

Chapters  whoever trains for long; first used in srwm_lite/experiments
Tests     tests/test_distributed.py
Source    [1] Ioffe & Szegedy (2015), arXiv:1502.03167, algorithm 1.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm

from srwm_lite.distributed import world


@contextmanager
def shared_norms(model: nn.Module) -> Iterator[None]:
    """Let every batch norm of `model` see the whole batch, not only our share."""
    norms = [part for part in model.modules() if isinstance(part, _BatchNorm)]
    norms = norms if world() > 1 else []
    for norm in norms:
        norm.forward = partial(_normalise, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


class _Total(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        total = grad.clone()
        dist.all_reduce(total)
        return total


def _normalise(norm: _BatchNorm, x: Tensor) -> Tensor:
    """Do what the norm does [1], with mean and variance of all processes."""
    if not norm.training:
        return type(norm).forward(norm, x)
    axes, shape = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
    ours = x.new_tensor([x.numel() / x.shape[1]])
    sums = _Total.apply(torch.cat([x.sum(axes), ours]))
    mean, n = sums[:-1] / sums[-1], sums[-1].detach()
    centred = x - mean.view(shape)
    variance = _Total.apply(centred.square().sum(axes)) / n
    _remember(norm, mean.detach(), variance.detach() * n / (n - 1))
    y = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.weight is None:
        return y
    return y * norm.weight.view(shape) + norm.bias.view(shape)


def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
    rate = norm.momentum
    if rate is None:
        rate = 1 / float(norm.num_batches_tracked or 1)
    norm.running_mean.lerp_(mean, rate)
    norm.running_var.lerp_(variance, rate)
