import pytest
import torch

from srwm_lite.outer_product import read, write


@pytest.mark.equation("eq:write")
def test_write_adds_the_outer_product_by_hand():
    W = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    k, v = torch.tensor([1.0, 10.0]), torch.tensor([1.0, 2.0, 3.0])
    assert write(W, k, v).tolist() == [[2, 10], [2, 21], [5, 32]]


@pytest.mark.equation("eq:read")
def test_read_is_the_matrix_product_by_hand():
    W = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert read(W, torch.tensor([1.0, 10.0])).tolist() == [21, 43, 65]


def test_orthonormal_keys_give_every_value_back():
    keys = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    values = torch.randn(6, 4, dtype=torch.float64)
    W = torch.zeros(4, 6, dtype=torch.float64)
    for k, v in zip(keys, values, strict=True):
        W = write(W, k, v)
    for k, v in zip(keys, values, strict=True):
        torch.testing.assert_close(read(W, k), v)


def test_crosstalk_is_the_dot_product_with_the_other_key():
    k1, k2 = torch.randn(2, 5, dtype=torch.float64)
    v1, v2 = torch.randn(2, 3, dtype=torch.float64)
    W = write(write(torch.zeros(3, 5).double(), k1, v1), k2, v2)
    torch.testing.assert_close(read(W, k1), (k1 @ k1) * v1 + (k2 @ k1) * v2)


def test_order_of_writes_does_not_matter():
    k, v = torch.randn(2, 5, dtype=torch.float64), torch.randn(2, 3).double()
    W = torch.zeros(3, 5, dtype=torch.float64)
    forth = write(write(W, k[0], v[0]), k[1], v[1])
    back = write(write(W, k[1], v[1]), k[0], v[0])
    torch.testing.assert_close(forth, back)


def test_the_memory_handed_in_is_left_alone():
    W = torch.zeros(3, 5)
    write(W, torch.ones(5), torch.ones(3))
    assert not W.any()


def test_leading_axes_are_carried_along():
    W, k, v = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 5), torch.randn(2, 4, 3)
    after, y = write(W, k, v), read(W, k)
    for b in range(2):
        for h in range(4):
            torch.testing.assert_close(after[b, h], write(W[b, h], k[b, h], v[b, h]))
            torch.testing.assert_close(y[b, h], W[b, h] @ k[b, h])


def test_gradients_match_finite_differences():
    W, k, v = torch.randn(2, 3, 4), torch.randn(2, 4), torch.randn(2, 3)
    x = [u.double().requires_grad_() for u in (W, k, v)]
    assert torch.autograd.gradcheck(lambda W, k, v: read(write(W, k, v), k), x)


def test_vectors_that_do_not_fit_are_named():
    W, k, v = torch.zeros(3, 5), torch.zeros(5), torch.zeros(3)
    with pytest.raises(ValueError, match=r"k must have K = 5 entries .* got k \(3,\)"):
        write(W, v, v)
    with pytest.raises(ValueError, match=r"v must have V = 3 entries .* got v \(5,\)"):
        write(W, k, k)
    with pytest.raises(ValueError, match=r"q must have K = 5 entries .* got q \(3,\)"):
        read(W, v)
    with pytest.raises(ValueError, match=r"q must have K = \? entries"):
        read(k, k)
    with pytest.raises(ValueError, match=r"got q \(\)"):
        read(W, torch.tensor(1.0))
