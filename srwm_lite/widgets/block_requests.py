"""Join the accesses of single threads to what a warp asks for together.

Tests     tests/test_block_stepper.py
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

WARP = 32


class Request(NamedTuple):
    """What the threads of one warp read or write together: ``cells`` by thread."""

    interval: int
    warp: int
    line: int
    array: str
    access: str
    cells: dict[int, int]


def interval(events: Iterable[Any]) -> list[Request]:
    """Return the requests between two barriers; the warps take turns."""
    warps = defaultdict(list)
    for e in events:
        warps[e.thread // WARP].append(e)
    turns = zip_longest(*(requests(warps[w]) for w in sorted(warps)))
    return [r for turn in turns for r in turn if r is not None]


def requests(events: Sequence[Any]) -> list[Request]:
    """Join the accesses of a warp: n-th visits of its threads to a place are one."""
    queues: dict[int, list[Any]] = defaultdict(list)
    visits: Counter[Any] = Counter()
    for e in events:
        place = e.line, e.array, e.access
        queues[e.thread].append(((*place, visits[e.thread, place]), e.index))
        visits[e.thread, place] += 1
    expected = Counter(key for queue in queues.values() for key, _ in queue)
    at, found = dict.fromkeys(queues, 0), []
    when, warp = events[0].barrier, events[0].thread // WARP
    while at:
        heads = Counter(queues[thread][i][0] for thread, i in at.items())
        # wait until all that will come are there; else (loops crossed) take the most
        key = next(
            (k for k in heads if heads[k] == expected[k]), heads.most_common(1)[0][0]
        )
        there = [t for t, i in at.items() if queues[t][i][0] == key]
        cells = {t: queues[t][at[t]][1] for t in there}
        line, array, access, _ = key
        found.append(Request(when, warp, line, array, access, cells))
        expected[key] -= len(there)
        at = {t: i + (t in cells) for t, i in at.items()}
        at = {t: i for t, i in at.items() if i < len(queues[t])}
    return found


def runs(cells: Mapping[int, int]) -> list[int]:
    """Return thread, cell, length and step of each run, one after another."""
    rest, packed = sorted(cells.items()), []
    while rest:
        (thread, cell), n = rest[0], 1
        step = rest[1][1] - cell if len(rest) > 1 else 0
        while n < len(rest) and rest[n] == (thread + n, cell + n * step):
            n += 1
        packed += [thread, cell, n, step if n > 1 else 0]
        rest = rest[n:]
    return packed
