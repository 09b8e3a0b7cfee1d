"""Put figures into words: what a reader who does not see the picture needs.

Chapter   every chapter, as the alternative text of its figures
Tests     tests/test_plots.py

The words are made from the data, so they cannot contradict the picture. Numbers are
rounded to few digits, ties upward, so that the last bits of a sum do not show.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

import torch
from torch import Tensor

from srwm_lite.plots.data import Series, as_groups, as_matrix, as_series
from srwm_lite.trace import Film

FEW = 36
WHOLE = 100_000


def number(x: float | Tensor, digits: int = 3) -> str:
    """Write `x` with at most `digits` significant digits, ties away from zero.

    Whole numbers below 100,000 stay whole. Others are first rounded to three digits
    more: 0.12499999 and 0.125 are the same number to us, and become 0.13 with two.
    """
    x = float(x)
    if x != x or x in (float("inf"), float("-inf")):
        return {"nan": "not a number", "inf": "infinity"}.get(str(x), "minus infinity")
    if x == round(x) and abs(x) < WHOLE:
        return f"{int(x)}"
    exact = Decimal(f"{x:.{digits + 2}e}")
    if exact == 0:
        return "0"
    step = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    rounded = exact.quantize(step, ROUND_HALF_UP).normalize()
    if -5 < rounded.adjusted() < 7:
        return f"{rounded:f}"
    mantissa, power = f"{rounded:e}".split("e")
    return f"{mantissa}e{int(power)}"


def count(n: int, one: str) -> str:
    """Write a number of things: ``1 step``, ``2 steps``."""
    return f"{n} {one}" if n == 1 else f"{n} {one}s"


def listing(parts: Iterable[str]) -> str:
    """Join words as a sentence does: ``a, b and c``."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def largest(W: Tensor) -> tuple[int, ...]:
    """Return the place of the entry that is largest in size, the first of equals."""
    size = W.abs().flatten()
    first = int((size >= size.max() * (1 - 1e-6)).nonzero()[0])
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(first), W.shape))


def describe_matrix(W: object, name: str = "matrix") -> str:
    """Describe a matrix: its size, its range, its largest entry; small ones in full.

    Parameters
    ----------
    W : array-like, (V, K)
    name : str
        What to call it.
    """
    W = as_matrix(W)
    V, K = W.shape
    words = f"{name[:1].upper()}{name[1:]}, {count(V, 'row')} by {count(K, 'column')}"
    if not W.isfinite().all():
        bad = int((~W.isfinite()).sum())
        return (
            f"{words}: {count(bad, 'entry').replace('entrys', 'entries')} not finite."
        )
    if not W.any():
        return f"{words}: all entries are 0."
    if W.numel() <= FEW:
        rows = "; ".join(" ".join(number(x) for x in row) for row in W.tolist())
        return f"{words}: {rows}."
    i, j = largest(W)
    zeros = int((W == 0).sum())
    return (
        f"{words}. Entries from {number(W.min())} to {number(W.max())}; "
        f"{zeros or 'none'} of {W.numel()} are 0. The largest in size is "
        f"{number(W[i, j])}, in row {i + 1}, column {j + 1}."
    )


def describe_matrices(Ws: Sequence[object], titles: Sequence[str]) -> str:
    """Describe several matrices that stand side by side."""
    each = " ".join(describe_matrix(W, t) for W, t in zip(Ws, titles, strict=True))
    return f"{len(Ws)} matrices side by side. {each}"


def describe_curves(
    x: object,
    series: Series,
    xlabel: str = "x",
    ylabel: str = "y",
    *,
    runs: str = "seeds",
) -> str:
    """Describe curves: their range, first and last order, crossings and spread.

    Parameters
    ----------
    x : array-like, (points,)
    series : mapping from name to array-like, (points,) or (seeds, points)
    xlabel, ylabel : str
        What the axes show.
    runs : str
        What the rows of a series are, such as ``"copies"`` of a model.
    """
    at, curves = as_series(x, series)
    means = {name: y.mean(dim=0) for name, y in curves.items()}
    ends = f"from {number(at[0])} to {number(at[-1])}"
    words = [f"{count(len(means), 'curve')} of {ylabel} against {xlabel}, {ends}."]
    for place in (0, -1) if len(at) > 1 else (0,):
        words.append(f"At {number(at[place])}: {_order(means, place)}.")
    words += [_shape(name, at, y) for name, y in means.items()]
    words += _crossings(at, means)
    return " ".join(filter(None, [*words, _spread(curves, runs)]))


def _order(means: Mapping[str, Tensor], place: int) -> str:
    values = {name: float(y[place]) for name, y in means.items()}
    falling = sorted(values, key=lambda name: -float(number(values[name])))
    return listing(f"{name} {number(values[name])}" for name in falling)


def _shape(name: str, at: Tensor, y: Tensor) -> str:
    """Say how a curve gets from its first to its last point."""
    steps = y.diff()
    slack = 1e-6 * float(y.abs().max())
    if len(y) < 3 or not y.isfinite().all():
        return ""
    if (steps.abs() <= slack).all():
        return f"{name} stays the same."
    if (steps >= -slack).all():
        return f"{name} never falls."
    if (steps <= slack).all():
        return f"{name} never rises."
    top, low = largest(y - y.min())[0], largest(y - y.max())[0]
    return (
        f"{name} is lowest at {number(at[low])} ({number(y[low])}) and highest at "
        f"{number(at[top])} ({number(y[top])})."
    )


def _crossings(at: Tensor, means: Mapping[str, Tensor]) -> list[str]:
    names, words = list(means), []
    noise = 1e-6 * max(float(y.abs().max()) for y in means.values())
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            gap = means[a] - means[b]
            ahead = torch.where(gap.abs() > noise, gap, 0).sign()
            told = ahead.nonzero()[:, 0]
            for s, t in zip(told[:-1].tolist(), told[1:].tolist(), strict=True):
                if ahead[s] != ahead[t]:
                    over, under = (a, b) if ahead[t] > 0 else (b, a)
                    where = f"{number(at[s])} and {number(at[t])}"
                    words.append(f"{over} passes {under} between {where}.")
    if len(words) > 4:
        return [f"The curves change places {len(words)} times."]
    return words


def _spread(curves: Mapping[str, Tensor], runs: str) -> str:
    """Say how much the runs differ, if there is more than one."""
    rows = max(len(y) for y in curves.values())
    if rows == 1:
        return ""
    most = max(float((y.amax(0) - y.amin(0)).max()) for y in curves.values())
    return f"Means of {rows} {runs}, which differ by at most {number(most, 2)}."


def describe_bars(groups: Series, ylabel: str = "value", *, runs: str = "seeds") -> str:
    """Describe bars from the highest to the lowest, with the range over the runs."""
    values = as_groups(groups)
    means = {name: float(y.mean()) for name, y in values.items()}
    parts = []
    for name in sorted(means, key=lambda name: -float(number(means[name]))):
        y, few = values[name], number(means[name])
        spread = f"{number(y.min())} to {number(y.max())} over {len(y)} {runs}"
        parts.append(f"{name} {few}" + (f" ({spread})" if len(y) > 1 else ""))
    return f"{count(len(parts), 'bar')} of {ylabel}: {listing(parts)}."


def describe_film(film: Film) -> str:
    """Describe how a matrix fills: its size, rank, largest write and largest error."""
    T, (V, K) = len(film), film.W.shape[1:]
    rule = film.idea.replace("_", " ")
    words = [f"The fast weights of {rule}, {V} by {K}, over {count(T, 'step')}."]
    if not T or not film.W.isfinite().all():
        return " ".join([*words, "Not all of them are finite." if T else ""]).strip()
    norms, ranks = film.norms.double(), film.rank().tolist()
    peak = largest(norms)[0]
    t, i, j = largest(film.changes.double())
    errors = film.error.double().norm(dim=-1)
    worst = largest(errors)[0]
    words += [
        f"Their norm goes from {number(norms[0])} to {number(norms[-1])}, the largest "
        f"is {number(norms[peak])} after step {peak}.",
        f"The rank goes from {ranks[0]} to {ranks[-1]}.",
        f"The largest change is {number(film.changes[t, i, j])}, at step {t + 1} in "
        f"row {i + 1}, column {j + 1}.",
        f"Before the writes the memory is wrong by at most {number(errors[worst])}, at "
        f"step {worst + 1}.",
    ]
    return " ".join(words)


def describe_spectrum(values: object) -> str:
    """Describe singular values over time, (T + 1, n), largest first."""
    S = as_matrix(torch.atleast_2d(torch.as_tensor(values)))
    when = f"over {count(len(S) - 1, 'step')}" if len(S) > 1 else "of one matrix"
    last = listing(number(s) for s in S[-1, :8].tolist())
    more = f" and {S.shape[1] - 8} smaller ones" if S.shape[1] > 8 else ""
    return (
        f"{count(S.shape[1], 'singular value')} {when}. The largest goes from "
        f"{number(S[0, 0])} to {number(S[-1, 0])}. At the end they are {last}{more}."
    )
