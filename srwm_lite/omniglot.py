"""Omniglot: 1623 characters of 50 alphabets, each drawn by 20 people.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_omniglot.py
Sources   [1] Lake, Salakhutdinov & Tenenbaum (2015), Science 350, 1332: the data, MIT
              licence, https://github.com/brendenlake/omniglot.
          [2] Vinyals et al. (2016), arXiv:1606.04080: the split, as torchmeta lists it.
          [3] The same pictures in two npz files, as
              https://github.com/bitsandscraps/omniglot makes them from [1].

Shapes    C characters (classes). A character has a number in [1], from 1 to 1623, with
          which the names of its pictures begin; the npz files keep this order.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from srwm_lite.arguments import check_whole
from srwm_lite.data import Source, fetch, folder
from srwm_lite.strokes import WIDTH, centred, ink

CHARACTERS, BACKGROUND, DRAWINGS, SIDE = 1623, 964, 20, 105
VALIDATION = {  # first and last number of the five alphabets of [2]
    "Armenian": (27, 67),
    "Bengali": (132, 177),
    "Early_Aramaic": (251, 272),
    "Hebrew": (466, 487),
    "Mkhedruli_(Georgian)": (729, 769),
}
TEST = 1201  # the first number of the test of [2]: Gurmukhi, character 42
PARTS = {"vinyals": ("train", "val", "test"), "lake": ("train", "test")}
ZIPPED = tuple(
    Source(
        f"images_{part}.zip",
        f"https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_{part}.zip",
        f"md5:{md5}",
    )
    for part, md5 in (
        ("background", "68d2efa1b9178cc56df9314c21c6e718"),
        ("evaluation", "6b91aef0f799c5bb55b94e3f2daec811"),
    )
)
PACKED = tuple(
    Source(
        f"omniglot_images_{part}.npz",
        f"https://raw.githubusercontent.com/bitsandscraps/omniglot/b048124/images_{part}.npz",
        f"sha256:{sha256}",
    )
    for part, sha256 in (
        (
            "background",
            "8bf84167413cd00beacdce3fe582f780ab538d8dbef043a6d688f2527bbce199",
        ),
        (
            "evaluation",
            "0b84c7ffd94c4841c0040e529c86a82eaaccb986d8eadad5673f7991b7475276",
        ),
    )
)


def omniglot(part: str = "train", size: int = 28, *, split: str = "vinyals") -> Tensor:
    """Return the pictures of one part of Omniglot: ink is 1, paper 0.

    A picture of 105 x 105 pixels is shrunk by area: every new pixel is the mean of the
    old ones that it touches (``interpolate(mode="area")`` of torch), rounded to 1/255.
    The first call reads the official zip files, fetched if they are not there, or the
    npz files [3] if both lie in the folder for data; it leaves the small pictures there
    for the next call.

    Parameters
    ----------
    part : str
        ``"train"``, ``"val"`` or ``"test"``.
    size : int
        Pixels of a side, up to 105.
    split : str
        ``"vinyals"`` [2]: 1028, 172 and 423 characters; ``"lake"`` [1]: ``"train"``
        has the 964 of the background set, ``"test"`` the 659 of the evaluation set.

    Returns
    -------
    Tensor, (C, 20, size, size)
        In the order of the numbers of [1].

    Raises
    ------
    ValueError
        If there is no such part, split or size.
    DataUnavailable
        If the data are not there and cannot be fetched, with what to put where.
    """
    chosen = members(part, split)
    check_whole(1, size=size)
    if size > SIDE:
        raise ValueError(f"size must be at most {SIDE}, that of Omniglot: got {size}")
    return _small(size)[chosen].float() / 255


def redrawn(part: str = "train", size: int = 28, dots: int = 320) -> Tensor:
    """Return the same characters as the page of chapter 12 draws them.

    Some of the inked pixels of a drawing are moved to the middle, made as wide or high
    as the characters of `srwm_lite.strokes`, and drawn with half as thick a pen, since
    the lines have a thickness already.

    Parameters
    ----------
    part, size
        As in `omniglot`.
    dots : int
        How many points a drawing keeps.

    Returns
    -------
    Tensor, (C, 20, size, size)
    """
    check_whole(1, size=size, dots=dots)
    pictures = omniglot(part, SIDE)
    drawn = []
    for character in pictures:
        places = torch.stack([_dotted(one, dots) for one in character])
        drawn.append(ink(centred(places)[:, 0], size, WIDTH / 2))
    return torch.stack(drawn)


def _dotted(picture: Tensor, dots: int) -> Tensor:
    """Return places (x, y) of ink, spread over all of it, (1, dots, 2)."""
    places = picture.nonzero().flip(-1).float()
    return places[None, torch.linspace(0, len(places) - 1, dots).long()]


def members(part: str, split: str = "vinyals") -> Tensor:
    """Return the characters of a part, counted from 0 in the order of [1], (C,)."""
    if split not in PARTS:
        raise ValueError(f"split must be one of {tuple(PARTS)}: got {split!r}")
    if part not in PARTS[split]:
        raise ValueError(f"part of {split!r} must be in {PARTS[split]}: got {part!r}")
    number = torch.arange(1, CHARACTERS + 1)
    if split == "lake":
        test, val = number > BACKGROUND, torch.zeros(CHARACTERS, dtype=torch.bool)
    else:
        inside = [(number >= a) & (number <= b) for a, b in VALIDATION.values()]
        test, val = number >= TEST, torch.stack(inside).any(dim=0)
    return {"train": ~(test | val), "val": val, "test": test}[part].nonzero()[:, 0]


def _small(size: int) -> Tensor:
    """Return all pictures at one size, (1623, 20, size, size), whole numbers to 255."""
    path = folder() / f"omniglot_{size}.npz"
    kept = _kept(path, (CHARACTERS, DRAWINGS, size, size))
    if kept is None:
        kept = np.stack([_shrunk(paper, size) for paper in _characters()])
        _keep(path, kept)
    return torch.from_numpy(kept)


def _shrunk(paper: np.ndarray, size: int) -> np.ndarray:
    """Turn drawings, True for paper, into ink on fewer pixels."""
    ink = torch.from_numpy(~paper).float()[None]
    small = functional.interpolate(ink, size=(size, size), mode="area")[0]
    return (255 * small).round().to(torch.uint8).numpy()


def _characters() -> Iterator[np.ndarray]:
    """Yield the drawings of every character, (20, 105, 105), True for paper."""
    packed = all((folder() / source.name).exists() for source in PACKED)
    paths = [fetch(source) for source in (PACKED if packed else ZIPPED)]
    for path in paths:
        if packed:
            with np.load(path) as arrays:
                yield from arrays["images"]
        else:
            yield from _unzipped(path)


def _unzipped(path: Path) -> Iterator[np.ndarray]:
    """Read ``.../0108_01.png``: drawing 1 of character 108."""
    with ZipFile(path) as files:
        names = [name for name in files.namelist() if name.endswith(".png")]
        names.sort(key=os.path.basename)
        for i in range(0, len(names), DRAWINGS):
            drawings = names[i : i + DRAWINGS]
            yield np.stack([_decoded(files.read(name)) for name in drawings])


def _decoded(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        return np.array(picture.convert("1"))


def _kept(path: Path, shape: tuple[int, ...]) -> Any:
    """Return what an earlier call left; None if it is not there, or not whole."""
    try:
        with np.load(path) as arrays:
            ink = arrays["ink"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return ink if ink.shape == shape and ink.dtype == np.uint8 else None


def _keep(path: Path, ink: np.ndarray) -> None:
    """Leave small pictures for the next call, where the folder can be written."""
    unfinished = path.with_suffix(f".{os.getpid()}.npz")
    try:
        np.savez_compressed(unfinished, ink=ink)
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
