"""Exercises on feature maps."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from srwm_lite import feature_maps
from srwm_lite.checks.exercise import register

ROWS = "each row is one vector; work along the last axis, dim=-1"


def _halves(x: Tensor) -> Tensor:
    return torch.cat([x, -x], dim=-1)


def _products(r: Tensor, shifts: range | tuple[int, ...], **kwargs: int) -> Tensor:
    return torch.cat([r * r.roll(j, **kwargs) for j in shifts], dim=-1)


def _favor(
    x: Tensor, P: Tensor, half: float = 0.5, m: float = 2.0, sign: float = -1.0
) -> Tensor:
    norm = half * x.square().sum(dim=-1, keepdim=True)
    return (_halves(x @ P.T) + sign * norm).exp() / math.sqrt(m * len(P))


register(
    "elu_plus_one",
    "Map every entry to a positive number: x + 1 above zero, exp(x) below.",
    feature_maps.elu_plus_one,
    {"x": "T K"},
    {"y": "T K"},
    [
        ("the one is missing", "elu goes down to -1; add 1", functional.elu),
        (
            "relu for elu",
            "below zero take exp(x), which stays positive",
            lambda x: x.relu() + 1,
        ),
        (
            "one inside",
            "add the one after elu, not before: elu(x) + 1",
            lambda x: functional.elu(x + 1),
        ),
        ("exp everywhere", "above zero it is x + 1, not exp(x)", torch.exp),
        (
            "branches swapped",
            "x + 1 belongs above zero, exp(x) below",
            lambda x: torch.where(x > 0, x.exp(), x + 1),
        ),
        ("softplus for elu", "softplus is log(1 + exp(x))", functional.softplus),
    ],
)

register(
    "dpfp",
    "Project to 2 K nu dimensions: r = relu([x, -x]) times itself rolled by 1 ... nu.",
    feature_maps.dpfp,
    {"x": "T K", "nu": "number"},
    {"y": "T 2*K*nu"},
    [
        (
            "roll missing",
            "r * r keeps every entry to itself; multiply by r.roll(j, dims=-1)",
            lambda x, nu: _products(_halves(x).relu(), (0,) * nu),
        ),
        (
            "roll over all axes",
            "without dims=-1 roll runs over the whole tensor, from row to row",
            lambda x, nu: _products(_halves(x).relu(), range(1, nu + 1)),
        ),
        (
            "roll along time",
            "roll the features, dims=-1, not the rows",
            lambda x, nu: _products(_halves(x).relu(), range(1, nu + 1), dims=0),
        ),
        (
            "roll the other way",
            "the entry j goes to j + 1: r.roll(j), not r.roll(-j)",
            lambda x, nu: _products(
                _halves(x).relu(), tuple(-j for j in range(1, nu + 1)), dims=-1
            ),
        ),
        (
            "roll starts at zero",
            "the shifts are 1 to nu; range(nu) starts at 0",
            lambda x, nu: _products(_halves(x).relu(), range(nu), dims=-1),
        ),
        (
            "roll starts at zero",
            "the shifts are 1 to nu: range(1, nu + 1), not range(nu + 1)",
            lambda x, nu: _products(_halves(x).relu(), range(nu + 1), dims=-1),
        ),
        (
            "roll stops too early",
            "the shifts are 1 to nu, and nu is one of them: range(1, nu + 1)",
            lambda x, nu: _products(_halves(x).relu(), range(1, nu), dims=-1),
        ),
        (
            "relu missing",
            "take relu of [x, -x] before the products",
            lambda x, nu: _products(_halves(x), range(1, nu + 1), dims=-1),
        ),
        (
            "relu after the products",
            "take relu of [x, -x] first: two negative entries must not count",
            lambda x, nu: _products(_halves(x), range(1, nu + 1), dims=-1).relu(),
        ),
        (
            "negative half missing",
            "x and -x stand side by side before relu, so that no sign is lost",
            lambda x, nu: _products(x.relu(), range(1, nu + 1), dims=-1),
        ),
        (
            "nu ignored",
            "join the products of all shifts 1 to nu",
            lambda x, nu: _products(_halves(x).relu(), (1,), dims=-1),
        ),
        (
            "only the last shift",
            "join the products of all shifts 1 to nu, not only that of nu",
            lambda x, nu: _products(_halves(x).relu(), (nu,), dims=-1),
        ),
    ],
)

register(
    "favor_plus",
    "Make positive random features: exp(-|x|^2 / 2) / sqrt(2 m) [exp(P x), exp(-P x)].",
    feature_maps.favor_plus,
    {"x": "T K", "projection": "M K"},
    {"y": "T 2*M"},
    [
        (
            "norm missing",
            "subtract |x|^2 / 2 in the exponent",
            lambda x, P: _favor(x, P, half=0.0),
        ),
        (
            "half of the norm missing",
            "it is |x|^2 / 2 in the exponent, not |x|^2",
            lambda x, P: _favor(x, P, half=1.0),
        ),
        (
            "norm added",
            "the norm is subtracted in the exponent",
            lambda x, P: _favor(x, P, sign=1.0),
        ),
        (
            "square missing",
            "it is |x|^2 / 2 in the exponent, not |x| / 2",
            lambda x, P: (
                (_halves(x @ P.T) - x.norm(dim=-1, keepdim=True) / 2).exp()
                / math.sqrt(2 * len(P))
            ),
        ),
        (
            "scale missing",
            "divide by sqrt(2 m)",
            lambda x, P: _favor(x, P, m=1 / len(P)),
        ),
        (
            "two missing in the scale",
            "there are 2 m features: divide by sqrt(2 m), not sqrt(m)",
            lambda x, P: _favor(x, P, m=1.0),
        ),
        (
            "root missing in the scale",
            "divide by sqrt(2 m): phi(q) . phi(k) multiplies two of them",
            lambda x, P: _favor(x, P) / math.sqrt(2 * len(P)),
        ),
        (
            "negative half missing",
            "join exp(P x) and exp(-P x)",
            lambda x, P: _favor(x, P).chunk(2, dim=-1)[0],
        ),
    ],
)

register(
    "sum_normalise",
    "Divide every row by its sum.",
    feature_maps.sum_normalise,
    {"x": "T K positive"},
    {"y": "T K"},
    [
        ("softmax for sum", "no exponential here", lambda x: x.softmax(dim=-1)),
        ("wrong axis", ROWS, lambda x: x / x.sum(dim=0, keepdim=True)),
        ("one sum for all rows", ROWS, lambda x: x / x.sum()),
        (
            "length for sum",
            "divide by the sum of the entries, not by the Euclidean length",
            lambda x: x / x.norm(dim=-1, keepdim=True),
        ),
        (
            "mean for sum",
            "divide by the sum, not by the mean",
            lambda x: x / x.mean(dim=-1, keepdim=True),
        ),
        (
            "maximum for sum",
            "divide by the sum, not by the largest entry",
            lambda x: x / x.amax(dim=-1, keepdim=True),
        ),
    ],
)

register(
    "unit_norm",
    "Divide every row by its Euclidean length.",
    feature_maps.unit_norm,
    {"x": "T K"},
    {"y": "T K"},
    [
        (
            "root missing",
            "the length is the square root of the sum of squares",
            lambda x: x / x.square().sum(dim=-1, keepdim=True),
        ),
        ("wrong axis", ROWS, lambda x: x / x.norm(dim=0, keepdim=True)),
        ("one length for all rows", ROWS, lambda x: x / x.norm()),
        (
            "sum for length",
            "divide by the Euclidean length, not by the sum of the entries",
            lambda x: x / x.sum(dim=-1, keepdim=True),
        ),
        (
            "sum of sizes for length",
            "divide by the root of the sum of squares, not by the sum of |x_j|",
            lambda x: x / x.abs().sum(dim=-1, keepdim=True),
        ),
        (
            "mean for sum",
            "add the squares, do not average them",
            lambda x: x / x.square().mean(dim=-1, keepdim=True).sqrt(),
        ),
    ],
)
