"""Record the fast weights of any layer while it runs, without touching its result.

Chapter   every chapter; first used in chapters/01_outer_product.ipynb
Tests     tests/test_trace.py

Shapes    B batch, T time, H heads, K key size, V value size. A film is one element of
          the batch and one head, so its tensors carry neither B nor H.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srwm_lite import backends
from srwm_lite.outer_product import read
from srwm_lite.scan import unroll


@dataclass(frozen=True, eq=False)
class Film:
    """The fast weights over time, with everything that was written into them.

    The start is a frame of its own: ``W[t]`` is the memory after `t` writes, and the
    tensors without it begin at the first write.

    Attributes
    ----------
    idea : str
        Which rule ran, such as ``"delta_rule"``.
    name : str
        Which layer ran it.
    W : Tensor, (T + 1, V, K)
    q, k : Tensor, (T, K)
    v, y : Tensor, (T, V)
    error : Tensor, (T, V)
        ``v - W k`` just before the write, after the decay if there is one.
    beta, alpha : Tensor, (T,), or None
        Write strength and decay, where the rule has them.
    z : Tensor, (T + 1, K), or None
        Sum of the keys, where linear attention is normalised; no row of `W`.
    """

    idea: str
    name: str
    W: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    y: Tensor
    error: Tensor
    beta: Tensor | None = None
    alpha: Tensor | None = None
    z: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of steps T."""
        return len(self.k)

    def __repr__(self) -> str:
        V, K = self.W.shape[1:]
        return f"Film({self.name}: {self.idea}, T={len(self)}, V={V}, K={K})"

    @property
    def norms(self) -> Tensor:
        """Return the Frobenius norm of every frame, (T + 1,)."""
        return self.W.flatten(1).norm(dim=-1)

    @property
    def changes(self) -> Tensor:
        """Return what each step added to the memory, decay included, (T, V, K)."""
        return self.W.diff(dim=0)

    @property
    def singular_values(self) -> Tensor:
        """Return the singular values of every frame, largest first, (T + 1, min(V, K)).

        Computed in float64; a frame with an infinity or NaN in it has NaN.
        """
        W = self.W.double()
        finite = W.isfinite().all(dim=-1).all(dim=-1)
        values = torch.linalg.svdvals(torch.where(finite[:, None, None], W, 0))
        return values.masked_fill(~finite[:, None], torch.nan)

    def rank(self, tol: float = 1e-4) -> Tensor:
        """Count the singular values above `tol` times the largest, (T + 1,)."""
        values = self.singular_values
        return (values > tol * values[:, :1]).sum(dim=-1)


class Recording:
    """The sequences that ran inside `record`, in their order."""

    def __init__(self) -> None:
        self.calls: list[backends.Call] = []
        self.names: list[str] = []
        self.running: list[str] = []

    def __len__(self) -> int:
        """Return the number of recorded sequences."""
        return len(self.calls)

    def __repr__(self) -> str:
        return f"Recording({', '.join(self.names)})"

    def listen(self, call: backends.Call) -> None:
        """Keep a copy of `call`, cut off from the graph and from later changes."""
        state, inputs = call.state, call.inputs
        copies = {name: x.detach().clone() for name, x in inputs.items()}
        self.calls.append(call._replace(state=state.detach().clone(), inputs=copies))
        stem, dot, part = call.idea.partition(".")
        name = (self.running[-1] if self.running else stem) + dot + part
        runs = 1 + sum(other.split("#")[0] == name for other in self.names)
        self.names.append(name if runs == 1 else f"{name}#{runs}")

    def film(self, layer: int | str = 0, batch: int = 0, head: int = 0) -> Film:
        """Return the film of one recorded sequence.

        The states are computed again with the readable step, so they agree with the
        backend that ran up to rounding.

        Parameters
        ----------
        layer : int or str
            Place in the order of the calls, or one of `names`. The second run of the
            same layer is called ``"name#2"``.
        batch, head : int
            Which element of the batch, and which head.

        Raises
        ------
        IndexError
            If there is no such layer, element or head; says what there is.
        """
        place = self._place(layer)
        call = self.calls[place]
        B, H = call.state.shape[:2]
        batch, head = _index("batch", batch, B), _index("head", head, H)
        state = call.state[batch, head][None, None]
        inputs = {
            name: x[batch, :, head][None, :, None] for name, x in call.inputs.items()
        }
        with torch.no_grad():
            return _film(call._replace(state=state, inputs=inputs), self.names[place])

    def _place(self, layer: int | str) -> int:
        if not self.calls:
            raise IndexError(
                "nothing was recorded: run a layer or a sequence function inside the "
                "with block"
            )
        if isinstance(layer, str) and layer in self.names:
            return self.names.index(layer)
        if isinstance(layer, int) and -len(self) <= layer < len(self):
            return layer
        there = ", ".join(f"{i} {name!r}" for i, name in enumerate(self.names))
        raise IndexError(f"no layer {layer!r} was recorded: there are {there}")


def _index(what: str, index: int, size: int) -> int:
    if not -size <= index < size:
        raise IndexError(f"{what} {index} does not exist: use 0 to {size - 1}")
    return index


def _film(call: backends.Call, name: str) -> Film:
    one = {key: x[0, :, 0] for key, x in call.inputs.items()}
    states, reads = [call.state[0]], [one["v"][:0]]
    for state, y_t in unroll(call.step, call.state, *call.inputs.values()):
        states.append(state[0])
        reads.append(y_t[0])
    W, y, z = torch.cat(states), torch.cat(reads), None
    if call.normalise:
        W, z = W[:, :-1], W[:, -1]
        y, total = y[:, :-1], y[:, -1:]
        y = y / total.masked_fill(total == 0, 1)
        one["v"] = one["v"][:, :-1]
    alpha = one.get("alpha")
    before = W[:-1] if alpha is None else alpha[:, None, None] * W[:-1]
    error = one["v"] - read(before, one["k"])
    return Film(call.idea, name, W, y=y, error=error, z=z, **one)


@contextmanager
def record(model: nn.Module | None = None) -> Iterator[Recording]:
    """Record every sequence that runs inside the ``with`` block.

    Parameters
    ----------
    model : nn.Module, optional
        Whose layers to name in the recording, such as ``"blocks.0.mix"``; without it
        the recorded sequences are named after their rule.

    Yields
    ------
    Recording
        ``len(rec)`` sequences; ``rec.film(layer=0, batch=0, head=0)`` is one of them.
    """
    recording = Recording()
    with ExitStack() as undo:
        if model is not None:
            _name_layers(model, recording.running, undo)
        backends.recorders.append(recording.listen)
        undo.callback(backends.recorders.remove, recording.listen)
        yield recording


def _name_layers(model: nn.Module, running: list[str], undo: ExitStack) -> None:
    """Keep the names of the modules that are running in `running`, innermost last."""

    def enter(name: str, module: nn.Module) -> None:
        def push(*_: object) -> None:
            running.append(name)

        def pop(*_: object) -> None:
            running.pop()

        undo.callback(module.register_forward_pre_hook(push).remove)
        undo.callback(module.register_forward_hook(pop, always_call=True).remove)

    for name, module in model.named_modules():
        enter(name or type(module).__name__, module)
