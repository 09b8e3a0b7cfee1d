"""Losses and accuracies of the retrieval tasks.

Chapters  chapters/02_fast_weights.ipynb, 04_feature_maps.ipynb, 05_delta_rule.ipynb
Tests     tests/test_tasks.py
Sources   [1] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 6.1.

Shapes    B batch, L pairs in a sequence, T time, C copies of a model.
"""

from torch import Tensor, nn
from torch.nn import functional

IGNORED = -100
NOTHING = 0  # the answer where a program prints nothing


def retrieval_loss(
    model: nn.Module, keys: Tensor, values: Tensor, query: Tensor, target: Tensor
) -> Tensor:
    """Return ``1/2 sum_i (y_i - target_i)^2``, averaged over the batch [1].

    A scalar, or (C,) for a model of C copies. An answer of zeros costs 0.5.
    """
    y = model(keys, values, query)
    wanted = functional.one_hot(target, y.shape[-1])
    return (y - wanted).square().sum(dim=-1).mean(dim=-1) / 2


def retrieval_accuracy(
    model: nn.Module, keys: Tensor, values: Tensor, query: Tensor, target: Tensor
) -> Tensor:
    """Return the share of right answers (largest entry), in the shape of the loss."""
    y = model(keys, values, query)
    wanted = y.shape[:-1][-target.dim() :]
    if target.shape != wanted:
        raise ValueError(
            f"target must have shape {tuple(wanted)} to fit the answers "
            f"{tuple(y.shape)}: got {tuple(target.shape)}"
        )
    right = y.argmax(dim=-1) == target
    return right.double().mean(dim=-1)


def sequence_loss(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of ``model(x)[0]`` at the steps that have a target."""
    _check_asked(target)
    y, _ = model(x)
    return functional.cross_entropy(y.flatten(0, 1), target.flatten())


def sequence_accuracy(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Return the share of right answers at the steps that have a target."""
    _check_asked(target)
    y, _ = model(x)
    return (y.argmax(dim=-1) == target)[target != IGNORED].double().mean()


def print_accuracy(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Return the share of right answers where something is printed.

    There the target is neither -100 nor 0, the answer that nothing is printed.
    """
    return sequence_accuracy(model, x, target.masked_fill(target == NOTHING, IGNORED))


def whole_accuracy(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Return the share of sequences with every answer right, (B, T) to a scalar."""
    _check_asked(target)
    y, _ = model(x)
    right = (y.argmax(dim=-1) == target) | (target == IGNORED)
    return right.all(dim=-1).double().mean()


def _check_asked(target: Tensor) -> None:
    if not (target != IGNORED).any():
        raise ValueError(f"nothing is asked: every target is {IGNORED}; give one")
