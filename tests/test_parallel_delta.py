import pytest
import torch
from sequences import delta_inputs, gated_inputs, results, start

from srwm_lite.delta_rule import delta_rule, gated_delta_rule
from srwm_lite.parallel_delta import chunk_delta_rule, chunk_gated_delta_rule, decays

CASES = pytest.mark.parametrize(
    ("chunked", "rule", "inputs"),
    [
        (chunk_delta_rule, delta_rule, delta_inputs),
        (chunk_gated_delta_rule, gated_delta_rule, gated_inputs),
    ],
)


@CASES
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_any_size_of_chunk_equals_the_loop(chunked, rule, inputs, size):
    x = inputs(dtype=torch.float64)
    W = start(*x)
    ours = results(chunked, x, W, size=size)
    loop = results(rule, x, W, backend="loop")
    for a, b in zip(ours, loop, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.equation("eq:wy")
def test_the_writes_solve_the_triangular_system():
    q, k, v, beta = delta_inputs(B=1, T=5, H=1, dtype=torch.float64)
    W = start(q, k, v)
    y, end = delta_rule(q, k, v, beta, W, backend="loop")
    Q, K, V, b, W0 = q[0, :, 0], k[0, :, 0], v[0, :, 0], beta[0, :, 0].diag(), W[0, 0]
    system = torch.eye(5).double() + (b @ K @ K.T).tril(-1)
    U = torch.linalg.inv(system) @ b @ (V - K @ W0.T)
    torch.testing.assert_close(Q @ W0.T + (Q @ K.T).tril() @ U, y[0, :, 0])
    torch.testing.assert_close(W0 + U.T @ K, end[0, 0])


def test_the_writes_of_three_steps_by_hand():
    # keys e1, e1, e1 + e2; errors 4 - 0, 6 - 2, 1 - 4, of which half is written
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])[None, :, None]
    v = torch.tensor([4.0, 6.0, 1.0])[None, :, None, None]
    beta = torch.full((1, 3, 1), 0.5)
    y, W = chunk_delta_rule(one, one, v, beta, torch.zeros(1, 1, 1, 2))
    assert y.flatten().tolist() == [2, 4, 1]
    assert W.flatten().tolist() == [2.5, -1.5]


def test_products_of_householder_matrices_have_a_wy_form():
    q, k, _, beta = delta_inputs(B=1, T=4, H=1, dtype=torch.float64)
    eye = torch.eye(4, dtype=torch.float64)[None, None]
    _, product = chunk_delta_rule(q, k, torch.zeros_like(k), 2 * beta, eye)
    expected = eye[0, 0]
    for t in range(4):
        kt = k[0, t, 0]
        expected = expected @ (eye[0, 0] - 2 * beta[0, t, 0] * torch.outer(kt, kt))
    torch.testing.assert_close(product[0, 0], expected)


def test_decays_are_products_by_hand():
    since_start, between = decays(torch.tensor([0.5, 0.0, 2.0, 3.0]))
    assert since_start.flatten().tolist() == [0.5, 0, 0, 0]
    assert between.tril().tolist() == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 2, 1, 0],
        [0, 6, 3, 1],
    ]


def test_decays_of_zero_have_the_gradient_of_the_loop():
    *x, alpha = gated_inputs(dtype=torch.float64)
    x, W = (*x, torch.zeros_like(alpha)), start(*x)
    ours = results(chunk_gated_delta_rule, x, W)
    loop = results(gated_delta_rule, x, W, backend="loop")
    for a, b in zip(ours, loop, strict=True):
        torch.testing.assert_close(a, b)
