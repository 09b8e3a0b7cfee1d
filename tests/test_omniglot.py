import hashlib
import io
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from srwm_lite import omniglot as module
from srwm_lite.data import DataUnavailable, Source, folder
from srwm_lite.omniglot import members, omniglot

COUNTS = {"background": 40, "evaluation": 20}  # of a small Omniglot
SPLIT = {
    **{"BACKGROUND": 40, "CHARACTERS": 60, "TEST": 51, "DRAWINGS": 3},
    "VALIDATION": {"Five": (5, 9), "More": (27, 40)},
}


@pytest.fixture
def papers():
    """Return pictures as the files hold them: True is paper, a stroke is False."""
    rng = np.random.default_rng(0)
    return {part: rng.random((n, 3, 105, 105)) > 0.1 for part, n in COUNTS.items()}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder for data, and no way out of it."""
    monkeypatch.setenv("SRWM_LITE_DATA", str(tmp_path))
    for name, value in SPLIT.items():
        monkeypatch.setattr(module, name, value)
    nowhere = [s._replace(url="http://127.0.0.1:9/x.zip") for s in module.ZIPPED]
    monkeypatch.setattr(module, "ZIPPED", tuple(nowhere))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path


def meant(monkeypatch, kind, folder):
    """Let the files of a folder be those that are meant."""
    sources = [
        Source(
            s.name,
            s.url,
            f"md5:{hashlib.md5((folder / s.name).read_bytes()).hexdigest()}",
        )
        for s in getattr(module, kind)
    ]
    monkeypatch.setattr(module, kind, tuple(sources))


def pack(folder, papers, monkeypatch):
    for part, paper in papers.items():
        np.savez(folder / f"omniglot_images_{part}.npz", images=paper)
    meant(monkeypatch, "PACKED", folder)


def zip_up(folder, papers, monkeypatch):
    """Write zip files as the official ones: the folders in another order."""
    first = 1
    for part, paper in papers.items():
        with ZipFile(folder / f"images_{part}.zip", "w") as files:
            for c in reversed(range(len(paper))):
                for d, picture in enumerate(paper[c], start=1):
                    png = io.BytesIO()
                    Image.fromarray(picture).save(png, "png")
                    name = f"A{100 - c}/character01/{first + c:04}_{d:02}.png"
                    files.writestr(f"images_{part}/{name}", png.getvalue())
        first += len(paper)
    meant(monkeypatch, "ZIPPED", folder)


@pytest.mark.parametrize("put", [pack, zip_up])
def test_both_kinds_of_files_give_ink_and_paper(here, papers, monkeypatch, put):
    put(here, papers, monkeypatch)
    ink = 1 - np.concatenate(list(papers.values()))
    train, val, test = (omniglot(p, 105) for p in ("train", "val", "test"))
    assert torch.equal(test, torch.tensor(ink[50:]).float())
    assert torch.equal(val, torch.tensor(ink[np.r_[4:9, 26:40]]).float())
    others = np.r_[0:4, 9:26, 40:50]
    assert torch.equal(train, torch.tensor(ink[others]).float())
    lake = omniglot("train", 105, split="lake")
    assert torch.equal(lake, torch.tensor(ink[:40]).float())


def test_pictures_are_shrunk_by_area(here, papers, monkeypatch):
    pack(here, papers, monkeypatch)
    fifths = omniglot("test", 21)
    ink = 1 - papers["evaluation"][10:].reshape(10, 3, 21, 5, 21, 5)
    expected = torch.tensor(ink.mean(axis=(3, 5))).float()
    torch.testing.assert_close(fifths, expected, atol=0.5 / 255 + 1e-6, rtol=0)


def test_the_second_call_needs_no_source(here, papers, monkeypatch):
    pack(here, papers, monkeypatch)
    first = omniglot("val", 14)
    for path in here.glob("omniglot_images_*"):
        path.unlink()
    assert [path.name for path in here.iterdir()] == ["omniglot_14.npz"]
    assert torch.equal(omniglot("val", 14), first)


@pytest.mark.parametrize("left", [b"", b"torn", "other"])
def test_what_was_left_torn_is_made_again(here, papers, monkeypatch, left):
    pack(here, papers, monkeypatch)
    first, path = omniglot("test", 7), here / "omniglot_7.npz"
    if left == "other":
        np.savez(path, ink=np.zeros((2, 2), np.uint8))
    else:
        path.write_bytes(left)
    assert torch.equal(omniglot("test", 7), first)


def test_a_folder_that_cannot_be_written_is_no_hindrance(here, papers, monkeypatch):
    def full(*args):
        raise OSError("no space left")

    pack(here, papers, monkeypatch)
    monkeypatch.setattr(module.os, "replace", full)
    assert omniglot("test", 7).shape == (10, 3, 7, 7)
    assert {path.name for path in here.iterdir()} == {s.name for s in module.PACKED}


def test_without_the_data_the_error_says_what_to_put_where(here):
    with pytest.raises(DataUnavailable) as caught:
        omniglot("test")
    words = str(caught.value)
    assert f"to    {here / 'images_background.zip'}" in words
    assert "with  md5:68d2efa1b9178cc56df9314c21c6e718" in words


def test_other_files_of_the_same_name_are_not_used(here):
    for source in module.PACKED:
        (here / source.name).write_bytes(b"another")
    with pytest.raises(DataUnavailable, match="is not the omniglot_images_background"):
        omniglot("test")


def test_parts_have_the_counts_of_the_papers():
    parts = [members(part) for part in ("train", "val", "test")]
    assert [len(part) for part in parts] == [1028, 172, 423]
    assert torch.cat(parts).unique().tolist() == list(range(1623))
    lake = [members(part, "lake") for part in ("train", "test")]
    assert [len(part) for part in lake] == [964, 659]
    assert torch.equal(torch.cat(lake), torch.arange(1623))
    sizes = [high - low + 1 for low, high in module.VALIDATION.values()]
    assert sizes == [41, 46, 22, 22, 41]


def test_wrong_names_are_named():
    with pytest.raises(ValueError, match=r"'lake' must be in .*test.*: got 'val'"):
        omniglot("val", split="lake")
    with pytest.raises(ValueError, match=r"split must be one of .*: got 'torch'"):
        omniglot(split="torch")
    with pytest.raises(ValueError, match=r"size must be at most 105.*: got 106"):
        omniglot(size=106)


def test_the_real_pictures_are_dark_on_light():
    if not any((folder() / s.name).exists() for s in (*module.PACKED, *module.ZIPPED)):
        pytest.skip("Omniglot is not in the folder for data")
    pictures = omniglot("test")
    assert pictures.shape == (423, 20, 28, 28)
    assert 0.05 < pictures.mean() < 0.12
    assert pictures[:, :, 0].mean() < 0.02
    assert pictures.amax(dim=(-1, -2)).min() > 0.3


def test_redrawn_characters_stand_in_the_middle(monkeypatch):
    pictures = torch.zeros(2, 3, module.SIDE, module.SIDE)
    pictures[0, :, 10:40, 20:24] = 1  # a bar, upright, and one that lies
    pictures[1, :, 90:93, 5:100] = 1
    monkeypatch.setattr(module, "omniglot", lambda part, size: pictures)
    x = module.redrawn("test", 28)
    assert x.shape == (2, 3, 28, 28)
    torch.testing.assert_close(x, x.flip(-1, -2), atol=0.02, rtol=0)
    long = x[:, 0].sum(dim=(1, 2)) / x[0, 0].max()
    assert (x[0, 0].amax(dim=1) > 0.5).sum() == pytest.approx(0.72 * 28, abs=2)
    assert (x[1, 0].amax(dim=0) > 0.5).sum() == pytest.approx(0.72 * 28, abs=2)
    assert (long > 20).all()
