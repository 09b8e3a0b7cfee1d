"""Exercises on state tracking: equal writes, and a step of the parity machine."""

from torch import Tensor

from srwm_lite.checks.exercise import Function, outer, register, times


def _moved(share: Function) -> Function:
    """Return the memory with a `share` of the error written under the key."""

    def run(W: Tensor, k: Tensor, v: Tensor, beta: Tensor, n: int) -> Tensor:
        return W + share(beta, k @ k, n) * outer(v - times(W, k), k)

    return run


def _all(b: Tensor, kk: Tensor, n: int) -> Tensor:
    return (1 - (1 - b * kk) ** n) / kk


register(
    "same_write",
    "Write v under k with strength beta, n times, but without a loop.",
    _moved(_all),
    {"W": "V K", "k": "K positive", "v": "V", "beta": "strength", "n": "number"},
    {"W": "V K"},
    [
        (
            "one write only",
            "after n writes the share (1 - beta |k|^2)^n of the error is left",
            _moved(lambda b, kk, n: b),
        ),
        (
            "the share that is left",
            "the share (1 - beta |k|^2)^n of the error is left, the rest is written",
            _moved(lambda b, kk, n: (1 - b * kk) ** n / kk),
        ),
        (
            "n times the first write",
            "every write finds another error than the one before",
            _moved(lambda b, kk, n: n * b),
        ),
        (
            "length of the key ignored",
            "a write leaves the share 1 - beta |k|^2 of the error",
            _moved(lambda b, kk, n: 1 - (1 - b) ** n),
        ),
        (
            "length of the key ignored",
            "the answer to k changes by |k|^2 times what is written: divide by it",
            _moved(lambda b, kk, n: 1 - (1 - b * kk) ** n),
        ),
        (
            "length not squared",
            "what counts is the square of the length, k @ k",
            _moved(lambda b, kk, n: _all(b, kk.sqrt(), n)),
        ),
        (
            "power of beta",
            "a write leaves the share 1 - beta |k|^2 of the error, not beta |k|^2",
            _moved(lambda b, kk, n: (b * kk) ** n / kk),
        ),
        (
            "power of beta",
            "a write leaves the share 1 - beta |k|^2 of the error, not beta |k|^2",
            _moved(lambda b, kk, n: (1 - (b * kk) ** n) / kk),
        ),
        (
            "one write too many",
            "n writes leave the n-th power",
            _moved(lambda b, kk, n: _all(b, kk, n + 1)),
        ),
        (
            "one write too few",
            "n writes leave the n-th power",
            _moved(lambda b, kk, n: _all(b, kk, n - 1)),
        ),
        (
            "wrong sign",
            "the memory moves towards v: add, do not take away",
            _moved(lambda b, kk, n: -_all(b, kk, n)),
        ),
        (
            "the whole memory fades",
            "only what lies along k is multiplied by (1 - beta |k|^2)^n",
            lambda W, k, v, beta, n: (
                (1 - beta * (k @ k)) ** n * W + _all(beta, k @ k, n) * outer(v, k)
            ),
        ),
        (
            "sum for delta",
            "the delta rule writes the error v - W k, not v",
            lambda W, k, v, beta, n: W + n * beta * outer(v, k),
        ),
        (
            "the old memory is lost",
            "the answer is the whole new memory: W + ...",
            lambda W, k, v, beta, n: _all(beta, k @ k, n) * outer(v - times(W, k), k),
        ),
    ],
)


def _step(value: Function, strength: Function = lambda x: x) -> Function:
    """Return a step that writes ``value(y, x, high)`` with ``strength(x)``."""
    return lambda y, x, high: y + strength(x) * (value(y, x, high) - y)


def _flip(y: Tensor, x: Tensor, high: Tensor) -> Tensor:
    return high * x - high * y.tanh() / high.tanh()


register(
    "parity_step",
    "Move y towards high x - high tanh(y) / tanh(high) with strength x.",
    _step(_flip),
    {"y": "V", "x": "strength", "high": "positive"},
    {"y": "V"},
    [
        (
            "tanh missing",
            "a linear echo of y cannot hold two states: tanh(y)",
            _step(lambda y, x, high: high * x - high * y / high.tanh()),
        ),
        (
            "not divided",
            "from y = high the echo must be high itself: divide by tanh(high)",
            _step(lambda y, x, high: high * x - high * y.tanh()),
        ),
        (
            "factor missing",
            "from y = high the echo must be high itself: high tanh(y) / tanh(high)",
            _step(lambda y, x, high: high * x - y.tanh() / high.tanh()),
        ),
        (
            "wrong sign",
            "the echo is taken away, so that an odd state falls to zero",
            _step(lambda y, x, high: high * x + high * y.tanh() / high.tanh()),
        ),
        (
            "echo missing",
            "without the last output nobody knows the state: take the echo away",
            _step(lambda y, x, high: high * x),
        ),
        (
            "input missing",
            "from y = 0 a one must lead to high: the value begins with high x",
            _step(lambda y, x, high: -high * y.tanh() / high.tanh()),
        ),
        (
            "strength missing",
            "a zero writes nothing: y + x (v - y)",
            _flip,
        ),
        (
            "strength the wrong way round",
            "a one writes and a zero does not: the strength is x, not 1 - x",
            _step(_flip, lambda x: 1 - x),
        ),
        (
            "old value not removed",
            "the delta rule writes the error v - y, not v",
            lambda y, x, high: y + x * _flip(y, x, high),
        ),
    ],
)
