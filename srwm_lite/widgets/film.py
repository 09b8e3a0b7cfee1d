"""Films as the player needs them: checked, measured, packed into few bytes.

Tests     tests/test_weight_player.py

Shapes    T steps, V value size, K key size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float32]
SMALL = 2**15  # numbers in a film; from here on frames are quantised
MOST = 2**20
NAMES = {
    "linear_attention": "sum rule",
    "delta_rule": "delta rule",
    "gated_delta_rule": "gated delta rule",
}


@dataclass
class Reel:
    """One film, checked: arrays in float32, measures of every frame."""

    title: str
    W: Array
    labels: list[str]
    vectors: dict[str, Array]
    norm: Array = field(init=False)
    sigma: Array = field(init=False)

    def __post_init__(self) -> None:
        finite = np.asarray(np.isfinite(self.W).all(axis=(1, 2)))
        frames = np.where(finite[:, None, None], self.W, 0).astype(np.float64)
        sigma = np.linalg.svd(frames, compute_uv=False)[:, :8]
        norm = np.sqrt((frames**2).sum(axis=(1, 2)))
        self.norm = np.where(finite, norm, np.nan).astype(np.float32)
        self.sigma = np.where(finite[:, None], sigma, np.nan).astype(np.float32)

    @property
    def T(self) -> int:
        """Number of steps."""
        return len(self.W) - 1

    @property
    def V(self) -> int:
        """Number of rows."""
        return self.W.shape[1]

    @property
    def K(self) -> int:
        """Number of columns."""
        return self.W.shape[2]

    @property
    def scale(self) -> float:
        """Largest entry of all frames: the full colour."""
        return largest(self.W)

    @property
    def write_scale(self) -> float:
        """Largest entry of what was written or changed."""
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            changes = largest(np.diff(self.W, axis=0)) if self.T else 1.0
        if "k" not in self.vectors or "v" not in self.vectors:
            return changes
        beta = self.vectors.get("beta", np.ones(self.T, np.float32))
        k, v = self.vectors["k"], self.vectors["v"]
        written = np.abs(beta) * np.abs(k).max(axis=1) * np.abs(v).max(axis=1)
        return max(changes, largest(written))

    def words(self) -> str:
        """Say in one sentence what happens to the matrix."""
        head = f"{self.title}: matrix of {self.V} rows and {self.K} columns"
        bad = np.flatnonzero(~np.isfinite(self.norm))
        if len(bad):
            return f"{head}, no longer finite from step {bad[0]} on."
        rank = [int((s > 1e-3 * max(s[0], 1e-30)).sum()) for s in self.sigma[[0, -1]]]
        text = f"{head}, norm from {self.norm[0]:.2g} to {self.norm[-1]:.2g}"
        if self.T == 0:
            return text + "."
        change = np.linalg.norm(np.diff(self.W, axis=0), axis=(1, 2))
        rank_words = f", rank from {rank[0]} to {rank[1]}" if self.K <= 8 else ""
        # rounded first: equal changes must not be told apart by their last digit
        at = int(np.round(change / max(change.max(), 1e-30), 3).argmax()) + 1
        return f"{text}{rank_words}, largest change at step {at}."


def largest(x: NDArray[Any]) -> float:
    """Return the largest finite magnitude, 1 if all is zero."""
    return float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) or 1.0


def array(x: Any) -> Array:
    """Return `x` (Tensor, array, list) as float32."""
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu().double().numpy()
    with np.errstate(over="ignore"):
        return np.asarray(x, dtype=np.float64).astype(np.float32)


def reel(film: Any, labels: Sequence[str] | None, bare: Mapping[str, Any]) -> Reel:
    """Check a film, or bare matrices with the vectors in `bare`."""
    is_film = hasattr(film, "W")
    if hasattr(film, "film"):
        raise TypeError("a recording holds many films: choose one, recording.film(0)")
    needless = [name for name, x in bare.items() if is_film and x is not None]
    if needless:
        raise ValueError(
            f"{needless[0]} is already in the film: leave it out, or pass film.W"
        )
    W = array(film.W if is_film else film)
    if W.ndim != 3 or 0 in W.shape:
        raise ValueError(
            f"a film must have shape (T + 1, V, K), start included: got {W.shape}; "
            "choose one sequence and one head"
        )
    given = {n: getattr(film, n, None) if is_film else bare[n] for n in bare}
    vectors = {n: array(x) for n, x in given.items() if x is not None}
    T, V, K = len(W) - 1, *W.shape[1:]
    for name, shape in {"k": (T, K), "v": (T, V), "q": (T, K), "beta": (T,)}.items():
        if name in vectors and vectors[name].shape != shape:
            raise ValueError(
                f"{name} must have shape {shape} to fit W {W.shape}: "
                f"got {vectors[name].shape}"
            )
    idea = (
        str(getattr(film, "idea", "") or "fast weights") if is_film else "fast weights"
    )
    return Reel(NAMES.get(idea, idea), W, step_labels(film, labels, T), vectors)


def step_labels(film: Any, labels: Sequence[str] | None, T: int) -> list[str]:
    """Return one label per step; empty where there is none."""
    own = getattr(film, "labels", None)
    chosen = labels if labels is not None else own
    if not chosen:
        return [""] * T
    if len(chosen) != T:
        raise ValueError(f"labels must name T = {T} steps: got {len(chosen)} labels")
    return [str(label) for label in chosen]


def quantise(W: Array) -> tuple[NDArray[np.int8], Array]:
    """Keep what changed from frame to frame in 8 bits, each frame with its scale.

    The rounding error of a frame goes into the next change, so it never adds up: a
    frame is off by at most half a 127th of its largest change.

    Returns
    -------
    codes : array of int8, (T + 1, V, K)
    scales : array, (T + 1,)
        ``W_t = sum of scales_s codes_s, s = 0 ... t``.
    """
    codes, scales = np.empty(W.shape, np.int8), np.ones(len(W), np.float32)
    shown = np.zeros(W.shape[1:], np.float32)
    for t, frame in enumerate(W):
        scales[t] = np.float32(largest(frame - shown) / 127)
        codes[t] = np.rint((frame - shown) / scales[t]).clip(-127, 127)
        shown = shown + scales[t] * codes[t]
    return codes, scales


def frames(one: Reel) -> dict[str, NDArray[Any]]:
    """Return the frames in the form that travels: float32 if small, else quantised."""
    if one.W.size <= SMALL:
        return {"W": one.W}
    if one.W.size > MOST:
        raise ValueError(
            f"a film holds at most {MOST} numbers: got {one.W.shape} = {one.W.size}; "
            "take fewer steps or a smaller head"
        )
    bad = np.flatnonzero(~np.isfinite(one.W).all(axis=(1, 2)))
    if len(bad):
        raise ValueError(
            f"W is not finite from step {bad[0]} on: cut the film before it, "
            f"W[:{bad[0]}]"
        )
    codes, scales = quantise(one.W)
    return {"W": codes, "scales": scales}


class Row:
    """Arrays in one row of bytes, equal ones once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._known: dict[tuple[str, bytes], int] = {}

    def add(self, x: NDArray[Any]) -> dict[str, Any]:
        """Append an array; return what it is and where it lies."""
        kind, raw = x.dtype.name, x.tobytes()
        offset = self._known.setdefault((kind, raw), len(self.data))
        if offset == len(self.data):
            self.data += raw + b"\0" * (-len(raw) % 4)
        return {"kind": kind, "shape": list(x.shape), "offset": offset}


def pack(reels: Sequence[Reel]) -> tuple[bytes, list[dict[str, Any]]]:
    """Return all arrays in one row of bytes and where they lie."""
    row, described = Row(), []
    write_scale = max(one.write_scale for one in reels)
    scale = max(one.scale for one in reels)
    if write_scale > 0.35 * scale:
        write_scale = scale = max(write_scale, scale)
    for one in reels:
        measures = {"norm": one.norm, "sigma": one.sigma}
        whole = {**frames(one), **one.vectors, **measures}
        arrays = {name: row.add(x) for name, x in whole.items()}
        described.append(
            {
                "title": one.title,
                "T": one.T,
                "V": one.V,
                "K": one.K,
                "rank": one.sigma.shape[1],
                "labels": one.labels,
                "scale": scale,
                "writeScale": write_scale,
                "keyScale": largest(one.vectors.get("k", np.ones(1))),
                "valueScale": largest(one.vectors.get("v", np.ones(1))),
                "arrays": arrays,
            }
        )
    return bytes(row.data), described
