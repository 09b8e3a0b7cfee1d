"""A network of VSML layers that learns while it runs: predict, be told, predict.

Chapter   chapters/14_vsml.ipynb
Kernel    kernels/vsml.cpp, launched by kernels/vsml.py
Tests     tests/test_vsml_learner.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, section 3 and appendix.

Shapes    B tasks, T examples of each, I inputs, O classes, N size of a state, M size of
          a message.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from srwm_lite import backends
from srwm_lite.scan import scan
from srwm_lite.vsml import State, SubRNN, vsml_step

Learner = Callable[..., tuple[Tensor, Any]]
IN, ERROR = 0, 0  # slots of a message: the input forward, the error back
OUT, LABEL = 1, 1  # and the answer forward, the label back


class Memory(NamedTuple):
    """What a network is between two examples.

    Attributes
    ----------
    states : tuple
        The states of the cells, one for each layer.
    backs : tuple of Tensor, (B, O, M)
        The messages that come back to each layer with the next example.
    """

    states: tuple[State, ...]
    backs: tuple[Tensor, ...]


class VSML(nn.Module):
    """Layers of cells that share one `SubRNN`, and learn from errors they are told [1].

    With every example a layer hears what the layer before says *now*, and what the
    layer behind it said with the example *before*. The last layer hears the error
    ``softmax(logits) - target`` of the example before. So an answer is given before
    anything is known of its error, and no gradient is computed while it learns.

    Parameters
    ----------
    cell : SubRNN, optional
    hidden : sequence of int
        Units between the layers; a single layer if empty.
    reduce : str
        ``"mean"`` or ``"sum"``.
    feed_label : bool
        Tell the label of the example before, too.

    Attributes
    ----------
    writes : bool
        Set to False to switch learning off: no error and no label ever comes back.
    """

    def __init__(
        self,
        cell: SubRNN | None = None,
        *,
        hidden: Sequence[int] = (),
        reduce: str = "mean",
        feed_label: bool = False,
    ) -> None:
        super().__init__()
        self.cell = SubRNN() if cell is None else cell
        backends.check_flag(feed_label=feed_label)
        backends.check_whole(2, message_size=self.cell.message_size)
        backends.check_whole(1, **{f"hidden_{i}": n for i, n in enumerate(hidden)})
        self.hidden, self.reduce, self.feed_label = tuple(hidden), reduce, feed_label
        self.writes = True

    def start(self, B: int, inputs: int, outputs: int) -> Memory:
        """Draw a network that knows nothing yet."""
        sizes = [inputs, *self.hidden, outputs]
        grids = list(pairwise(sizes))
        M = self.cell.message_size
        states = tuple(self.cell.start(B, *grid) for grid in grids)
        backs = tuple(self.cell.weight.new_zeros(B, out, M) for _, out in grids)
        return Memory(states, backs)

    def forward(
        self,
        x: Tensor,
        targets: Tensor,
        memory: Memory | None = None,
        *,
        backend: str = "auto",
    ) -> tuple[Tensor, Memory]:
        """Answer one example after the other, and hear of each error afterwards.

        Parameters
        ----------
        x : Tensor, (B, T, I)
        targets : Tensor, (B, T, O)
            One 1 in each row; the number O of classes may differ from call to call.
        memory : Memory, optional
            What an earlier call returned, to go on with.
        backend : str
            ``"auto"``, ``"loop"``, or ``"fused"`` for one layer on the CPU, see
            `srwm_lite.backends.choose`.

        Returns
        -------
        logits : Tensor, (B, T, O)
            Each answer is made before the error of its example is known.
        memory : Memory

        Raises
        ------
        ValueError
            If shapes, dtypes or devices disagree.
        """
        check_stream(x, targets)
        backends.check_alike(weight=self.cell.weight, x=x)
        B, _, inputs = x.shape
        if memory is None:
            memory = self.start(B, inputs, targets.shape[2])
        run = self._choose(backend)
        if run == self._loop:
            return run(x, targets, memory)
        return _fused(run, self, x, targets, memory)

    def _choose(self, backend: str) -> Callable[..., Any]:
        if not self._plain and backend != "loop":
            if backend == "auto":
                return self._loop
            raise backends.BackendUnavailableError(
                f"backend {backend!r} computes one layer of shared cells that take "
                "means: use backend='loop'"
            )
        loop = {"loop": self._loop}
        return backends.choose("vsml", backend, loop, self.cell.weight)

    @property
    def _plain(self) -> bool:
        return not self.hidden and not self.cell.grid and self.reduce == "mean"

    def _loop(self, x: Tensor, targets: Tensor, memory: Memory) -> tuple[Tensor, Any]:
        return scan(self.example, memory, x, targets)

    def example(self, memory: Memory, x: Tensor, target: Tensor) -> tuple[Memory, Any]:
        """Answer one example (B, I), then send its error (B, O) to the last layer."""
        M = self.cell.message_size
        fwd, states, sent = message(M, {IN: x}), [], []
        for state, back in zip(memory.states, memory.backs, strict=True):
            state, (fwd, down) = vsml_step(
                self.cell, state, fwd, back, reduce=self.reduce
            )
            states.append(state)
            sent.append(down)
        logits = squash(fwd[..., OUT])
        told = {ERROR: self.writes * (logits.softmax(dim=-1) - target)}
        if self.feed_label:
            told[LABEL] = self.writes * target
        return Memory(tuple(states), (*sent[1:], message(M, told))), logits


def _fused(
    run: Callable[..., Any], net: VSML, x: Tensor, targets: Tensor, memory: Memory
) -> tuple[Tensor, Memory]:
    """Hand a single layer to the compiled stream, see kernels/vsml.py."""
    cell, ((h, c),), (back,) = net.cell, *memory
    slots = float(net.writes), float(net.writes and net.feed_label)
    logits, h, c, back = run(
        x,
        targets,
        (h, c, back),
        (cell.weight, cell.bias, cell.forward_weight[OUT], cell.forward_bias[OUT]),
        ticks=cell.ticks,
        shifts=(cell.input_shift, cell.forget_shift),
        told=slots,
    )
    return logits, Memory(((h, c),), (back,))


def message(size: int, slots: dict[int, Tensor]) -> Tensor:
    """Put numbers (B, I) into slots of messages (B, I, M), the rest being zero."""
    zero = torch.zeros_like(next(iter(slots.values())))
    return torch.stack([slots.get(i, zero) for i in range(size)], dim=-1)


def squash(logits: Tensor, most: float = 100.0) -> Tensor:
    """Return ``100 tanh(logits / 100)``: no answer is surer than that."""
    return most * (logits / most).tanh()


def check_stream(x: Tensor, targets: Tensor) -> None:
    """Raise ``ValueError`` unless `x` (B, T, I) and `targets` (B, T, O) agree."""
    backends.check_rank("BTI", x=x)
    backends.check_rank("BTO", targets=targets)
    backends.check_agree("BT", x=x, targets=targets)
    backends.check_alike(x=x, targets=targets)
    if 0 in (*x.shape[1:], targets.shape[2]):
        raise ValueError(
            f"the stream is empty: T, I and O must be positive, got x "
            f"{tuple(x.shape)}, targets {tuple(targets.shape)}"
        )


def online_loss(learner: Learner, x: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of all answers of a stream, in nats."""
    logits, _ = learner(x, targets)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1))


def online_curve(learner: Learner, x: Tensor, targets: Tensor) -> Tensor:
    """Return the share of right answers at each example, (T,)."""
    logits, _ = learner(x, targets)
    right = logits.argmax(dim=-1) == targets.argmax(dim=-1)
    return right.float().mean(dim=0)


def online_accuracy(learner: Learner, x: Tensor, targets: Tensor) -> Tensor:
    """Return the share of right answers over all examples."""
    return online_curve(learner, x, targets).mean()
