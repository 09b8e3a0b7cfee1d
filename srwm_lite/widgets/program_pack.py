"""A program, its answers and its films, packed for the page.

Tests     tests/test_program_stepper.py
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srwm_lite import trace
from srwm_lite.outer_product import read
from srwm_lite.widgets.film import Row, array, largest
from srwm_lite.widgets.program_film import Run, most, written
from srwm_lite.widgets.program_script import Script

TOP = 4  # answers told for each print
MOST = 360_000  # bytes of films in a page
FINEST = 2**15 - 1


def pack(
    script: Script, answers: Sequence[str], made: Sequence[Run], layer: int = 0
) -> tuple[bytes, dict[str, Any]]:
    """Return the films as bytes, and everything else as plain lists.

    The page writes each matrix again from keys, values and strengths, in 16 bits: they
    are fewer than the frames. Where the films are too many, some stay at home: those
    of other layers than `layer`, then those of the switched runs.

    Returns
    -------
    data : bytes
    story : dict

    Raises
    ------
    ValueError
        If the films of `layer` alone are too many.
    """
    data, films, kept = _fit(made, layer)
    lists = [told(one, answers) for one in made]
    for one, packed in zip(lists, films, strict=False):
        one["films"] = packed
    story = {
        "pieces": script.pieces,
        "lines": [[*line[1:], did] for line, did in script.told],
        "names": script.names,
        "values": [[v.get(name) for name in script.names] for v in script.values],
        "prints": [[p.line, p.token, answers[p.due]] for p in script.prints],
        "matrices": described(kept),
        "runs": lists,
    }
    return data, story


def _fit(
    made: Sequence[Run], layer: int
) -> tuple[bytes, list[list[Any]], Sequence[Run]]:
    """Pack as many films as there is room for."""
    narrow = [
        replace(one, matrices=[m for m in one.matrices if m.layer == layer])
        for one in made
    ]
    for kept in made, narrow, made[:1], narrow[:1]:
        row = Row()
        films = [[film(m.film, row) for m in one.matrices] for one in kept]
        if len(row.data) <= MOST:
            return bytes(row.data), films, kept
    raise ValueError(
        f"the films of one layer take {len(row.data)} bytes, at most {MOST} fit into a "
        "page: take fewer statements, or a smaller model"
    )


def film(one: trace.Film, row: Row) -> dict[str, Any]:
    """Pack what a film was made of."""
    given = {"q": one.q, "k": one.k, "v": one.v, "beta": one.beta, "alpha": one.alpha}
    arrays = {name: array(x) for name, x in given.items() if x is not None}
    return {name: coded(x, row) for name, x in arrays.items()}


def coded(x: NDArray[np.float32], row: Row) -> dict[str, Any]:
    """Pack an array in 16 bits: ``x = grain * codes``."""
    grain = largest(x) / FINEST
    return row.add(np.rint(x / grain).astype(np.int16)) | {"grain": grain}


def described(kept: Sequence[Run]) -> list[dict[str, Any]]:
    """Say of every matrix what it is, and what full colour means, in all runs."""
    lists = []
    for same in zip(*(one.matrices for one in kept), strict=True):
        first, films = same[0], [m.film for m in same]
        V, K = first.film.W.shape[1:]
        lists.append(
            {
                "layer": first.layer,
                "letter": first.letter,
                "head": first.head,
                "V": V,
                "K": K,
                "scale": most(f.W for f in films),
                "keyScale": most(x for f in films for x in (f.q, f.k)),
                "readScale": most(read(f.W[1:], f.q) for f in films),
                "writeScale": most(written(f) for f in films),
            }
        )
    return lists


def told(one: Run, answers: Sequence[str]) -> dict[str, Any]:
    """Return a run as plain lists: the likeliest answers to every print."""
    best = one.chances.topk(min(TOP, len(answers)), dim=-1)
    pairs = [
        [[answers[n], round(p, 4)] for n, p in zip(places, values, strict=True)]
        for values, places in zip(*(x.tolist() for x in best), strict=True)
    ]
    return {
        "title": one.title,
        "off": list(one.off),
        "right": one.right,
        "stray": one.stray,
        "top": pairs,
        "films": [],
    }
