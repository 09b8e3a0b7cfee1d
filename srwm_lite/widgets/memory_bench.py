"""A matrix that the reader writes into by hand, computed where it is shown.

Chapter   chapters/01_outer_product.ipynb, chapters/05_delta_rule.ipynb
Module    memory_bench.js and the modules it imports; memory_rules.js computes
Tests     tests/test_memory_bench.py, tests/test_widgets_browser.py

Shapes    V value size, K key size; W (V, K).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from srwm_lite.delta_rule import gated_delta_step
from srwm_lite.feature_maps import unit_norm
from srwm_lite.outer_product import read, write
from srwm_lite.widgets.house import HouseWidget, blank, draw_matrix, module, style
from srwm_lite.widgets.patterns import own_pairs, presets

RULES = ("sum", "delta")


class MemoryBench(HouseWidget):
    """Let the reader write pairs into a matrix, read them back and see crosstalk.

    Parameters
    ----------
    K, V : int
        Key and value size, 1 to 16; ``V = 9`` gets little pictures as values.
    keys, values : sequence of sequences of -1, 0 or 1, or Tensor (N, K), optional
        Pairs of your own, offered beside the prepared ones.
    preset : str, optional
        The pairs to begin with: "one-hot", "orthogonal" (K = 2, 4, 8, 16),
        "correlated", "random", or "your own".
    rule : {"sum", "delta"}
    beta : float
        Write strength of the delta rule, 0 to 2.
    alpha : float
        What each write keeps of the old matrix, 0 to 1.
    unit_keys : bool
        Whether keys are divided by their length.
    written : int
        How many pairs are already written when the reader arrives.

    Attributes
    ----------
    matrix : list of lists of float
        The matrix of the reader, while a kernel is connected; see `W`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    _esm = module("memory_bench")
    _css = style("house", "memory_bench")

    K = traitlets.Int(8).tag(sync=True)
    V = traitlets.Int(9).tag(sync=True)
    presets = traitlets.List(traitlets.Dict()).tag(sync=True)
    preset = traitlets.Unicode().tag(sync=True)
    rule = traitlets.Unicode("sum").tag(sync=True)
    beta = traitlets.Float(1.0).tag(sync=True)
    alpha = traitlets.Float(1.0).tag(sync=True)
    unit_keys = traitlets.Bool(True).tag(sync=True)
    written = traitlets.Int(0).tag(sync=True)
    matrix: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        K: int = 8,
        V: int = 9,
        *,
        keys: Any = None,
        values: Any = None,
        preset: str | None = None,
        rule: str = "sum",
        beta: float = 1.0,
        alpha: float = 1.0,
        unit_keys: bool = True,
        written: int = 0,
    ) -> None:
        keys, values = listed("keys", keys), listed("values", values)
        if keys is None and values is not None:
            raise ValueError("values need keys to stand under: give keys as well")
        if keys is not None:
            K = len(keys[0]) if len(keys) else 0
            V = len(values[0]) if values else V
        check_range("K", K, 1, 16)
        check_range("V", V, 1, 16)
        check_range("beta", beta, 0, 2)
        check_range("alpha", alpha, 0, 1)
        if rule not in RULES:
            raise ValueError(f"rule must be 'sum' or 'delta': got {rule!r}")
        offered = presets(K, V)
        if keys is not None:
            offered.insert(0, own_pairs(keys, values, K, V))
        names = [one["name"] for one in offered]
        preset = names[0] if preset is None else preset
        if preset not in names:
            raise ValueError(
                f"preset must be one of {', '.join(names)} for K = {K}: got {preset!r}"
            )
        pairs = offered[names.index(preset)]
        check_range("written", written, 0, len(pairs["keys"]))
        settings = {"rule": rule, "beta": beta, "alpha": alpha, "unit_keys": unit_keys}
        super().__init__(
            K=K, V=V, presets=offered, preset=preset, written=written, **settings
        )
        self.matrix = self._store(written).tolist()

    @property
    def W(self) -> Tensor:
        """The matrix as it stands, (V, K)."""
        return torch.tensor(self.matrix, dtype=torch.float64)

    def _pairs(self) -> tuple[Tensor, Tensor]:
        pairs = next(one for one in self.presets if one["name"] == self.preset)
        keys, values = torch.tensor(pairs["keys"]), torch.tensor(pairs["values"])
        keys = keys.double()
        return (unit_norm(keys) if self.unit_keys else keys), values.double()

    def _store(self, count: int) -> Tensor:
        W = torch.zeros(self.V, self.K, dtype=torch.float64)
        beta, alpha = (torch.tensor(x, dtype=W.dtype) for x in (self.beta, self.alpha))
        for k, v in zip(*(x[:count] for x in self._pairs()), strict=True):
            if self.rule == "sum":
                W = write(alpha * W, k, v)
            else:
                W, _ = gated_delta_step(W, k, k, v, beta, alpha)
        return W

    def words(self) -> str:
        """Say what stands on the bench."""
        rule = "sum" if self.rule == "sum" else f"delta rule, beta {self.beta:g}"
        decay = f", alpha {self.alpha:g}" if self.alpha < 1 else ""
        held = f"{self.written} pairs written" if self.written else "empty"
        return (
            f"Memory bench: a matrix of {self.V} rows and {self.K} columns to write "
            f"into by hand, {rule}{decay}, {self.preset} keys, {held}."
        )

    def picture(self) -> Figure:
        """Draw the matrix after some writes, and what it answers to four keys."""
        keys, values = self._pairs()
        count = self.written or min(len(keys), self.K)
        W, shown = self._store(count), min(4, count)
        figure = blank(7.2, 2.6)
        halves: Any = figure.subfigures(1, 2, width_ratios=[1, 1.6])
        left, right = halves
        scale = float(W.abs().max()) or 1.0
        draw_matrix(left.subplots(), W.numpy(), scale, f"W after {count} writes")
        axes = right.subplots(2, shown, squeeze=False)
        block = (-1, block_columns(self.V))
        for i in range(shown):
            y = read(W, keys[i])
            top = max(1.0, float(y.abs().max()))
            wanted, answer = (x.reshape(block).numpy() for x in (values[i], y))
            draw_matrix(axes[0][i], wanted, 1, f"wanted {i + 1}")
            draw_matrix(axes[1][i], answer, top, f"answer {i + 1}")
        return figure


def listed(name: str, patterns: Any) -> list[list[Any]] | None:
    """Return patterns, given as lists or a tensor, as lists."""
    if patterns is None:
        return None
    rows = [p.tolist() if hasattr(p, "tolist") else p for p in patterns]
    if not all(isinstance(row, Sequence) for row in rows):
        raise ValueError(f"{name} must be a list of patterns, such as [[1, 0], [0, 1]]")
    return [list(row) for row in rows]


def check_range(name: str, x: float, low: float, high: float) -> None:
    """Raise ``ValueError`` unless ``low <= x <= high``."""
    if not low <= x <= high:
        raise ValueError(f"{name} must be from {low} to {high}: got {x}")


def block_columns(n: int) -> int:
    """Return how many columns show n cells as a block."""
    cols = math.ceil(math.sqrt(n))
    while n % cols:
        cols += 1
    return cols
