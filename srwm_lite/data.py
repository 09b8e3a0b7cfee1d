"""Data from elsewhere: fetched once, checked, kept; or put into a folder by hand.

Chapters  chapters/10_language_model.ipynb
Tests     tests/test_data.py

Nothing is fetched unless a reader asks for it, and every chapter runs without.
"""

import os
from pathlib import Path
from typing import NamedTuple

import pooch
import requests

FOLDER = "SRWM_LITE_DATA"


class DataUnavailable(RuntimeError):  # noqa: N818  (it is what it says)
    """A file is not here, is not the right one, or could not be fetched."""


class Source(NamedTuple):
    """Where a file comes from.

    Attributes
    ----------
    name : str
        What it is called in the folder.
    url : str
    checksum : str
        ``sha256:...``, ``sha1:...`` or ``md5:...``.
    """

    name: str
    url: str
    checksum: str


def folder() -> Path:
    """Return where data lie: ``SRWM_LITE_DATA``, or the cache of the user."""
    return Path(os.environ.get(FOLDER) or pooch.os_cache("srwm_lite")).expanduser()


def fetch(source: Source) -> Path:
    """Return the path of a file, fetched with a progress bar if it is not there.

    A file that lies in `folder` already is checked and used at once, without a
    network. A file with other contents is never used, and never replaced.

    Raises
    ------
    DataUnavailable
        If there is no right file, with what to put where.
    """
    path = folder() / source.name
    if path.exists():
        _check(source, path)
        return path
    bar = os.environ.get("SRWM_LITE_PROGRESS") != "0"
    try:
        pooch.retrieve(
            source.url, source.checksum, source.name, folder(), progressbar=bar
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise DataUnavailable(
            f"{source.name} is not in the folder for data, and could not be fetched "
            f"({_reason(error)}).\n{_by_hand(source, path)}"
        ) from None
    return path


def _check(source: Source, path: Path) -> None:
    kind, wanted = source.checksum.split(":")
    found = pooch.file_hash(str(path), alg=kind) if path.is_file() else "no file"
    if found != wanted:
        raise DataUnavailable(
            f"{path} is not the {source.name} that is meant: its {kind} is {found}, so "
            f"it was not used. Move it away, and it is fetched.\n"
            f"{_by_hand(source, path)}"
        )


def _reason(error: Exception) -> str:
    """Return one short line; what pooch says of a wrong checksum names another path."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return f"the server said {answer.status_code}"
    if isinstance(error, ValueError):
        return "what came has the wrong checksum"
    return f"{type(error).__name__}: is there a network?"


def _by_hand(source: Source, path: Path) -> str:
    return (
        "Put it there by hand:\n"
        f"  from  {source.url}\n"
        f"  to    {path}\n"
        f"  with  {source.checksum}\n"
        f"or set {FOLDER} to a folder that holds {source.name}."
    )
