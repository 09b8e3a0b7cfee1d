"""What the stepper of the self-referential matrix checks, records and says.

Tests     tests/test_srwm_stepper.py

Shapes    T steps, K input size, V output size, C answers; W (V + 2 K + 4, K).
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from srwm_lite import trace
from srwm_lite.outer_product import read
from srwm_lite.self_reference import BLOCKS, self_reference

MOST = {"T": 64, "K": 16, "V": 64}


def numbers(name: str, shape: str, x: Any) -> Tensor:
    """Return a matrix in float64; raise unless it is one and finite."""
    x = torch.as_tensor(x, dtype=torch.float64).detach()
    if x.dim() != 2 or 0 in x.shape:
        raise ValueError(f"{name} must have shape ({shape}): got {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError(f"{name} must be finite: it holds an infinity or NaN")
    return x


def check_sizes(u: Tensor, W: Tensor) -> tuple[int, int]:
    """Return T and V; raise unless `u` and `W` fit each other and the screen."""
    (T, K), (rows, columns) = u.shape, W.shape
    V = rows - 2 * K - 4
    if columns != K or V < 1:
        raise ValueError(
            f"W must have shape (V + 2 K + 4, K) = ({2 * K + 5} or more, {K}) to fit u "
            f"{tuple(u.shape)}: got W {tuple(W.shape)}"
        )
    for name, size in {"T": T, "K": K, "V": V}.items():
        if size > MOST[name]:
            raise ValueError(f"{name} must be at most {MOST[name]}: got {size}")
    return T, V


def check_read_out(read_out: Any, V: int) -> Tensor:
    """Return `read_out` (C, V) in float64; raise unless it reads an output."""
    R = numbers("read_out", "C, V", read_out)
    if R.shape[1] != V:
        raise ValueError(
            f"read_out must have shape (C, V) with V = {V}: got {tuple(R.shape)}"
        )
    return R


def named(names: Sequence[str] | None, count: int) -> list[str]:
    """Return the names of the answers."""
    if names is None:
        return [str(n) for n in range(count)]
    return counted("names", names, count, "answers of read_out")


def counted(name: str, words: Sequence[str], count: int, what: str) -> list[str]:
    """Return `words` as a list; raise unless there are as many as of `what`."""
    if isinstance(words, str) or len(words) != count:
        raise ValueError(
            f"{name} must be a list of {count} words, one for each of the {what}: "
            f"got {words!r}"
        )
    return [str(word) for word in words]


def films(u: Tensor, W: Tensor, frozen: Collection[str]) -> list[trace.Film]:
    """Run the sequence, and return the films of the blocks y, q, k and beta."""
    with trace.record() as recording:
        self_reference(u[None, :, None], W[None, None], frozen=frozen, backend="loop")
    return [recording.film(f"srwm.{block}") for block in BLOCKS]


def rates_of(made: Sequence[trace.Film]) -> Tensor:
    """Return the four learning rates that the matrix makes, frozen or not, (T, 4)."""
    rows = made[-1]
    return read(rows.W[:-1], rows.q).sigmoid()


def listed(values: Iterable[Any]) -> str:
    """Write one number for each block."""
    return ", ".join(f"{b} {x:.2g}" for b, x in zip(BLOCKS, values, strict=True))


def moved(film: trace.Film) -> Tensor:
    """Return ``|X_t - X_0| / |X_0|``, (T + 1,); a block of zeros never moves."""
    start = film.norms[0]
    shift = (film.W - film.W[0]).flatten(1).norm(dim=-1)
    return shift / start if start else shift
