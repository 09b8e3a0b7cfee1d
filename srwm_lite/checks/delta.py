"""Exercises on one step of the delta rule."""

from typing import Any

from torch import Tensor

from srwm_lite import delta_rule as rules
from srwm_lite.checks.exercise import Function, outer, register, times
from srwm_lite.feature_maps import unit_norm

STEP = {"W": "V K", "q": "K", "k": "K", "v": "V", "beta": "strength"}
RETURNS = {"W": "V K", "y": "V"}
WHOLE = "beta scales the whole error: beta * (v - W k)"


def _write(change: Function) -> Function:
    """Return the step that adds ``change(W, k, v, beta) ⊗ k`` and then reads."""

    def step(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
        W = W + outer(change(W, k, v, beta[..., None]), k)
        return W, times(W, q)

    return step


def _early(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    return rules.delta_step(W, q, k, v, beta)[0], times(W, q)


def _with_the_key(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    return rules.delta_step(W, k, k, v, beta)


def _transposed(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    W = W + outer(k, beta[..., None] * (v - times(W, k)))
    return W, times(W, q)


def _queried(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    W = W + outer(beta[..., None] * (v - times(W, q)), k)
    return W, times(W, q)


def _lost(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    W = outer(beta[..., None] * (v - times(W, k)), k)
    return W, times(W, q)


def _mixed(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    beta = beta[..., None, None]
    W = (1 - beta) * W + beta * outer(v, k)
    return W, times(W, q)


def _swapped(W: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Any:
    return rules.delta_step(W, k, q, v, beta)


STEP_MISTAKES: list[tuple[str, str, Function]] = [
    (
        "sum for delta",
        "take away what the memory holds under k: write beta * (v - W k), not beta * v",
        _write(lambda W, k, v, beta: beta * v),
    ),
    (
        "sum for delta",
        "take away what the memory holds under k: write beta * (v - W k), not v",
        _write(lambda W, k, v, beta: v),
    ),
    (
        "beta on the wrong term",
        WHOLE + ", not beta * v - W k",
        _write(lambda W, k, v, beta: beta * v - times(W, k)),
    ),
    (
        "beta on the wrong term",
        WHOLE + ", not v - beta * W k",
        _write(lambda W, k, v, beta: v - beta * times(W, k)),
    ),
    (
        "beta on the whole memory",
        "the delta rule only changes what is stored under k: W stays, the write is "
        "scaled",
        _mixed,
    ),
    (
        "beta missing",
        WHOLE,
        _write(lambda W, k, v, beta: v - times(W, k)),
    ),
    (
        "beta twice",
        WHOLE + ", once",
        _write(lambda W, k, v, beta: beta**2 * (v - times(W, k))),
    ),
    (
        "wrong sign",
        "the error is v - W k: the new value minus the old one",
        _write(lambda W, k, v, beta: beta * (times(W, k) - v)),
    ),
    (
        "old value added",
        "the error is v - W k: the old value is taken away",
        _write(lambda W, k, v, beta: beta * (v + times(W, k))),
    ),
    (
        "read before write",
        "write first, then read from the new W: y = W q sees the write at t",
        _early,
    ),
    (
        "transposed outer product",
        "the error runs down the rows and the key along the columns, error ⊗ k",
        _transposed,
    ),
    (
        "transposed memory",
        "the old value is W k, a sum over the columns of W, not W.T k",
        _write(lambda W, k, v, beta: beta * (v - times(W.mT, k))),
    ),
    (
        "query and key swapped",
        "write with the key, read with the query",
        _swapped,
    ),
    (
        "read with the key",
        "the key is for writing; the answer is W q, not W k",
        _with_the_key,
    ),
    (
        "old value of the query",
        "ask for the old value with the key that is written: v - W k, not v - W q",
        _queried,
    ),
    (
        "the old memory is lost",
        "add the write to W instead of replacing it",
        _lost,
    ),
]

register(
    "delta_step",
    "Move the value stored under k towards v by the strength beta, then read with q.",
    rules.delta_step,
    STEP,
    RETURNS,
    [
        *STEP_MISTAKES,
        (
            "key normalised",
            "take the key as it comes, without dividing by its length",
            lambda W, q, k, v, beta: rules.delta_step(W, q, unit_norm(k), v, beta),
        ),
    ],
)


def _with_units(step: Function) -> Function:
    return lambda W, q, k, v, beta: step(W, unit_norm(q), unit_norm(k), v, beta)


register(
    "unit_delta_step",
    "Divide q and k by their lengths, then take a delta step.",
    _with_units(rules.delta_step),
    STEP,
    RETURNS,
    [
        (
            "key not normalised",
            "divide both q and k by their Euclidean length first",
            rules.delta_step,
        ),
        (
            "key not normalised",
            "the query is divided by its length, the key is not",
            lambda W, q, k, v, beta: rules.delta_step(W, unit_norm(q), k, v, beta),
        ),
        (
            "query not normalised",
            "the key is divided by its length, the query is not",
            lambda W, q, k, v, beta: rules.delta_step(W, q, unit_norm(k), v, beta),
        ),
        (
            "root missing",
            "the length is the square root of the sum of squares",
            lambda W, q, k, v, beta: rules.delta_step(
                W, q / (q @ q), k / (k @ k), v, beta
            ),
        ),
        (
            "value normalised",
            "only q and k are divided by their lengths",
            lambda W, q, k, v, beta: rules.delta_step(
                W, unit_norm(q), unit_norm(k), unit_norm(v), beta
            ),
        ),
        *((name, hint, _with_units(step)) for name, hint, step in STEP_MISTAKES),
    ],
)
