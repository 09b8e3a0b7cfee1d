"""Learn online by the gradient: what a learned learning algorithm is compared with.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_online_gradient.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905 (SGD and Adam as baselines).
          [2] Kingma & Ba (2015), arXiv:1412.6980 (Adam).

Shapes    B tasks, T examples of each, I inputs, O classes. Every task has weights of
          its own: one layer W (B, O, I), b (B, O), or a hidden one before it.
"""

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.outer_product import read
from srwm_lite.scan import scan
from srwm_lite.vsml_learner import check_stream

Weights = tuple[Tensor, ...]
BETAS, EPS = (0.9, 0.999), 1e-8


class Learnt(NamedTuple):
    """What an online learner is between two examples.

    Attributes
    ----------
    seen : int
        Examples seen.
    weights : tuple of Tensor
        W (B, O, I) and b (B, O) of each layer, the first layer first.
    moments : tuple
        Means of the gradients and of their squares, for Adam; else empty.
    """

    seen: int
    weights: Weights
    moments: tuple[Weights, ...] = ()


def predict(weights: Weights, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return what every layer hears, and the logits (B, O) of inputs (B, I).

    Between two layers stands tanh. Weights are as in `Learnt`.
    """
    heard: list[Tensor] = []
    y = x
    for W, b in zip(weights[::2], weights[1::2], strict=True):
        heard.append(y.tanh() if heard else x)
        y = read(W, heard[-1]) + b
    return heard, y


def backpropagate(weights: Weights, heard: list[Tensor], error: Tensor) -> Weights:
    """Return the gradient of the cross-entropy for every weight, in closed form.

    From the last layer to the first, x being what a layer hears ::

        slope of W = error ⊗ x,  slope of b = error
        error = (1 - x²) * (W^T error)

    Parameters
    ----------
    weights, heard
        As `predict` takes and returns them.
    error : Tensor, (B, O)
        ``softmax(logits) - target``.
    """
    slopes: list[Tensor] = []
    for layer in reversed(range(len(heard))):
        x = heard[layer]
        slopes = [error[:, :, None] * x[:, None], error, *slopes]
        if layer:
            error = (1 - x.square()) * read(weights[2 * layer].mT, error)
    return tuple(slopes)


def root(x: Tensor) -> Tensor:
    """Return the square root, whose slope at zero is taken to be zero."""
    some = x > 0
    return x.where(some, 1.0).sqrt() * some


class OnlineSGD(nn.Module):
    """Softmax regression, or a net with one hidden layer, that takes a step after each.

    With the gradient of the example that was just answered ::

        w = w - rate t^(-decay) d cross-entropy / d w           t = 1, 2, ...

    The logarithm of the rate and `decay`, which may have either sign, are parameters:
    `srwm_lite.training.fit` tunes them through the unrolled steps. The size is that of
    the stream.

    Parameters
    ----------
    hidden : int
        Hidden tanh units, drawn anew for every task with standard deviation
        ``1 / sqrt(fan in)``. With 0 there are none, and the weights start at zero.
    rate : float
        Learning rate to start from.
    per_input : bool
        Divide the rate by the number I of inputs: a step then changes the answer to
        its own example as much for any I, as it does where messages are averaged.

    Attributes
    ----------
    writes : bool
        Set to False to switch learning off: no error ever comes back.
    """

    def __init__(
        self, hidden: int = 0, rate: float = 0.1, *, per_input: bool = False
    ) -> None:
        super().__init__()
        backends.check_whole(0, hidden=hidden)
        backends.check_flag(per_input=per_input)
        self.per_input = per_input
        if not 0 < rate < math.inf:
            raise ValueError(f"rate must be positive: got {rate}; try 0.1")
        self.hidden, self.writes = hidden, True
        self.log_rate = nn.Parameter(torch.tensor(math.log(rate)))
        self.decay = nn.Parameter(torch.zeros(()))

    def extra_repr(self) -> str:
        """Name the hidden units."""
        return f"hidden={self.hidden}"

    def start(self, B: int, inputs: int, outputs: int) -> Learnt:
        """Draw the weights of B tasks that know nothing yet."""
        sizes = [inputs, *[self.hidden] * (self.hidden > 0), outputs]
        weights: list[Tensor] = []
        for fan_in, out in itertools.pairwise(sizes):
            W = self.log_rate.new_zeros(B, out, fan_in)
            if self.hidden:
                W.normal_(std=fan_in**-0.5)
            weights += [W, W.new_zeros(B, out)]
        return Learnt(0, tuple(weights), self.moments(tuple(weights)))

    def moments(self, weights: Weights) -> tuple[Weights, ...]:
        """Return what the rule remembers besides the weights: nothing."""
        return ()

    def forward(
        self, x: Tensor, targets: Tensor, state: Learnt | None = None
    ) -> tuple[Tensor, Learnt]:
        """Answer one example after the other, and learn from each afterwards.

        Parameters
        ----------
        x : Tensor, (B, T, I)
        targets : Tensor, (B, T, O)
            One 1 in each row.
        state : Learnt, optional
            What an earlier call returned, to go on with.

        Returns
        -------
        logits : Tensor, (B, T, O)
            Each answer is made before the step on its example.
        state : Learnt

        Raises
        ------
        ValueError
            If shapes, dtypes or devices disagree.
        """
        check_stream(x, targets)
        backends.check_alike(log_rate=self.log_rate, x=x)
        B, _, inputs = x.shape
        if state is None:
            state = self.start(B, inputs, targets.shape[2])
        first, last = state.weights[0], state.weights[-1]
        known, new = (B, first.shape[2], last.shape[1]), (B, inputs, targets.shape[2])
        if known != new or len(first) != B:
            raise ValueError(
                f"state must be of a stream of this size: got weights for (B, I, O) = "
                f"{(len(first), *known[1:])}, a stream of {new}; begin without state"
            )
        return scan(self.example, state, x, targets)

    def example(
        self, state: Learnt, x: Tensor, target: Tensor
    ) -> tuple[Learnt, Tensor]:
        """Answer one example (B, I), then take a step on it."""
        heard, logits = predict(state.weights, x)
        error = self.writes * (logits.softmax(dim=-1) - target)
        slopes = backpropagate(state.weights, heard, error)
        moments, ways = self.ways(state, slopes)
        rate = (self.log_rate - self.decay * math.log(state.seen + 1)).exp()
        rate = rate / x.shape[1] if self.per_input else rate
        pairs = zip(state.weights, ways, strict=True)
        weights = tuple(w - rate * way for w, way in pairs)
        return Learnt(state.seen + 1, weights, moments), logits

    def ways(
        self, state: Learnt, slopes: Weights
    ) -> tuple[tuple[Weights, ...], Weights]:
        """Return the moments, and the way to go against: here the gradient itself."""
        return (), slopes


class OnlineAdam(OnlineSGD):
    """What `OnlineSGD` is, with the steps of Adam [2].

    With g the gradient of the example ::

        m = 0.9 m + 0.1 g,        M = m / (1 - 0.9^t)
        s = 0.999 s + 0.001 g²,   S = s / (1 - 0.999^t)
        w = w - rate t^(-decay) M / (sqrt(S) + 1e-8)

    Parameters
    ----------
    hidden : int
        As in `OnlineSGD`.
    rate : float
        Learning rate to start from.
    """

    def __init__(self, hidden: int = 0, rate: float = 1e-3) -> None:
        super().__init__(hidden, rate)

    def moments(self, weights: Weights) -> tuple[Weights, ...]:
        """Return two zeros for each weight."""
        return (tuple(map(torch.zeros_like, weights)),) * 2

    def ways(
        self, state: Learnt, slopes: Weights
    ) -> tuple[tuple[Weights, ...], Weights]:
        """Return the new moments, and the way to go against."""
        a, b = BETAS
        t = state.seen + 1
        first, second = (zip(m, slopes, strict=True) for m in state.moments)
        means = tuple(a * m + (1 - a) * g for m, g in first)
        squares = tuple(b * s + (1 - b) * g.square() for s, g in second)
        short, long = 1 / (1 - a**t), (1 - b**t) ** -0.5
        pairs = zip(means, squares, strict=True)
        ways = tuple(short * m / (long * root(s) + EPS) for m, s in pairs)
        return (means, squares), ways
