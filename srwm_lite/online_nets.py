"""Learn online with nets of one size: what a learned learning algorithm must beat.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_online_learners.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905 (the baselines).
          [2] Hochreiter, Younger & Conwell (2001), "Learning to learn using gradient
          descent" (an LSTM that hears of its errors: the Meta RNN).
          [3] Miconi, Clune & Stanley (2018), arXiv:1804.02464 (plastic weights).

Shapes    B tasks, T examples of each, I inputs and O classes of the stream, N units.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from srwm_lite import backends
from srwm_lite.outer_product import read
from srwm_lite.scan import scan
from srwm_lite.vsml_learner import check_stream


class FixedSize(nn.Module):
    """A learner for `inputs` numbers and `classes` classes, and for no more.

    A smaller stream is filled up with zeros, and the logits of the classes that it
    does not have are cut off. Errors are those of the classes that it has.

    Attributes
    ----------
    writes : bool
        Set to False, and neither labels nor errors are told.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        backends.check_whole(1, inputs=inputs, classes=classes)
        self.inputs, self.classes, self.writes = inputs, classes, True

    def extra_repr(self) -> str:
        """Name the sizes."""
        return f"inputs={self.inputs}, classes={self.classes}"

    def forward(
        self, x: Tensor, targets: Tensor, state: Any = None
    ) -> tuple[Tensor, Any]:
        """Answer one example after the other, and hear of each afterwards.

        Parameters
        ----------
        x : Tensor, (B, T, I)
            At most `inputs` numbers in each example.
        targets : Tensor, (B, T, O)
            One 1 in each row, at most `classes` long.
        state : optional
            What an earlier call returned, to go on with.

        Returns
        -------
        logits : Tensor, (B, T, O)
            Each answer is made before its target is known.
        state

        Raises
        ------
        ValueError
            If shapes, dtypes or devices disagree, or the stream is too large.
        """
        check_stream(x, targets)
        backends.check_alike(weight=next(self.parameters()), x=x)
        if x.shape[2] > self.inputs or targets.shape[2] > self.classes:
            raise ValueError(
                f"a {type(self).__name__} cannot change its size: it was made for at "
                f"most (I, O) = {(self.inputs, self.classes)}, got a stream of "
                f"{(x.shape[2], targets.shape[2])}; make a larger one"
            )
        x = filled(x, self.inputs)
        return self.run(x, targets, self.start(x) if state is None else state)

    def start(self, x: Tensor) -> Any:
        """Return the state before the first of the examples `x`, (B, T, inputs)."""
        raise NotImplementedError

    def run(self, x: Tensor, targets: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Answer a stream; `x` (B, T, inputs) is filled up, targets (B, T, O) not."""
        return scan(self.example, state, x, targets)

    def example(self, state: Any, x: Tensor, target: Tensor) -> tuple[Any, Tensor]:
        """Answer one example, and keep what is then told of it."""
        raise NotImplementedError

    def nothing(self, x: Tensor) -> Tensor:
        """Return what is told before the first answer."""
        return x.new_zeros(len(x), 2 * self.classes)

    def told(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return what is told of an answer (B, O): error and target, filled up."""
        parts = logits.softmax(dim=-1) - target, target
        both = torch.cat([filled(part, self.classes) for part in parts], dim=-1)
        return self.writes * both


def filled(x: Tensor, size: int) -> Tensor:
    """Return `x` (..., n) with zeros behind it, (..., size)."""
    return functional.pad(x, (0, size - x.shape[-1]))


class MetaRNN(FixedSize):
    """An LSTM that hears of its errors: whatever it learns is in its activations [2].

    ::

        h, c = LSTM([x_t, softmax(logits_t-1) - target_t-1, target_t-1], h, c)
        logits_t = A h + b

    Parameters
    ----------
    inputs, classes : int
        Its size: smaller streams are filled up, larger ones refused.
    size : int
        Number N of units, 128 in [1].
    ticks : int
        How often it thinks before it speaks, 2 in [1].
    """

    def __init__(
        self, inputs: int, classes: int, size: int = 128, ticks: int = 2
    ) -> None:
        super().__init__(inputs, classes)
        backends.check_whole(1, size=size, ticks=ticks)
        self.ticks = ticks
        self.cell = nn.LSTMCell(inputs + 2 * classes, size)
        self.read_out = nn.Linear(size, classes)

    def extra_repr(self) -> str:
        """Name the sizes."""
        return f"{super().extra_repr()}, ticks={self.ticks}"

    def start(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return h, c and what was told, all zero."""
        h = x.new_zeros(len(x), self.cell.hidden_size)
        return h, h, self.nothing(x)

    def example(
        self, state: tuple[Tensor, ...], x: Tensor, target: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Answer one example (B, inputs), and keep what is then told of it."""
        h, c, told = state
        heard = torch.cat([x, told], dim=-1)
        for _ in range(self.ticks):
            h, c = self.cell(heard, (h, c))
        logits = self.read_out(h)[:, : target.shape[1]]
        return (h, c, self.told(logits, target)), logits


class Plastic(nn.Module):
    """A dense layer of which every weight has a fixed and a plastic part [3].

    ::

        y = (W + alpha * P) x + b                       * entry by entry
        P = (1 - eta) P + eta y ⊗ x                     Hebb
        P_ij = P_ij + eta y_i (x_j - y_i P_ij)          or Oja, which cannot explode

    W, b, alpha and eta are parameters; P is the memory of a task.

    Parameters
    ----------
    inputs, outputs : int
    oja : bool
    """

    def __init__(self, inputs: int, outputs: int, *, oja: bool = False) -> None:
        super().__init__()
        backends.check_flag(oja=oja)
        self.fixed, self.oja = nn.Linear(inputs, outputs), oja
        self.alpha = nn.Parameter(torch.full((outputs, inputs), 0.1))
        self.rate = nn.Parameter(torch.tensor(-4.5))

    def forward(self, P: Tensor, x: Tensor) -> Tensor:
        """Return y (B, outputs) for x (B, inputs)."""
        return self.fixed(x) + read(self.alpha * P, x)

    def change(self, P: Tensor, x: Tensor, y: Tensor, strength: float = 1.0) -> Tensor:
        """Return P (B, outputs, inputs) after x and y were active together."""
        eta = strength * self.rate.sigmoid()
        fading = y.square()[:, :, None] if self.oja else 1
        return P + eta * (y[:, :, None] * x[:, None] - fading * P)


class HebbianNet(FixedSize):
    """Two layers of plastic weights that change by Hebb's rule while it runs [3].

    ::

        h_t = tanh(P1 [x_t, told_t-1, h_t-1])           told: error and target
        logits_t = P2 h_t
        P1 hears [x_t, told_t-1, h_t-1] with h_t,  P2 hears h_t with *target_t*

    The rule and the coefficients of every weight are those of [3]. Ours are the two
    layers, one eta for each, and what clamps the second: its output counts as the
    target once that is known. With Oja's rule row c of its memory is then a running
    mean of h for class c.

    Parameters
    ----------
    inputs, classes : int
        Its size: smaller streams are filled up, larger ones refused.
    size : int
        Number N of hidden units.
    oja : bool
        Use Oja's rule instead of Hebb's.

    Attributes
    ----------
    writes : bool
        Set to False: nothing is told, and no plastic weight changes.
    """

    def __init__(
        self, inputs: int, classes: int, size: int = 64, *, oja: bool = False
    ) -> None:
        super().__init__(inputs, classes)
        backends.check_whole(1, size=size)
        self.hidden = Plastic(inputs + 2 * classes + size, size, oja=oja)
        self.read_out = Plastic(size, classes, oja=oja)

    def start(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return both memories, h and what was told, all zero."""
        layers = self.hidden, self.read_out
        memories = (x.new_zeros(len(x), *layer.alpha.shape) for layer in layers)
        size = self.read_out.alpha.shape[1]
        return *memories, x.new_zeros(len(x), size), self.nothing(x)

    def example(
        self, state: tuple[Tensor, ...], x: Tensor, target: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Answer one example (B, inputs), then let the target clamp the output."""
        P, Q, h, told = state
        heard = torch.cat([x, told, h], dim=-1)
        h = self.hidden(P, heard).tanh()
        logits = self.read_out(Q, h)[:, : target.shape[1]]
        P = self.hidden.change(P, heard, h, self.writes)
        Q = self.read_out.change(Q, h, filled(target, self.classes), self.writes)
        return (P, Q, h, self.told(logits, target)), logits
