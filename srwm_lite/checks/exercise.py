"""What an exercise is: a reference, what it gets, and the mistakes that are known."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

Function = Callable[..., Any]
Sizes = Mapping[str, int]


def _with_rows(sizes: dict[str, int]) -> Sizes:
    """Add R, the rows of a self-referential matrix, and the sizes of a grid."""
    rows = {"R": sizes["V"] + 2 * sizes["K"] + 4}
    grid = {"I": sizes["K"], "O": sizes["V"], "N": sizes["M"], "4N": 4 * sizes["M"]}
    return {**sizes, **rows, **grid}


SIZES: tuple[Sizes, ...] = tuple(
    _with_rows(dict(zip("BTHKVM", sizes, strict=True)))
    for sizes in (
        (2, 5, 3, 4, 4, 6),
        (3, 4, 2, 3, 5, 2),
        (2, 3, 2, 5, 2, 5),
        (1, 1, 1, 2, 3, 3),
    )
)
SMALL = tuple(
    _with_rows({"B": B, "T": T, "H": 1, "K": 2, "V": V, "M": 1})
    for B, T, V in itertools.product((1, 2), (1, 2, 3), (2, 3))
)
RANGES = {
    "": "",
    "positive": ", all positive",
    "strength": " from 0 to 1",
    "unit": ", of length one",
    "number": ", a whole number from 1 to 3",
    "counts": ", whole numbers, the first not zero",
}


class Mistake(NamedTuple):
    """A usual error: what it is called, how to see it, and a function that makes it."""

    name: str
    hint: str
    function: Function


class Tensors(NamedTuple):
    """A tensor that goes into or comes out of an exercise: ``"T K positive"``."""

    name: str
    axes: tuple[str, ...]
    kind: str

    @classmethod
    def parse(cls, name: str, spec: str) -> "Tensors":
        """Read a shape and, after it, one of the words in `RANGES`."""
        *axes, last = spec.split() or [""]
        if last in RANGES:
            return cls(name, tuple(axes), last)
        return cls(name, (*axes, last), "")

    def check(self) -> None:
        """Raise ``ValueError`` if it cannot be drawn."""
        unknown = set(self.axes) - SIZES[0].keys()
        if unknown:
            raise ValueError(
                f"{self.name}: no axis {', '.join(sorted(unknown))}; axes are "
                f"{' '.join(SIZES[0])}, kinds are {' '.join(filter(None, RANGES))}"
            )

    def __str__(self) -> str:
        if self.kind == "number":
            return self.name + RANGES[self.kind]
        return f"{self.name} {self.letters}{RANGES[self.kind]}"

    @property
    def letters(self) -> str:
        """Return the shape in letters, such as ``(T, K)``."""
        return f"({', '.join(self.axes)}{',' if len(self.axes) == 1 else ''})"

    def shape(self, sizes: Sizes) -> tuple[int, ...]:
        """Return the shape for these sizes."""
        return tuple(sizes[axis] for axis in self.axes)

    def draw(self, sizes: Sizes, generator: Generator) -> Any:
        """Draw a random one in float64."""
        x = torch.randn(self.shape(sizes), generator=generator, dtype=torch.float64)
        if self.kind == "number":
            return int(torch.randint(1, 4, (), generator=generator))
        if self.kind == "unit":
            return x / x.norm(dim=-1, keepdim=True)
        kinds = {"": x, "positive": x.exp(), "strength": x.sigmoid()}
        return kinds.get(self.kind, _counts(x.exp().floor()))

    def draw_small(self, sizes: Sizes, generator: Generator) -> Any:
        """Draw one of small whole numbers, to be followed by hand."""
        if self.kind == "number":
            return 1
        shape = self.shape(sizes)
        if self.kind == "strength":
            return torch.randint(1, 4, shape, generator=generator).double() / 4
        if self.kind == "counts":
            return _counts(torch.randint(4, shape, generator=generator).double())
        if self.kind == "unit":
            places = torch.randint(shape[-1], shape[:-1], generator=generator)
            return torch.eye(shape[-1], dtype=torch.float64)[places]
        low = 1 if self.kind == "positive" else -2
        return torch.randint(low, 4, shape, generator=generator).double()


def _counts(x: Tensor) -> Tensor:
    first = torch.arange(x.shape[-1]) == 0 if x.dim() else torch.ones(())
    return x + first


class Exercise(NamedTuple):
    """A function that the reader writes.

    Attributes
    ----------
    name, task : str
        What it is called, and what it does, in one sentence.
    reference : callable
        The right answer.
    inputs, outputs : tuple of Tensors
    mistakes : tuple of Mistake
        The first whose answer agrees with the reader's is named.
    """

    name: str
    task: str
    reference: Function
    inputs: tuple[Tensors, ...]
    outputs: tuple[Tensors, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def call(self) -> str:
        """Return how it is called, such as ``write(W, k, v) -> W``."""
        gets = ", ".join(x.name for x in self.inputs)
        return f"{self.name}({gets}) -> {', '.join(x.name for x in self.outputs)}"

    def trials(self) -> Iterator[tuple[Sizes, tuple[Any, ...]]]:
        """Yield random arguments of several shapes, always the same ones."""
        generator = Generator().manual_seed(2021)
        for sizes in (*SIZES, *SIZES[:2]):
            yield sizes, tuple(x.draw(sizes, generator) for x in self.inputs)

    def small_trials(self) -> Iterator[tuple[Sizes, tuple[Any, ...]]]:
        """Yield arguments of small whole numbers, the smallest shapes first."""
        generator = Generator().manual_seed(1991)
        for sizes in SMALL:
            for _ in range(8):
                yield sizes, tuple(x.draw_small(sizes, generator) for x in self.inputs)


registry: dict[str, Exercise] = {}


def register(
    name: str,
    task: str,
    reference: Function,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    mistakes: Sequence[tuple[str, str, Function]] = (),
) -> Exercise:
    """Add an exercise, so that `srwm_lite.checks.check` knows it.

    Parameters
    ----------
    name, task : str
    reference : callable
        Takes the inputs in their order; returns the output, or a tuple of them.
    inputs, outputs : mapping from name to str
        Shapes in the letters of the book, ``"T K"``, ``""`` for a scalar. After it may
        stand ``positive``, ``strength`` (0 to 1), ``unit`` (length one), ``counts``
        (whole numbers) or, alone, ``number`` (a Python int from 1 to 3).
    mistakes : sequence of (name, hint, function)

    Raises
    ------
    ValueError
        If a shape has unknown letters, or another exercise has that name.
    """
    if name in registry:
        raise ValueError(f"there is an exercise {name!r} already: choose another name")
    drawn = tuple(Tensors.parse(x, spec) for x, spec in inputs.items())
    for tensor in drawn:
        tensor.check()
    registry[name] = Exercise(
        name,
        task,
        reference,
        drawn,
        tuple(Tensors.parse(x, spec) for x, spec in outputs.items()),
        tuple(Mistake(*mistake) for mistake in mistakes),
    )
    return registry[name]


def outer(v: Tensor, k: Tensor) -> Tensor:
    """Return ``v ⊗ k``, (..., V, K)."""
    return v[..., :, None] * k[..., None, :]


def times(W: Tensor, k: Tensor) -> Tensor:
    """Return ``W k``, (..., V)."""
    return (W @ k[..., None])[..., 0]


def over_time(step: Function) -> Function:
    """Run ``step(W, q, k, v) -> (W, y)`` over (T, ...) from an empty memory."""

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        W, ys = q.new_zeros(v.shape[-1], k.shape[-1]), []
        for q_t, k_t, v_t in zip(q, k, v, strict=True):
            W, y = step(W, q_t, k_t, v_t)
            ys.append(y)
        return torch.stack(ys)

    return run
