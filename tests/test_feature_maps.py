import functools
import math

import pytest
import torch

from srwm_lite.feature_maps import (
    dpfp,
    elu_plus_one,
    favor_plus,
    name_of,
    orthogonal_projection,
    sum_normalise,
    unit_norm,
)

MAPS = {
    "elu": elu_plus_one,
    "dpfp": functools.partial(dpfp, nu=2),
    "favor": functools.partial(
        favor_plus, projection=torch.arange(15.0).sin().reshape(5, 3).double()
    ),
    "sum": lambda x: sum_normalise(elu_plus_one(x)),
    "unit": unit_norm,
}


@pytest.mark.equation("eq:elu")
def test_elu_plus_one_by_hand():
    x = torch.tensor([-math.log(2), 0.0, 3.0])
    torch.testing.assert_close(elu_plus_one(x), torch.tensor([0.5, 1.0, 4.0]))


@pytest.mark.equation("eq:dpfp")
def test_dpfp_by_hand():
    # r = [1, 0, 0, 2]; rolled by one: [2, 1, 0, 0]; by two: [0, 2, 1, 0]
    x = torch.tensor([1.0, -2.0])
    assert dpfp(x).tolist() == [2, 0, 0, 0]
    assert dpfp(x, nu=2).tolist() == [2, 0, 0, 0, 0, 0, 0, 0]
    assert dpfp(torch.tensor([1.0, 2.0])).tolist() == [0, 2, 0, 0]
    assert dpfp(torch.tensor([-1.0, 2.0]), nu=2).tolist() == [0, 0, 2, 0] + [0] * 4


def test_dpfp_entries_are_products_of_two_rectified_entries():
    x, nu = torch.randn(6, 3), 5
    r = torch.cat([x, -x], dim=-1).clamp(min=0)
    y = dpfp(x, nu).unflatten(-1, (nu, 6))
    for j in range(1, nu + 1):
        for i in range(6):
            torch.testing.assert_close(y[:, j - 1, i], r[:, i] * r[:, (i - j) % 6])


@pytest.mark.parametrize("nu", [0, -1, 6])
def test_dpfp_names_the_range_of_nu(nu):
    with pytest.raises(ValueError, match=f"from 1 to 2 K - 1 = 5: got {nu}"):
        dpfp(torch.randn(3), nu)


@pytest.mark.equation("eq:favor")
def test_favor_plus_by_hand():
    x, projection = torch.tensor([1.0, 1.0]), torch.tensor([[1.0, 0.0]])
    expected = torch.tensor([1.0, math.exp(-2)]) / math.sqrt(2)
    torch.testing.assert_close(favor_plus(x, projection), expected)


def test_favor_plus_approximates_the_softmax_kernel():
    q, k = 0.5 * torch.randn(2, 10, 4, dtype=torch.float64)
    projection = orthogonal_projection(20000, 4).double()
    approximate = (favor_plus(q, projection) * favor_plus(k, projection)).sum(dim=-1)
    torch.testing.assert_close(approximate, (q * k).sum(-1).exp(), rtol=0.05, atol=0)


def test_favor_plus_refuses_a_projection_that_does_not_fit():
    for bad in (torch.zeros(5, 4), torch.zeros(3)):
        with pytest.raises(ValueError, match=r"\(m, K\) with K = 3: got"):
            favor_plus(torch.zeros(2, 3), bad)


def test_projections_are_orthogonal_within_blocks():
    P = orthogonal_projection(7, 3)
    assert P.shape == (7, 3)
    for block in P.split(3):
        gram = block @ block.T
        off = gram - gram.diag().diag()
        torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-5, rtol=0)


def test_projections_come_from_the_generator():
    one, two = (
        orthogonal_projection(6, 3, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, orthogonal_projection(6, 3))


def test_projections_are_as_long_as_gaussian_vectors():
    squares = orthogonal_projection(30000, 3).square().sum(dim=-1)
    torch.testing.assert_close(squares.mean(), torch.tensor(3.0), rtol=0.05, atol=0)
    torch.testing.assert_close(squares.var(), torch.tensor(6.0), rtol=0.15, atol=0)


@pytest.mark.equation("eq:sum-norm")
def test_sum_normalise_makes_entries_add_up_to_one():
    assert sum_normalise(torch.tensor([1.0, 3.0])).tolist() == [0.25, 0.75]
    x = sum_normalise(torch.rand(4, 5))
    torch.testing.assert_close(x.sum(dim=-1), torch.ones(4))


@pytest.mark.equation("eq:unit-norm")
def test_unit_norm_makes_vectors_of_length_one():
    x = torch.tensor([3.0, 4.0])
    torch.testing.assert_close(unit_norm(x), torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", ["tiny", "max"])
def test_unit_norm_keeps_the_direction_of_any_vector(dtype, size):
    length = getattr(torch.finfo(dtype), size)
    one = unit_norm(torch.tensor([[length, 0], [length, length]], dtype=dtype))
    half = math.sqrt(0.5)
    expected = torch.tensor([[1, 0], [half, half]], dtype=dtype)
    torch.testing.assert_close(one, expected)
    assert not unit_norm(torch.zeros(2, dtype=dtype)).any()


def test_signed_entries_that_cancel_are_left_as_they_are():
    assert sum_normalise(torch.tensor([1.0, -1.0])).tolist() == [1, -1]


@pytest.mark.parametrize("norm", [sum_normalise, unit_norm])
def test_zero_stays_zero_with_a_finite_gradient(norm):
    x = torch.zeros(2, 3, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert not y.any()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", MAPS)
def test_leading_axes_are_carried_along(name):
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    y = MAPS[name](x)
    assert y.shape[:2] == (2, 5)
    torch.testing.assert_close(y[1, 2], MAPS[name](x[1, 2]))


@pytest.mark.parametrize("name", ["elu", "dpfp", "favor", "sum"])
def test_maps_for_attention_are_never_negative(name):
    assert (MAPS[name](4 * torch.randn(100, 3, dtype=torch.float64)) >= 0).all()


@pytest.mark.parametrize("name", MAPS)
def test_gradients_match_finite_differences(name):
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(MAPS[name], [x])


def test_names_do_not_change_between_processes():
    assert name_of(elu_plus_one) == "elu_plus_one"
    assert name_of(functools.partial(dpfp, nu=2)) == "dpfp(nu=2)"
    assert name_of(torch.nn.Tanh()) == "Tanh"
    assert name_of(None) == "None"
