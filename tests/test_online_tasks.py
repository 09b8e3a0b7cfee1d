import pytest
import torch

from srwm_lite.online_tasks import (
    Gaussian,
    Images,
    LinearTeacher,
    Memorise,
    Mixture,
    SumSign,
)

COUNTS = 12, 3, 7, 1, 9  # pictures of five classes, called 0, 10, 20, 30 and 40


def seed(number):
    return torch.Generator().manual_seed(number)


def picture_set(side=4):
    """Return pictures that say which they are: class + 1 first, then their number."""
    labels = torch.tensor([10 * c for c, n in enumerate(COUNTS) for _ in range(n)])
    drawn = seed(3)
    pictures = torch.rand(len(labels), side, side, generator=drawn) / 2
    pictures[:, 0, 0] = labels / 10 + 1
    pictures[:, 0, 1] = torch.arange(len(labels)) + 10.0
    mixed = torch.randperm(len(labels), generator=drawn)
    return pictures[mixed], labels[mixed]


def image_task(classes=3, length=40, **options):
    return Images(*picture_set(), classes, length, **options)


TASKS = {
    "gaussian": Gaussian(16, 3, 40),
    "memorise": Memorise(16, 3, 40, pictures=6),
    "sum sign": SumSign(16, 40),
    "linear teacher": LinearTeacher(16, 3, 40),
    "images": image_task(),
    "shuffled": image_task(shuffled=True),
    "projected": image_task(projected=True),
    "mixture": Mixture(Gaussian(16, 3, 40), Memorise(16, 3, 40)),
}
EACH = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
FIELDS = [task for task in TASKS.values() if not isinstance(task, Mixture)]


@EACH
def test_streams_have_vectors_and_one_hot_targets(task):
    x, targets = task.sample(5, seed(0))
    classes = 2 if isinstance(task, SumSign) else 3
    assert (x.shape, targets.shape) == ((5, 40, 16), (5, 40, classes))
    assert (x.dtype, targets.dtype) == (torch.float32, torch.float32)
    assert torch.equal(targets.sum(dim=-1), torch.ones(5, 40))
    assert targets.unique().tolist() == [0, 1]
    assert [t.shape[:2] for t in task.sample(2, length=7)] == [(2, 7)] * 2
    assert task.sample(0)[0].shape == (0, 40, 16)


@EACH
def test_a_seed_makes_a_stream_and_rows_are_problems_of_their_own(task):
    (x, targets), again, other = (task.sample(2, seed(s)) for s in (0, 0, 1))
    assert torch.equal(x, again[0])
    assert torch.equal(targets, again[1])
    assert not torch.equal(x, other[0])
    assert not torch.equal(targets, other[1])
    assert not torch.equal(x[0], x[1])


@pytest.mark.parametrize("task", FIELDS)
def test_every_class_is_as_likely_at_any_time(task):
    _, targets = task.sample(2000, seed(0))
    assert task.ceiling == 1 / task.classes
    share = targets.mean(dim=0)
    assert ((share - task.ceiling).abs() < 0.06).all()
    assert ((share.mean(dim=0) - task.ceiling).abs() < 0.02).all()


def undone(task, x):
    """Return what `Images` drew, before it was standardised."""
    return x * task.std + task.mean


def test_images_are_those_of_the_set_and_labels_number_some_classes():
    task = image_task(classes=3, length=300)
    x, targets = task.sample(40, seed(0))
    pictures = undone(task, x)
    known = {row[1].round().item(): row for row in task.pictures}
    labels, numberings = targets.argmax(dim=-1), set()
    for row, told in zip(pictures, labels, strict=True):
        for picture in row[:20]:
            torch.testing.assert_close(picture, known[picture[1].round().item()])
        pairs = {(int(b), a.round().item()) for a, b in zip(row[:, 0], told)}  # noqa: B905
        assert len(pairs) == 3 == len({c for _, c in pairs})
        numberings.add(tuple(c for _, c in sorted(pairs)))
    assert len(numberings) > 20  # of 60
    assert {c for numbering in numberings for c in numbering} == {1, 2, 3, 4, 5}


def test_classes_are_as_likely_as_each_other_however_many_pictures_they_have():
    task = image_task(classes=5, length=500)
    x, _ = task.sample(20, seed(0))
    which, number = (undone(task, x)[..., i].round().long().flatten() for i in (0, 1))
    share = which.bincount(minlength=6)[1:] / len(which)
    assert ((share - 0.2).abs() < 0.02).all()
    assert len(number.unique()) == sum(COUNTS)
    first = number[which == 1].bincount()[10:22] / (which == 1).sum()
    assert ((first - 1 / 12).abs() < 0.03).all()


def test_pixels_are_standardised_over_the_whole_set():
    pictures, labels = torch.rand(300, 3, 3) * 5 + 2, torch.arange(300) % 3
    pictures[labels == 0] += 4
    x, _ = Images(pictures, labels, 3, 200).sample(50, seed(0))
    assert abs(x.mean()) < 0.03
    assert x.std() == pytest.approx(1, abs=0.03)
    known = (pictures.flatten(1) - pictures.mean()) / pictures.std(correction=0)
    assert torch.cdist(x[0], known).min(dim=1).values.max() < 1e-2


def plain_and(**options):
    """Return the same streams as they are, and as another task shows them."""
    made = []
    for chosen in ({}, options):
        made.append(image_task(5, 200, **chosen).sample(4, seed(0)))
    (plain, told), (seen, heard) = made
    assert torch.equal(told, heard)
    return plain, seen


def test_shuffled_pixels_have_one_order_all_along_a_stream():
    plain, seen = plain_and(shuffled=True)
    orders = []
    for before, after in zip(plain, seen, strict=True):
        order = (before.T[None] == after.T[:, None]).all(dim=-1).float().argmax(dim=1)
        assert sorted(order.tolist()) == list(range(16))
        assert torch.equal(before[:, order], after)
        orders.append(tuple(order.tolist()))
    assert len(set(orders)) == 4


def test_projected_pixels_have_one_matrix_all_along_a_stream():
    plain, seen = (t.double() for t in plain_and(projected=True))
    matrices = torch.linalg.lstsq(plain, seen).solution
    torch.testing.assert_close(plain @ matrices, seen, atol=1e-4, rtol=0)
    assert not torch.allclose(matrices[0], matrices[1], atol=0.1)
    many = Images(torch.rand(40, 20, 20), torch.arange(40) % 2, 2, 40, projected=True)
    x, _ = many.sample(2, seed(0))
    assert x.std() == pytest.approx(1, abs=0.1)


def test_a_mixture_draws_all_its_tasks():
    tasks = Gaussian(2, 2, 3), SumSign(5, 4), Gaussian(3, 7, 6)
    mixture, drawn = Mixture(*tasks), seed(0)
    shapes = [mixture.sample(1, drawn)[0].shape for _ in range(300)]
    for shape in ((1, 3, 2), (1, 4, 5), (1, 6, 3)):
        assert 70 < shapes.count(shape) < 130


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: image_task(classes=6), r"6 classes or more: got \(32,\) with 5"),
        (lambda: image_task(classes=1), "classes must be .*: got 1"),
        (lambda: Images(torch.rand(3, 4), torch.arange(3), 2, 5), r"shape \(n, h, w\)"),
        (
            lambda: Images(torch.rand(3, 2, 2), torch.arange(4), 2, 5),
            r"agree in \(n\): got pictures \(3, 2, 2\), labels \(4,\)",
        ),
        (
            lambda: Images(torch.ones(3, 2, 2), torch.arange(3), 2, 5),
            r"must differ: every pixel is 1\.0",
        ),
        (Mixture, "one task or more: got none"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
