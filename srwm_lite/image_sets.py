"""Small pictures in ten classes: digits, MNIST, Fashion-MNIST and Kuzushiji-MNIST.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_image_sets.py
Sources   [1] Digits, 8 x 8, of Alpaydin & Kaynak (1998), doi:10.24432/C50P49: bundled
              with scikit-learn (BSD), no network needed.
          [2] MNIST, LeCun, Cortes & Burges: CC BY-SA 3.0.
          [3] Fashion-MNIST, Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747: MIT.
          [4] KMNIST, Clanuwat et al. (2018), arXiv:1812.01718: CC BY-SA 4.0, made by
              CODH from the Kuzushiji Dataset of NIJL and others, doi:10.20676/00000341.

Shapes    n pictures of h x w pixels.

The three others give their files the same names, so each gets that of its set in front.
"""

import functools
import gzip
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from srwm_lite.arguments import check_whole
from srwm_lite.data import DataUnavailable, Source, fetch, folder

NAMES, PARTS = ("digits", "mnist", "fashion", "kmnist"), ("train", "test")
DIGITS = {"train": slice(0, 1297), "test": slice(1297, 1797)}
SIDE, IN_A_CLASS = 28, 90  # of the sprite: 3 rows of 30 for each class


class Stored(NamedTuple):
    """Pictures (n, h, w) from 0 to `most` and labels (n,), in whole numbers."""

    pictures: np.ndarray
    labels: np.ndarray
    most: int = 255


def _pair(name: str, stem: str, url: str, *checksums: str) -> tuple[Source, Source]:
    files = (f"{stem}-images-idx3-ubyte.gz", f"{stem}-labels-idx1-ubyte.gz")
    pictures, labels = (
        Source(f"{name}_{file}", url + file, f"sha256:{sha256}")
        for file, sha256 in zip(files, checksums, strict=True)
    )
    return pictures, labels


MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist/"
FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
KMNIST = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
SPRITE = Source(
    "fashion-mnist-sprite.png",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/doc/img/fashion-mnist-sprite.png",
    "sha256:a7de0a151f8c68e6e96f157a018ac290d1f6b0e7845892c3d7d85cb64961c3cb",
)
KMNIST_ARRAYS = tuple(
    Source(name, KMNIST + name, f"sha256:{sha256}")
    for name, sha256 in (
        (
            "kmnist-test-imgs.npz",
            "692d824896bec8f3c357ebf7a0fe904ed67ac632ce953d0b58f7fbef7bb27d87",
        ),
        (
            "kmnist-test-labels.npz",
            "660f13a4705431ea2a6391c41ecbe384cd0d932c595a101ec4f3b8989e785046",
        ),
    )
)
SOURCES: dict[tuple[str, str], tuple[tuple[Source, ...], ...]] = {
    ("mnist", "train"): (
        _pair(
            *("mnist", "train", MNIST),
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
    ),
    ("mnist", "test"): (
        _pair(
            *("mnist", "t10k", MNIST),
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    ("fashion", "train"): (
        _pair(
            *("fashion", "train", FASHION),
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
    ),
    ("fashion", "test"): (
        _pair(
            *("fashion", "t10k", FASHION),
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        (SPRITE,),
    ),
    ("kmnist", "train"): (
        _pair(
            *("kmnist", "train", KMNIST),
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        ),
    ),
    ("kmnist", "test"): (
        _pair(
            *("kmnist", "t10k", KMNIST),
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        KMNIST_ARRAYS,
    ),
}


def images(
    name: str, part: str = "test", size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return pictures of a data set and what they show, in the order of its files.

    ``"digits"`` needs no file: its first 1297 pictures are ``"train"``, the other 500
    ``"test"``. Of the other sets the files that lie in the folder for data are used:
    the official ones, or for the test part of ``"fashion"`` the picture of 900
    examples [3] and for that of ``"kmnist"`` the npz files [4]. If none lie there, the
    official ones are fetched.

    Parameters
    ----------
    name : str
        ``"digits"``, ``"mnist"``, ``"fashion"`` or ``"kmnist"``.
    part : str
        ``"train"`` or ``"test"``.
    size : int, optional
        Shrink or grow to that many pixels a side: every new pixel is the mean of the
        old ones that it touches (``interpolate(mode="area")`` of torch).

    Returns
    -------
    pictures : Tensor, (n, h, w)
        From 0 for paper to 1 for ink.
    labels : Tensor of integers, (n,)
        From 0 to 9.

    Raises
    ------
    ValueError
        If there is no such set, part or size.
    DataUnavailable
        If the data are not there and cannot be fetched, with what to put where.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {NAMES}: got {name!r}")
    if part not in PARTS:
        raise ValueError(f"part must be one of {PARTS}: got {part!r}")
    if size is not None:
        check_whole(1, size=size)
    stored = _digits(part) if name == "digits" else _filed(name, part, folder())
    pictures = torch.from_numpy(stored.pictures).float() / stored.most
    if size is not None:
        shape = (size, size)
        pictures = functional.interpolate(pictures[None], shape, mode="area")[0]
    return pictures, torch.tensor(stored.labels, dtype=torch.long)


def _digits(part: str) -> Stored:
    whole, chosen = _all_digits(), DIGITS[part]
    return Stored(whole.pictures[chosen], whole.labels[chosen], whole.most)


@functools.cache
def _all_digits() -> Stored:
    from sklearn.datasets import load_digits  # a second that only digits need

    digits = load_digits()
    return Stored(digits.images.astype(np.uint8), digits.target, most=16)


@functools.cache
def _filed(name: str, part: str, place: Path) -> Stored:
    """Read what lies in a folder, once."""
    kinds = SOURCES[name, part]
    here = [kind for kind in kinds if all((place / s.name).exists() for s in kind)]
    try:
        paths = [fetch(source) for source in (here or kinds)[0]]
    except DataUnavailable as error:
        raise DataUnavailable(f"{error}{_or_else(kinds[1:])}") from None
    return _read(*paths)


def _or_else(kinds: tuple[tuple[Source, ...], ...]) -> str:
    lines = [
        f"  {s.name}\n    from  {s.url}\n    with  {s.checksum}"
        for kind in kinds
        for s in kind
    ]
    return "\nThese serve as well:\n" + "\n".join(lines) if lines else ""


def _read(pictures: Path, labels: Path | None = None) -> Stored:
    if labels is None:
        return _sprite(pictures)
    read = _array if pictures.suffix == ".npz" else _idx
    stored = Stored(read(pictures, 3), read(labels, 1))
    if len(stored.pictures) != len(stored.labels):
        raise DataUnavailable(
            f"{pictures} holds {len(stored.pictures)} pictures, but {labels} "
            f"{len(stored.labels)} labels"
        )
    return stored


def _idx(path: Path, rank: int) -> np.ndarray:
    """Read bytes after a head of big-endian numbers: ``0x0800 + rank``, the shape."""
    whole = gzip.decompress(path.read_bytes())
    magic, *shape = np.frombuffer(whole[: 4 + 4 * rank], ">i4").tolist()
    size = len(whole) - 4 - 4 * rank
    if (magic, math.prod(shape)) != (0x0800 + rank, size):
        raise DataUnavailable(
            f"{path} must begin with {0x0800 + rank} and the shape of its {size} "
            f"bytes: got {magic} and {tuple(shape)}"
        )
    return np.frombuffer(whole, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


def _array(path: Path, rank: int) -> np.ndarray:
    with np.load(path) as arrays:
        array = arrays["arr_0"]
    if (array.ndim, array.dtype) != (rank, np.uint8):
        raise DataUnavailable(
            f"{path} must hold bytes of {rank} axes: got {array.dtype} {array.shape}"
        )
    return array


def _sprite(path: Path) -> Stored:
    """Cut one picture into its squares, row by row."""
    with Image.open(path) as picture:
        sheet = np.array(picture.convert("L"))
    rows, columns = (side // SIDE for side in sheet.shape)
    squares = sheet.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)
    pictures = squares.reshape(rows * columns, SIDE, SIDE)
    return Stored(pictures, np.arange(rows * columns) // IN_A_CLASS)
