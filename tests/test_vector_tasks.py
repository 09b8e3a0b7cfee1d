from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch.distributions import MultivariateNormal

from srwm_lite.vector_tasks import (
    Gaussian,
    LinearTeacher,
    Memorise,
    SumSign,
    ideal_gaussian,
)
from srwm_lite.vsml_learner import online_curve


def seed(number):
    return torch.Generator().manual_seed(number)


def test_classes_of_gaussians_lie_around_means_of_their_own():
    x, targets = Gaussian(5, 4, 400, noise=0.5).sample(50, seed(0))
    halves = [
        torch.einsum("bto,bti->boi", t, y) / t.sum(dim=1)[..., None]
        for y, t in zip(x.split(200, dim=1), targets.split(200, dim=1), strict=True)
    ]
    torch.testing.assert_close(*halves, atol=0.5, rtol=0)
    means = (halves[0] + halves[1]) / 2
    assert abs(means.mean()) < 0.1
    assert means.std() == pytest.approx(1, abs=0.1)
    away = x - torch.einsum("bto,boi->bti", targets, means)
    assert away.std() == pytest.approx(0.5, abs=0.01)


def test_what_is_to_be_memorised_comes_again_with_the_same_label():
    x, targets = Memorise(6, 4, 300, pictures=5).sample(3, seed(0))
    for row, told in zip(x, targets, strict=True):
        different, which = row.unique(dim=0, return_inverse=True)
        assert len(different) == 5
        for picture in range(5):
            assert len(told[which == picture].unique(dim=0)) == 1
        assert which.bincount().min() > 35
    assert len(x.flatten(0, 1).unique(dim=0)) == 15


def test_the_sign_of_the_sum_is_the_class_or_its_opposite():
    x, targets = SumSign(9, 40).sample(200, seed(0))
    positive = (x.sum(dim=-1) > 0).float()
    agree = (positive == targets[..., 1]).float().mean(dim=1)
    assert agree.unique().tolist() == [0, 1]
    assert 0.4 < agree.mean() < 0.6


def test_sum_sign_hides_the_answer_from_any_single_input():
    x, _ = SumSign(100, 40).sample(500, seed(0))
    assert x.var() == pytest.approx(1, abs=0.01)
    mean, rest = x.mean(dim=-1), x - x.mean(dim=-1, keepdim=True)
    assert mean.var() * 100 == pytest.approx((1 + 0.774) / (0.01 + 0.774), abs=0.1)
    assert rest.abs().max() < 4 / 0.774**0.5  # cut: twice the noise at most
    right = ((x > 0) == (x.sum(dim=-1, keepdim=True) > 0)).float().mean()
    assert 0.5 < right < 0.6


def separable(x, labels, classes):
    """Say whether a linear map W has ``(W x)_label >= (W x)_other + 1`` throughout."""
    rows = []
    for vector, label in zip(x, labels, strict=True):
        for other in set(range(classes)) - {int(label)}:
            row = np.zeros((classes, len(vector)))
            row[other], row[label] = vector, -vector
            rows.append(row.ravel())
    found = linprog(
        np.zeros(classes * x.shape[1]), A_ub=rows, b_ub=-np.ones(len(rows)), bounds=None
    )
    return found.status == 0


def test_a_linear_map_explains_what_the_teacher_says():
    x, targets = LinearTeacher(3, 4, 80).sample(3, seed(0))
    for row, told in zip(x.numpy(), targets.argmax(dim=-1).numpy(), strict=True):
        assert separable(row, told, 4)
        told[0] = (told[0] + 1) % 4
        assert not separable(row, told, 4)


def test_the_clouds_of_the_teacher_are_one():
    x, _ = LinearTeacher(3, 4, 500).sample(40, seed(0))
    torch.testing.assert_close(x.mean(dim=(0, 1)), torch.zeros(3), atol=0.05, rtol=0)
    assert x.std() == pytest.approx(1, abs=0.02)


def by_hand(x, labels, classes, noise):
    """Return log densities of x, given what was told before: one joint Gaussian."""
    rows = []
    for t in range(len(x)):
        row = []
        for c in range(classes):
            old = x[:t][labels[:t] == c]
            joint = torch.cat([old, x[t : t + 1]])
            logs = []
            for values in (joint, old):
                n = len(values)
                cov = torch.ones(n, n).double() + noise**2 * torch.eye(n).double()
                law = MultivariateNormal(torch.zeros(n).double(), cov) if n else None
                logs.append(law.log_prob(values.T).sum() if n else 0.0)
            row.append(logs[0] - logs[1])
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_the_ideal_learner_of_gaussians_follows_bayes(noise):
    x, targets = (t.double() for t in Gaussian(3, 4, 12, noise).sample(2, seed(0)))
    logits, state = ideal_gaussian(x, targets, noise)
    for row, told, found in zip(x, targets, logits, strict=True):
        expected = by_hand(row, told.argmax(dim=-1), 4, noise)
        torch.testing.assert_close(
            found.log_softmax(dim=-1), expected.log_softmax(dim=-1)
        )
    assert state is None
    assert torch.equal(logits[:, 0], logits[:, 0, :1].expand(2, 4))  # knows nothing


def test_the_ideal_learner_of_gaussians_has_known_numbers():
    x, targets = torch.tensor([[[2.0], [0.0]]]), torch.tensor([[[1.0, 0], [0, 1]]])
    logits, _ = ideal_gaussian(x, targets)  # after 2 in class 0: mean 1, variance 3/2
    hand = -torch.tensor([1 / 1.5 + np.log(1.5), 0 / 2 + np.log(2)]) / 2
    torch.testing.assert_close(logits[0, 1].double(), hand)
    changed, _ = ideal_gaussian(x, targets.flip(-1))
    assert torch.equal(changed[:, 0], logits[:, 0])
    torch.testing.assert_close(changed[:, 1], logits[:, 1].flip(-1))


def test_no_learner_of_gaussians_beats_the_ideal_one():
    task = Gaussian(6, 3, 30)
    x, targets = task.sample(1500, seed(0))
    best = online_curve(ideal_gaussian, x, targets)
    for wrong in (0.3, 5.0):
        other = online_curve(lambda x, t, w=wrong: ideal_gaussian(x, t, w), x, targets)
        assert other.mean() < best.mean() - 0.002
    assert best[0] == pytest.approx(1 / 3, abs=0.05)
    assert best[-5:].mean() > best[5:10].mean() + 0.03


@pytest.mark.parametrize("name", ["inputs", "length", "classes"])
@pytest.mark.parametrize("family", [Gaussian, Memorise, LinearTeacher])
def test_sizes_that_make_no_problem_are_refused(family, name):
    least = 2 if name == "classes" else 1
    good = replace(family(4, 3, 5), **{name: least})
    assert good.sample(1)[0].shape[0] == 1
    with pytest.raises(ValueError, match=rf"{name} must be .*: got {least - 1}"):
        replace(good, **{name: least - 1})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Gaussian(4, 3, 5, noise=-0.1), r"noise must be .*: got -0\.1"),
        (lambda: Gaussian(4, 3, 5, noise=float("nan")), r"noise must .*: got nan"),
        (lambda: Memorise(4, 3, 5, pictures=0), "pictures must be .*: got 0"),
        (lambda: SumSign(0, 5), "inputs must be .*: got 0"),
        (lambda: SumSign(3, 5).sample(-1), "batch must be .*: got -1"),
        (lambda: SumSign(3, 5).sample(1, length=0), "length must be .*: got 0"),
        (lambda: ideal_gaussian(torch.rand(2, 3), torch.rand(2, 3, 1)), "B, T, I"),
        (
            lambda: ideal_gaussian(torch.rand(2, 3, 1), torch.rand(2, 4, 1)),
            r"agree in \(B, T\)",
        ),
        (lambda: ideal_gaussian(torch.rand(1, 1, 1), torch.ones(1, 1, 1), 0), "noise"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
