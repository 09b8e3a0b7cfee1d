import gzip
import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from srwm_lite import image_sets as module
from srwm_lite.data import DataUnavailable, folder
from srwm_lite.image_sets import images

KINDS = [(*key, i) for key, kinds in module.SOURCES.items() for i in range(len(kinds))]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder for data, and no way out of it."""
    monkeypatch.setenv("SRWM_LITE_DATA", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    nowhere = {
        key: tuple(tuple(s._replace(url="http://127.0.0.1:9/x") for s in k) for k in ks)
        for key, ks in module.SOURCES.items()
    }
    monkeypatch.setattr(module, "SOURCES", nowhere)
    return tmp_path


def idx(array):
    """Return an array of bytes as the official files hold it."""
    head = np.array([0x0800 + array.ndim, *array.shape], ">i4")
    return gzip.compress(head.tobytes() + array.tobytes())


def drawn(n=900, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(256, size=(n, 28, 28), dtype=np.uint8)


def put(path, array):
    """Write pictures or labels in the kind of file that the name says."""
    if path.suffix == ".gz":
        path.write_bytes(idx(array))
    elif path.suffix == ".npz":
        np.savez(path, array)
    else:
        rows = [np.concatenate(list(row), axis=1) for row in np.split(array, 30)]
        Image.fromarray(np.concatenate(rows)).convert("RGBA").save(path)


def meant(monkeypatch, name, part):
    """Let the files that lie there be those that are meant."""

    def with_checksum(source):
        path = folder() / source.name
        sha256 = hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()
        return source._replace(checksum=f"sha256:{sha256}")

    kinds = module.SOURCES[name, part]
    here = tuple(tuple(with_checksum(s) for s in kind) for kind in kinds)
    monkeypatch.setitem(module.SOURCES, (name, part), here)


def place(monkeypatch, name, part, kind, *arrays):
    for source, array in zip(module.SOURCES[name, part][kind], arrays, strict=False):
        put(folder() / source.name, array)
    meant(monkeypatch, name, part)


@pytest.mark.parametrize(("name", "part", "kind"), KINDS)
def test_every_kind_of_files_is_read(here, monkeypatch, name, part, kind):
    whole, what = drawn(), np.arange(10, dtype=np.uint8).repeat(90)
    place(monkeypatch, name, part, kind, whole, what)
    pictures, labels = images(name, part)
    assert torch.equal(pictures, torch.tensor(whole) / 255)
    assert (labels.dtype, labels.tolist()) == (torch.long, what.tolist())


def test_sets_with_files_of_the_same_name_do_not_meet(here, monkeypatch):
    names = [s.name for kinds in module.SOURCES.values() for k in kinds for s in k]
    assert len(set(names)) == len(names) == 15
    for seed, name in enumerate(("mnist", "fashion", "kmnist")):
        what = np.full(3, seed, np.uint8)
        place(monkeypatch, name, "test", 0, drawn(3, seed), what)
    for seed, name in enumerate(("mnist", "fashion", "kmnist")):
        pictures, labels = images(name)
        assert torch.equal(pictures, torch.tensor(drawn(3, seed)) / 255)
        assert labels.tolist() == [seed] * 3


def test_official_files_come_first_and_half_a_pair_does_not_count(here, monkeypatch):
    place(monkeypatch, "kmnist", "test", 1, drawn(5), np.zeros(5, np.uint8))
    official, _ = module.SOURCES["kmnist", "test"][0]
    put(here / official.name, drawn(2))
    meant(monkeypatch, "kmnist", "test")
    assert len(images("kmnist")[0]) == 5
    place(monkeypatch, "kmnist", "test", 0, drawn(2), np.ones(2, np.uint8))
    module._filed.cache_clear()
    assert images("kmnist")[1].tolist() == [1, 1]


def test_files_are_read_once_and_nobody_can_spoil_what_is_kept(here, monkeypatch):
    place(monkeypatch, "mnist", "train", 0, drawn(4), np.arange(4, dtype=np.uint8))
    for tensor in images("mnist", "train"):
        tensor.fill_(7)
    for path in here.iterdir():
        path.unlink()
    pictures, labels = images("mnist", "train")
    assert torch.equal(pictures, torch.tensor(drawn(4)) / 255)
    assert labels.tolist() == [0, 1, 2, 3]


def test_digits_need_no_file_and_their_parts_do_not_meet(here):
    (train, what), (test, asked) = (images("digits", p) for p in ("train", "test"))
    assert (train.shape, test.shape) == ((1297, 8, 8), (500, 8, 8))
    assert what[:10].tolist() == list(range(10))
    assert (train.min(), train.max(), test.max()) == (0, 1, 1)
    assert torch.equal(train * 16, (train * 16).round())
    for labels in (what, asked):
        share = labels.bincount() / len(labels)
        assert ((share > 0.09) & (share < 0.11)).all()
    rows = torch.cat([train, test]).flatten(1).unique(dim=0)
    assert len(rows) == 1797  # no picture twice
    asked.fill_(7)
    assert images("digits")[1].unique().numel() == 10


def test_pictures_shrink_and_grow_by_area():
    whole, labels = images("digits")
    half, same = images("digits", size=4)
    assert torch.equal(same, labels)
    torch.testing.assert_close(half, whole.view(-1, 4, 2, 4, 2).mean(dim=(2, 4)))
    twice = whole.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    torch.testing.assert_close(images("digits", size=16)[0], twice)
    assert torch.equal(images("digits", size=8)[0], whole)


def test_without_the_data_the_error_says_what_to_put_where(here):
    with pytest.raises(DataUnavailable) as caught:
        images("fashion")
    words = str(caught.value)
    assert f"to    {here / 'fashion_t10k-images-idx3-ubyte.gz'}" in words
    assert "with  sha256:346e55b9" in words
    assert "These serve as well:\n  fashion-mnist-sprite.png" in words
    with pytest.raises(DataUnavailable) as caught:
        images("mnist", "train")
    assert "mnist_train-images" in str(caught.value)
    assert "serve as well" not in str(caught.value)


def test_other_files_of_the_same_name_are_not_used(here):
    (here / module.SPRITE.name).write_bytes(b"another")
    with pytest.raises(DataUnavailable, match=r"is not the fashion-mnist-sprite\.png"):
        images("fashion")


def test_idx_files_of_another_kind_or_shape_are_refused(tmp_path):
    path = tmp_path / "mnist_x.gz"
    path.write_bytes(idx(np.zeros(5, np.uint8)))
    assert module._idx(path, 1).tolist() == [0] * 5
    path.write_bytes(idx(np.zeros((2, 2), np.uint8)))
    with pytest.raises(DataUnavailable, match=r"begin with 2049 .* got 2050"):
        module._idx(path, 1)
    torn = gzip.decompress(idx(np.zeros((3, 2, 2), np.uint8)))[:-1]
    path.write_bytes(gzip.compress(torn))
    with pytest.raises(DataUnavailable, match=r"its 11 bytes: got 2051 .*\(3, 2, 2\)"):
        module._idx(path, 3)


def test_arrays_of_another_kind_and_pairs_that_differ_are_refused(tmp_path):
    paths = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(paths[0], np.zeros((3, 2, 2)))
    with pytest.raises(DataUnavailable, match="bytes of 3 axes: got float64"):
        module._array(paths[0], 3)
    np.savez(paths[0], np.zeros((3, 2, 2), np.uint8))
    np.savez(paths[1], np.zeros(4, np.uint8))
    with pytest.raises(DataUnavailable, match=r"3 pictures, but .*b\.npz 4 labels"):
        module._read(*paths)


def test_wrong_names_are_named():
    with pytest.raises(ValueError, match=r"name must be one of .*: got 'emnist'"):
        images("emnist")
    with pytest.raises(ValueError, match=r"part must be one of .*: got 'val'"):
        images("mnist", "val")
    with pytest.raises(ValueError, match=r"size must be a whole number.*: got 0"):
        images("digits", size=0)


@pytest.mark.parametrize("name", ["mnist", "fashion", "kmnist"])
def test_real_pictures_are_light_on_dark_and_have_ten_classes(name):
    kinds = module.SOURCES[name, "test"]
    if not any(all((folder() / s.name).exists() for s in kind) for kind in kinds):
        pytest.skip(f"{name} is not in the folder for data")
    pictures, labels = images(name)
    share = labels.bincount(minlength=10) / len(labels)
    assert pictures.shape == (len(labels), 28, 28)
    assert ((share > 0.088) & (share < 0.115)).all()
    assert 0.1 < pictures.mean() < 0.3
    assert pictures[:, 0, 0].mean() < 0.1
    assert (pictures.min(), pictures.max()) == (0, 1)
