import gc
import hashlib
import socket

import pytest

from srwm_lite import data
from srwm_lite.data import DataUnavailable, Source, fetch

CONTENT = b"the cat sat on the mat\n" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()

# pooch leaves the answer 404 to the garbage collector
LEFT_OPEN = "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
pytestmark = [pytest.mark.filterwarnings(words) for words in LEFT_OPEN]


@pytest.fixture(autouse=True)
def _collected():
    """Collect that answer here, where it is expected, and not in a later test."""
    yield
    gc.collect()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder for data, with no way around it."""
    folder = tmp_path / "data"
    monkeypatch.setenv("SRWM_LITE_DATA", str(folder))
    monkeypatch.setenv("NO_PROXY", "*")
    return folder


@pytest.fixture
def address(tmp_path, serve):
    """Return the address of a server that has the file."""
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "cat.txt").write_bytes(CONTENT)
    return serve(shown)


def source(address, checksum=f"sha256:{SHA256}", file="cat.txt"):
    return Source("cat.txt", f"{address}/{file}", checksum)


def nowhere():
    """Return an address at which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cat.txt").write_bytes(content)


def refusal(wanted):
    with pytest.raises(DataUnavailable) as caught:
        fetch(wanted)
    return str(caught.value)


def test_a_file_is_fetched_once(here, address, monkeypatch):
    assert fetch(source(address)) == here / "cat.txt"
    assert (here / "cat.txt").read_bytes() == CONTENT
    monkeypatch.setattr(data.pooch, "retrieve", None)  # a second fetch would raise
    assert fetch(source(address)).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_needs_no_network(here):
    put(here)
    assert fetch(source(nowhere())).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["sha256", "sha1", "md5"])
def test_checksums_of_every_kind_are_compared(here, address, kind):
    right = hashlib.new(kind, CONTENT).hexdigest()
    assert fetch(source(address, f"{kind}:{right}")).exists()
    assert f"its {kind} is {right}" in refusal(source(address, f"{kind}:{'0' * 40}"))


def test_without_a_network_the_error_says_what_to_put_where(here):
    wanted = source(nowhere())
    assert refusal(wanted) == (
        "cat.txt is not in the folder for data, and could not be fetched "
        "(ConnectionError: is there a network?).\n"
        "Put it there by hand:\n"
        f"  from  {wanted.url}\n"
        f"  to    {here / 'cat.txt'}\n"
        f"  with  sha256:{SHA256}\n"
        "or set SRWM_LITE_DATA to a folder that holds cat.txt."
    )


def test_a_server_without_the_file_is_told(here, address):
    assert "(the server said 404)" in refusal(source(address, file="dog.txt"))


def test_wrong_contents_from_the_server_are_not_kept(here, address):
    words = refusal(source(address, f"sha256:{'0' * 64}"))
    assert "could not be fetched (what came has the wrong checksum)" in words
    assert not (here / "cat.txt").exists()


def test_a_file_with_other_contents_is_neither_used_nor_replaced(here, address):
    put(here, b"another cat")
    words = refusal(source(address))
    assert words.startswith(f"{here / 'cat.txt'} is not the cat.txt that is meant: its")
    assert "so it was not used. Move it away, and it is fetched." in words
    assert (here / "cat.txt").read_bytes() == b"another cat"


def test_a_folder_in_the_place_of_the_file_is_told(here, address):
    (here / "cat.txt").mkdir(parents=True)
    assert "its sha256 is no file" in refusal(source(address))


def test_a_folder_that_cannot_be_made_is_told(here, address, tmp_path):
    here.write_text("a file, not a folder")
    words = refusal(source(address))
    assert "could not be fetched (" in words
    assert "Put it there by hand:" in words


@pytest.mark.parametrize("shown", ["0", "1"])
def test_the_bar_can_be_switched_off(here, address, monkeypatch, capsys, shown):
    monkeypatch.setenv("SRWM_LITE_PROGRESS", shown)
    fetch(source(address))
    assert ("100%" in capsys.readouterr().err) == (shown == "1")


def test_without_a_named_folder_the_cache_is_used(monkeypatch):
    monkeypatch.delenv("SRWM_LITE_DATA", raising=False)
    assert data.folder().name == "srwm_lite"
    monkeypatch.setenv("SRWM_LITE_DATA", "~/texts")
    assert data.folder().is_absolute()
