"""Keys and values for the memory bench: prepared pairs, and the reader's own.

Tests     tests/test_memory_bench.py

Shapes    K entries a key, V entries a value, each -1, 0 or 1.
"""

import random
from typing import Any

Pattern = list[int]
SIGNS = {"+": 1, ".": 0, "-": -1}
PICTURES = (  # three by three, told apart at a glance
    "-+-+++-+-",
    "+-+-+-+-+",
    "++++-++++",
    "+++-+--+-",
    "+--+--+++",
    "+---+---+",
    "---+++---",
    "+++--+--+",
    "+-++-++-+",
    "+++---+++",
    "--+-+-+--",
    "+-++++--+",
)


def own_pairs(keys: Any, values: Any, K: int, V: int) -> dict[str, Any]:
    """Check the pairs of the caller."""
    rows = {"keys": (keys, K), "values": (values, V)}
    if values is None or len(values) != len(keys):
        got = "none" if values is None else len(values)
        raise ValueError(f"keys and values must pair up: got {len(keys)} keys, {got}")
    for name, (patterns, size) in rows.items():
        for pattern in patterns:
            if len(pattern) != size or not set(pattern) <= {-1, 0, 1}:
                raise ValueError(
                    f"{name} must hold {size} entries of -1, 0 or 1 each: "
                    f"got {list(pattern)}"
                )
    lists = {name: [[int(x) for x in p] for p in rows[name][0]] for name in rows}
    return {"name": "your own", **lists}


def presets(K: int, V: int) -> list[dict[str, Any]]:
    """Return the prepared pairs: name, keys and values."""
    rng = random.Random(1)  # the same on every machine
    signs = [[rng.choice((-1, 1)) for _ in range(K)] for _ in range(K + 4)]
    keys = {"one-hot": one_hot(K), "orthogonal": orthogonal(K)}
    keys |= {"correlated": correlated(K), "random": signs}
    values = pictures(V, K + 4)
    return [
        {"name": name, "keys": some, "values": values[: len(some)]}
        for name, some in keys.items()
        if some
    ]


def one_hot(K: int) -> list[Pattern]:
    """Return keys with a single one each."""
    return [[int(i == j) for j in range(K)] for i in range(K)]


def orthogonal(K: int) -> list[Pattern]:
    """Return K orthogonal keys of signs, where K is a power of two; else none."""
    if K & (K - 1):
        return []
    return [[(-1) ** (i & j).bit_count() for j in range(K)] for i in range(K)]


def correlated(K: int) -> list[Pattern]:
    """Return keys that share the first half of their ones, and differ in one or two."""
    own = range(K // 2, K)
    marks = [{i} for i in own] + [{i, j} for i in own for j in own if i < j]
    return [[int(j < K // 2 or j in mark) for j in range(K)] for mark in marks][: K + 4]


def pictures(V: int, count: int) -> list[Pattern]:
    """Return values: pictures of three by three, else signs drawn once and for all."""
    rng = random.Random(2)
    if V == 9:
        drawn = [[SIGNS[c] for c in picture] for picture in PICTURES]
        return [drawn[i % len(drawn)] for i in range(count)]
    return [[rng.choice((-1, 1)) for _ in range(V)] for _ in range(count)]
