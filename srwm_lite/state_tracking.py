"""State tracking: weights set by hand that show what a layer can compute.

Chapter   chapters/09_state_tracking.ipynb
Tests     tests/test_state_tracking.py
Sources   [1] Irie, Csordas & Schmidhuber (2023), arXiv:2310.16076.
          [2] Grazzi et al. (2025), arXiv:2411.12537.
          [3] Bhattamishra, Ahuja & Goyal (2020), arXiv:2009.11264.

A construction is what a slow net would emit for a sequence of symbols; the layers of
the earlier chapters run it. Every memory here is a single number: K = V = H = 1.

Shapes    B batch, T time, K key size, V value size.
"""

import functools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from srwm_lite.arguments import check_index, check_range, check_tensor
from srwm_lite.delta_rule import DeltaNet
from srwm_lite.feature_maps import unit_norm
from srwm_lite.formal_languages import LANGUAGES, FormalLanguage
from srwm_lite.models import Layer, SequenceModel
from srwm_lite.recurrent_delta import RecurrentDeltaNet

__all__ = [
    "LANGUAGES",
    "FormalLanguage",
    "count_brackets",
    "eigenvalues",
    "parity_by_recurrence",
    "parity_by_reflection",
    "recurrent_parity_model",
    "reflecting_parity_model",
    "remember_below_zero",
    "reset_dyck_model",
    "slope",
]

RESET = 2  # the third symbol of reset Dyck-1
SURE = 200.0  # a logit whose sigmoid is one, and whose negative's is nothing
LOUD = 100.0  # an answer drowns the embedding of its symbol
Program = tuple[Tensor, Tensor, Tensor, Tensor]


def eigenvalues(k: Tensor, beta: Tensor) -> Tensor:
    """Return the eigenvalues of what a write does to the memory before it.

    Equation: eq:eigenvalues ::

        W_t = W_{t-1} (I - beta k k^T) + beta v k^T
        (I - beta k k^T) k = (1 - beta |k|^2) k,   and 1 for all at right angles to k

    Parameters
    ----------
    k : Tensor, (..., K)
    beta : Tensor, (...)

    Returns
    -------
    Tensor, (..., K)
        In ascending order if ``beta >= 0``.
    """
    check_tensor(k=k, beta=beta)
    along = 1 - beta * k.square().sum(dim=-1)
    return torch.cat([along[..., None], torch.ones_like(k[..., 1:])], dim=-1)


def parity_by_recurrence(
    bits: Tensor,
    high: float = 2.0,
    logit: float = SURE,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return q, k, v, beta and R that make a Recurrent Delta Net hold the parity.

    Equation: eq:parity-recurrent ::

        v = high x - high tanh(y) / tanh(high)
        beta = sigmoid(logit (2 x - 1))

    A one writes ``v``, which is `high` if the output is zero, and zero if it is `high`.
    A zero writes nothing. The key and the query are the softmax of one entry, one.

    Parameters
    ----------
    bits : Tensor of integers, (B, T)
    high : float
        The output that means odd; zero means even.
    logit : float
        How sure the net is when to write.
    dtype : torch.dtype

    Returns
    -------
    q, k, v : Tensor, (B, T, 1, 1)
    beta : Tensor, (B, T, 1)
    R : Tensor, (1, 4, 1)
        What `srwm_lite.recurrent_delta.recurrent_delta` takes.
    """
    check_index("number of bits", 2, bits=bits)
    _check_positive(high=high, logit=logit)
    x = bits.to(dtype)[..., None]
    zero = torch.zeros_like(x)[..., None]
    R = x.new_tensor([[[0], [0], [-high / math.tanh(high)], [0]]])
    return zero, zero, high * x[..., None], logit * (2 * x - 1), R


def slope(high: float) -> float:
    """Return by how much two ones shrink an error, in `parity_by_recurrence`.

    Equation: eq:parity-slope ::

        (high / sinh(high))^2

    It is below one for every `high`, since ``sinh`` grows faster: errors die out.
    """
    _check_positive(high=high)
    return (high / math.sinh(high)) ** 2


def parity_by_reflection(bits: Tensor, dtype: torch.dtype = torch.float32) -> Program:
    """Return q, k, v and beta that make a delta rule with ``beta = 2`` hold the parity.

    The exclusive or of chapter 06: a one takes the memory from W to 1 - W.

    Parameters
    ----------
    bits : Tensor of integers, (B, T)
    dtype : torch.dtype
    """
    check_index("number of bits", 2, bits=bits)
    x = bits.to(dtype)[..., None]
    one = torch.ones_like(x)[..., None]
    return one, one, one / 2, 2 * x


def count_brackets(
    x: Tensor, power: int = 60, dtype: torch.dtype = torch.float32
) -> Program:
    """Return q, k, v and beta that make a delta rule with ``beta <= 1`` count depth.

    A bracket writes a huge value with a tiny strength, ``2^power`` times ``2^-power``.
    So the memory goes up or down by one and loses the fraction ``2^-power`` of itself,
    which rounding swallows if the power is at least two more than the bits of a number:
    26 in float32, 55 in float64. A reset overwrites the memory with zero.

    Parameters
    ----------
    x : Tensor of integers, (B, T)
        0 for an opening bracket, 1 for a closing one, 2 for a reset.
    power : int
        From 0 to 100.
    dtype : torch.dtype

    Returns
    -------
    q, k, v : Tensor, (B, T, 1, 1)
    beta : Tensor, (B, T, 1)
    """
    check_index("number of symbols", 3, x=x)
    check_range(0, 100, power=power)
    huge = 2.0**power
    v = torch.tensor([huge, -huge, 0], dtype=dtype, device=x.device)
    beta = torch.tensor([1 / huge, 1 / huge, 1], dtype=dtype, device=x.device)
    one = torch.ones_like(beta[x])[..., None, None]
    return one, one, v[x][..., None, None], beta[x][..., None]


def remember_below_zero(x: Tensor, depth: Tensor) -> Program:
    """Return q, k, v and beta of a memory that knows if a bracket closed nothing.

    It is one from the first step with a negative depth until the next reset.

    Parameters
    ----------
    x : Tensor of integers, (B, T)
        As in `count_brackets`.
    depth : Tensor, (B, T)
        What the first memory counts.

    Returns
    -------
    q, k, v : Tensor, (B, T, 1, 1)
    beta : Tensor, (B, T, 1)
    """
    check_index("number of symbols", 3, x=x)
    check_tensor(depth=depth)
    below = torch.relu(-depth) - torch.relu(-depth - 1)  # a feed-forward net can do it
    one = torch.ones_like(depth)[..., None, None]
    beta = torch.where(x == RESET, 1, below)[..., None]
    return one, one, below[..., None, None], beta


def _check_positive(**numbers: float) -> None:
    for name, x in numbers.items():
        if not 0 < x < math.inf:
            raise ValueError(f"{name} must be positive and finite: got {x}")


def recurrent_parity_model(high: float = 2.0, logit: float = SURE) -> SequenceModel:
    """Return a whole model of bits, with `parity_by_recurrence` in its weights."""
    emitted = torch.tensor([[0.0, 0], [0, 0], [0, high], [-logit, logit]])
    *_, R = parity_by_recurrence(torch.zeros(1, 1, dtype=torch.long), high, logit)
    model = _model(RecurrentDeltaNet, emitted)
    model.get_parameter("blocks.0.layer.R").data[0] = R[0]
    return model


def reflecting_parity_model(logit: float = SURE) -> SequenceModel:
    """Return a whole model of bits, with `parity_by_reflection` in its weights."""
    emitted = torch.tensor([[1.0, 1], [1, 1], [0.5, 0.5], [-logit, logit]])
    layer = functools.partial(DeltaNet, feature_map=unit_norm, beta_max=2.0)
    return _model(layer, emitted)


def reset_dyck_model(power: int = 40) -> SequenceModel:
    """Return a whole model of reset Dyck-1, with `count_brackets` in its weights."""
    huge, logit = 2.0**power, -power * math.log(2.0)
    emitted = torch.tensor([[1.0] * 3, [1] * 3, [huge, -huge, 0], [logit, logit, SURE]])
    return _model(functools.partial(DeltaNet, feature_map=unit_norm), emitted)


@torch.no_grad()
def _model(layer: Layer, emitted: Tensor) -> SequenceModel:
    """Return a model that answers 1 where its first memory is above zero, else 0.

    `emitted` (4, n) is what the first head makes of each symbol: q, k, v and beta.
    Symbol i is embedded as 1 and -1 at places 2 i and 2 i + 1, so that no layer norm
    can mix two symbols. The answer is said along a direction that no symbol has.
    """
    n = emitted.shape[1]
    model = SequenceModel(n, 2, 2 * n, layer=layer, num_heads=2 * n, d_hidden=1)
    for part in model.modules():
        for weight in part.parameters(recurse=False):
            weight.mul_(isinstance(part, nn.LayerNorm))
    weights = {name: weight.data for name, weight in model.named_parameters()}
    weights["embed.weight"].copy_(torch.eye(n).repeat_interleave(2, dim=1))
    weights["embed.weight"][:, 1::2] *= -1
    seen = functional.layer_norm(weights["embed.weight"], [2 * n])[0, 0]
    weights["blocks.0.layer.slow.weight"][:4, ::2] = emitted / seen
    direction = torch.tensor([1.0, 1, -1, -1] + [0] * (2 * n - 4))
    weights["blocks.0.layer.out.weight"][:, 0] = LOUD * direction
    weights["read_out.1.weight"][1] = direction
    weights["read_out.1.bias"][1] = -2
    return model
