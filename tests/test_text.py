import re
import sys

import pytest

from srwm_lite import text
from srwm_lite.data import DataUnavailable
from srwm_lite.text import Text, python_text, read_text, without_repeats


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder for data, from which nothing is fetched."""

    def refuse(*args, **options):
        raise OSError

    monkeypatch.setenv("SRWM_LITE_DATA", str(tmp_path))
    monkeypatch.setattr("srwm_lite.data.pooch.retrieve", refuse)
    return tmp_path


def test_every_python_carries_a_text():
    found = python_text()
    assert 300_000 < len(found.content) < 600_000
    version = ".".join(map(str, sys.version_info[:3]))
    assert str(found).startswith(f"pydoc_data of Python {version}: 3")
    assert re.search(r"characters, sha256 [0-9a-f]{8}$", str(found))
    assert python_text() == found


def test_no_paragraph_of_it_stands_there_twice():
    paragraphs = python_text().content.split("\n\n")
    plain = [" ".join(p.split()) for p in paragraphs]
    assert len(plain) == len(set(plain))


def test_repeats_are_left_out_however_they_are_indented():
    assert without_repeats("a b\n\nc\n \n  a\n  b\n\n\n\nd\n\n") == "a b\n\nc\n\nd\n"


@pytest.mark.parametrize("name", ["pydoc_data", "pydoc_data.topics"])
def test_a_python_without_the_text_is_told_what_to_install(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "pydoc_data.topics", raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataUnavailable, match="came without the module pydoc_data"):
        python_text()


def test_the_same_content_has_the_same_number():
    one, same, other = Text("a", "cat\n"), Text("b", "cat\n"), Text("a", "cats\n")
    assert one.sha256 == same.sha256 != other.sha256
    assert repr(one) == f"<Text a: 4 characters, sha256 {one.sha256[:8]}>"


def test_a_file_is_read_here_or_in_the_folder_for_data(here, tmp_path, monkeypatch):
    (here / "cat.txt").write_text("Käthe\n", encoding="utf-8")
    assert read_text("cat.txt") == Text("cat.txt", "Käthe\n")
    assert read_text(here / "cat.txt") == Text("cat.txt", "Käthe\n")


def test_a_folder_is_read_file_by_file(here):
    for name, words in (("b.txt", "two\n"), ("a.txt", "one\n"), ("c.dat", "no\n")):
        (here / name).write_text(words)
    assert read_text(here) == Text(here.name, "one\n\ntwo\n")


def test_what_cannot_be_read_is_told(here):
    with pytest.raises(DataUnavailable, match=r"no dog\.txt, neither here nor in"):
        read_text("dog.txt")
    with pytest.raises(DataUnavailable, match=r"holds no text: name a \.txt file"):
        read_text(here)
    (here / "latin.txt").write_bytes("Käthe".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.txt is not text in UTF-8, see byte"):
        read_text("latin.txt")


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_wikitext_without_a_network_says_what_to_put_where(here, part):
    with pytest.raises(DataUnavailable) as caught:
        text.wikitext(part)
    words = str(caught.value)
    assert f"{here / f'wikitext-2-{part}.txt'}\n" in words
    assert f"word_language_model/data/wikitext-2/{part}.txt\n" in words


def test_a_wrong_wikitext_is_refused(here):
    (here / "wikitext-2-test.txt").write_text("not Wikipedia")
    with pytest.raises(DataUnavailable, match=r"is not the wikitext-2-test\.txt that"):
        text.wikitext("test")
    with pytest.raises(ValueError, match="part must be one of train, valid, test: got"):
        text.wikitext("dev")


def test_shakespeare_is_fetched_or_told(here):
    with pytest.raises(DataUnavailable, match=r"tinyshakespeare\.txt is not in the"):
        text.shakespeare()


def test_repeated_pieces_are_counted():
    assert text.repeated("the cat sat", "the cat ran", 7) == 1 / 5 + 1 / 5
    assert text.repeated("the cat sat", "a dog", 3) == 0
    assert text.repeated("cat", "cat", 9) == 0


def test_new_words_are_counted_at_each_of_their_characters():
    shown = text.occurrences("cat the dog cat; the cat", "the", pattern="[a-z]+")
    assert shown == [*[1] * 3, *[0] * 9, *[2] * 3, *[0] * 6, *[3] * 3]
    assert text.occurrences("first or first") == [1] * 5 + [0] * 4 + [2] * 5
    assert not any(text.occurrences("words that come once, first, second"))
