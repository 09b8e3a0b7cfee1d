"""Exercises on learning from a few pictures: prototypes, and a memory written once."""

from collections.abc import Callable

from torch import Tensor

from srwm_lite.checks.exercise import Function, register


def _prototypes(
    *,
    centre: Callable[[Tensor], Tensor] = lambda x: x.mean(dim=1),
    power: int = 2,
    sign: int = -1,
    scale: Callable[[int], float] = lambda K: K**-0.5,
) -> Function:
    """Return the logits of prototypes, in which some part may be another."""

    def run(shown: Tensor, asked: Tensor) -> Tensor:
        away = asked[:, None] - centre(shown)
        distance = away.square().sum(dim=-1) ** (power / 2)
        return sign * distance * scale(shown.shape[-1])

    return run


def _nearest(shown: Tensor, asked: Tensor) -> Tensor:
    away = asked[:, None, None] - shown
    return -away.square().sum(dim=-1).amin(dim=-1) / shown.shape[-1] ** 0.5


def _similar(shown: Tensor, asked: Tensor) -> Tensor:
    return asked @ shown.mean(dim=1).T / shown.shape[-1] ** 0.5


def _transposed(shown: Tensor, asked: Tensor) -> Tensor:
    return _prototypes()(shown, asked).T


register(
    "prototypes",
    "Compare queries with the mean c of each class: -|x - c|² / sqrt(K).",
    _prototypes(),
    {"shown": "M T K", "asked": "B K"},
    {"logits": "B M"},
    [
        (
            "wrong sign",
            "the nearest class gets the largest logit: minus the distance",
            _prototypes(sign=1),
        ),
        (
            "distance not squared",
            "the logit is the squared distance: no square root",
            _prototypes(power=1),
        ),
        (
            "scale missing",
            "divide by sqrt(K)",
            _prototypes(scale=lambda K: 1.0),
        ),
        (
            "divided by the size",
            "divide by sqrt(K), not by K",
            _prototypes(scale=lambda K: 1 / K),
        ),
        (
            "sum for mean",
            "a prototype is the mean of the drawings of a class",
            _prototypes(centre=lambda x: x.sum(dim=1)),
        ),
        (
            "only the first drawing",
            "a prototype is the mean of all drawings of a class",
            _prototypes(centre=lambda x: x[:, 0]),
        ),
        (
            "one mean for all",
            "every class has a mean of its own: over the drawings T, not over classes",
            _prototypes(
                centre=lambda x: x.mean(dim=(0, 1)).expand(len(x), x.shape[-1])
            ),
        ),
        (
            "nearest drawing",
            "compare with the mean of a class, not with each of its drawings",
            _nearest,
        ),
        (
            "product for distance",
            "the logit is a squared distance, not a dot product",
            _similar,
        ),
        (
            "transposed",
            "a row is a query, a column a class",
            _transposed,
        ),
    ],
)


def _memory(
    *,
    common: Callable[[Tensor], Tensor] = lambda x: x.mean(dim=0),
    asked: bool = True,
    shown: bool = True,
) -> Function:
    """Return what a memory of centred features answers, or of others."""

    def run(x: Tensor, v: Tensor, q: Tensor) -> Tensor:
        m = common(x)
        W = v.T @ (x - shown * m)
        return W @ (q - asked * m)

    return run


def _last_only(x: Tensor, v: Tensor, q: Tensor) -> Tensor:
    m = x.mean(dim=0)
    return v[-1] * ((x[-1] - m) @ (q - m))


register(
    "centred_memory",
    "Take the mean of the features away, write each label, read with the query.",
    _memory(),
    {"x": "T K", "v": "T V", "q": "K"},
    {"y": "V"},
    [
        (
            "nothing taken away",
            "subtract the mean of the T features, from them and from the query",
            _memory(shown=False, asked=False),
        ),
        (
            "query not centred",
            "what all features share is taken away from the query as well",
            _memory(asked=False),
        ),
        (
            "features not centred",
            "write under x - m, not under x",
            _memory(shown=False),
        ),
        (
            "sum for mean",
            "what they share is the mean of the features, not their sum",
            _memory(common=lambda x: x.sum(dim=0)),
        ),
        (
            "wrong axis",
            "the mean goes over the T pictures; each feature has its own",
            _memory(common=lambda x: x.mean()),
        ),
        (
            "only the last pair is kept",
            "add all T outer products",
            _last_only,
        ),
    ],
)
