"""Real text: what every Python carries, a file of the reader, WikiText-2.

Chapters  chapters/10_language_model.ipynb
Tests     tests/test_text.py
Sources   [1] The Python documentation, which comes with Python (PSF licence).
          [2] Merity et al. (2017), arXiv:1609.07843 (WikiText-2, CC BY-SA 3.0).
          [3] Karpathy (2015), char-rnn (tiny Shakespeare, public domain).
"""

import hashlib
import importlib
import platform
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srwm_lite.data import DataUnavailable, Source, fetch, folder

_EXAMPLES = "https://raw.githubusercontent.com/pytorch/examples/main"
_WIKITEXT = f"{_EXAMPLES}/word_language_model/data/wikitext-2"
WIKITEXT = {
    "train": Source(
        "wikitext-2-train.txt",
        f"{_WIKITEXT}/train.txt",
        "sha1:863f29c46ef9d167fff4940ec821195882fe29d1",
    ),
    "valid": Source(
        "wikitext-2-valid.txt",
        f"{_WIKITEXT}/valid.txt",
        "sha256:f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    ),
    "test": Source(
        "wikitext-2-test.txt",
        f"{_WIKITEXT}/test.txt",
        "sha256:d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    ),
}
SHAKESPEARE = Source(
    "tinyshakespeare.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


@dataclass(frozen=True)
class Text:
    """A text, and where it is from.

    Attributes
    ----------
    name : str
    content : str
    """

    name: str
    content: str

    @property
    def sha256(self) -> str:
        """Number of the content: the same number, the same text."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    def __str__(self) -> str:
        size = f"{len(self.content):,} characters"
        return f"{self.name}: {size}, sha256 {self.sha256[:8]}"

    def __repr__(self) -> str:
        return f"<Text {self}>"


def python_text() -> Text:
    """Return the language reference of this Python, as ``help()`` knows it [1].

    It is English prose of some 400,000 characters, with grammar and examples. Python
    repeats whole chapters of it under several names: each paragraph is kept once, else
    a test text would stand in the training text. Other versions of Python have other
    texts; the name says which this is.

    Raises
    ------
    DataUnavailable
        If this Python came without ``pydoc_data``, as small distributions do.
    """
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except ImportError:
        raise DataUnavailable(
            "this Python came without the module pydoc_data, whose text we read. "
            "Install the full Python (Debian and Ubuntu: apt install python3; conda: "
            "conda install python), or name a text of yours: read_text('my.txt')"
        ) from None
    content = without_repeats("\n\n".join(topics[name] for name in sorted(topics)))
    return Text(f"pydoc_data of Python {platform.python_version()}", content)


def without_repeats(text: str) -> str:
    """Keep the first of all paragraphs that are equal up to their indentation."""
    kept: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        kept.setdefault(" ".join(paragraph.split()), paragraph.rstrip())
    kept.pop("", None)
    return "\n\n".join(kept.values()) + "\n"


def read_text(path: str | Path) -> Text:
    """Return the text of a file, or of all ``.txt`` files of a folder, by their names.

    Parameters
    ----------
    path : path
        Looked for here, then in the folder ``SRWM_LITE_DATA``.

    Raises
    ------
    DataUnavailable
        If there is no such file, or nothing in it.
    ValueError
        If it is not text in UTF-8.
    """
    found = next(filter(Path.exists, (Path(path), folder() / path)), None)
    if found is None:
        raise DataUnavailable(
            f"there is no {path}, neither here nor in {folder()}: give the path of a "
            "text file, or set SRWM_LITE_DATA to the folder that holds it"
        )
    files = sorted(found.glob("*.txt")) if found.is_dir() else [found]
    content = "\n".join(map(_decode, files))
    if not content.strip():
        raise DataUnavailable(f"{found} holds no text: name a .txt file with words")
    return Text(found.name, content)


def _decode(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not text in UTF-8, see byte {error.start}: save it as UTF-8"
        ) from None


def shakespeare() -> Text:
    """Return a million characters of Shakespeare [3], fetched at the first call."""
    return Text("tiny Shakespeare", _decode(fetch(SHAKESPEARE)))


def wikitext(part: str) -> Text:
    """Return the ``"train"``, ``"valid"`` or ``"test"`` part of WikiText-2 [2].

    Fetched at the first call, and checked. Its words stand apart, rare ones are
    ``<unk>`` already: cut it with `srwm_lite.language_model.spaced`.

    Raises
    ------
    DataUnavailable
        Without a network, with what to put where.
    """
    if part not in WIKITEXT:
        raise ValueError(f"part must be one of {', '.join(WIKITEXT)}: got {part!r}")
    return Text(f"WikiText-2 {part}", _decode(fetch(WIKITEXT[part])))


def repeated(first: str, second: str, length: int = 50) -> float:
    """Return the share of pieces of `second`, of that length, that stand in `first`.

    The measure of how far a test text can be copied from the training text.
    """
    seen = set(_pieces(first, length))
    pieces = list(_pieces(second, length))
    return sum(p in seen for p in pieces) / max(1, len(pieces))


def _pieces(text: str, length: int) -> Iterable[str]:
    return (text[i : i + length] for i in range(len(text) - length + 1))


def occurrences(
    text: str, known: str = "", pattern: str = r"[A-Za-z_]{5,}"
) -> list[int]:
    """Say of every character in which occurrence of a new word it stands.

    New words that come only once are left out: so the first occurrences are of the same
    words as the second ones, and can be compared with them.

    Parameters
    ----------
    text : str
    known : str
        Words that stand in here are not new.
    pattern : str
        What is a word, as a regular expression.

    Returns
    -------
    list of int
        1 for the characters of the first occurrence of a new word, 2 for those of the
        second, ...; 0 for all others.
    """
    total, so_far = Counter(re.findall(pattern, text)), Counter[str]()
    new = {word for word, n in total.items() if n > 1} - {*re.findall(pattern, known)}
    places = [0] * len(text)
    for found in re.finditer(pattern, text):
        so_far[found[0]] += 1
        if found[0] in new:
            places[slice(*found.span())] = [so_far[found[0]]] * len(found[0])
    return places
