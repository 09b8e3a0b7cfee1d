"""The CUDA kernels, run on the CPU, equal the readable loop."""

import pytest
import torch
from rules import RULES, errors, needs_gcc, sequence
from sequences import results
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from srwm_lite.kernels.cuda import emulation
from srwm_lite.linear_attention import linear_attention

SIZES = [(4, 4), (16, 16), (20, 20), (40, 40), (64, 64), (5, 33), (48, 7)]


@pytest.fixture(params=RULES)
def rule(request):
    return request.param


@pytest.fixture
def _poisoned():
    """Let torch fill new tensors with NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


@needs_gcc
@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("K", "V"), SIZES)
def test_float32_equals_the_loop(rule, K, V):
    for T in (1, 2, 63, 100):
        y, W, *gradients = errors(rule, 2, T, 2, K, V, backend="emulated")
        assert max(y, W) <= 1e-5, (T, y, W)
        assert max(gradients) <= 1e-4, (T, gradients)


@needs_gcc
@pytest.mark.usefixtures("_poisoned")
def test_float64_equals_the_loop_to_the_last_digits(rule):
    found = errors(rule, 2, 17, 3, 3, 4, backend="emulated", dtype=torch.float64)
    assert max(found) <= 1e-14


@needs_gcc
@pytest.mark.parametrize("T", [1, 2, 11])
def test_gradients_pass_gradcheck(rule, T):
    run, x, W = sequence(rule, 1, T, 1, 3, 4, dtype=torch.float64)
    x = [u.requires_grad_() for u in (*x, W)]
    assert gradcheck(lambda *u: run(*u, backend="emulated"), x)


@needs_gcc
@pytest.mark.parametrize(("K", "V"), [(4, 4), (20, 20), (5, 33), (64, 64)])
def test_the_order_of_the_threads_changes_no_bit(rule, K, V):
    run, x, W = sequence(rule, 2, 11, 2, K, V)
    found = []
    for order in ("forward", "backward", "random"):
        with emulation(order=order, seed=1):
            found.append(results(run, x, W, backend="emulated"))
    for first, *others in zip(*found, strict=True):
        assert all(torch.equal(first, other) for other in others)


@needs_gcc
def test_inputs_are_left_alone_and_a_second_backward_agrees(rule):
    run, x, W = sequence(rule, 2, 5, 2, 3, 4)
    given = [u.requires_grad_() for u in (*x, W)]
    before = [u.detach().clone() for u in given]
    y, last = run(*given, backend="emulated")
    loss = y.sum() + last.square().sum()
    first = torch.autograd.grad(loss, given, retain_graph=True)
    second = torch.autograd.grad(loss, given)
    assert all(map(torch.equal, given, before))
    assert all(map(torch.equal, first, second))


@needs_gcc
def test_views_are_computed_as_what_they_show(rule):
    run, x, W = sequence(rule, 2, 5, 2, 3, 4)
    views = [u.transpose(1, 2).contiguous().transpose(1, 2) for u in x]
    assert not views[0].is_contiguous()
    turned = W.mT.contiguous().mT
    for a, b in zip(
        results(run, views, turned, backend="emulated"),
        results(run, x, W, backend="emulated"),
        strict=True,
    ):
        assert torch.equal(a, b)


@needs_gcc
@pytest.mark.parametrize("part", [0, 1])
def test_one_output_may_go_unused(rule, part):
    run, x, W = sequence(rule, 2, 5, 2, 3, 4, dtype=torch.float64)
    found = []
    for backend in ("emulated", "loop"):
        given = [u.clone().requires_grad_() for u in (*x, W)]
        out = run(*given, backend=backend)[part]
        found.append(torch.autograd.grad(out.sum(), given, allow_unused=True))
    for ours, loop in zip(*found, strict=True):
        assert (ours is None) == (loop is None)
        if ours is not None:
            torch.testing.assert_close(ours, loop)


@needs_gcc
def test_second_derivatives_are_refused_with_the_remedy(rule):
    run, x, W = sequence(rule, 1, 3, 1, 3, 4)
    given = [u.requires_grad_() for u in (*x, W)]
    y, _ = run(*given, backend="emulated")
    first = torch.autograd.grad(y.square().sum(), given, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives: use backend='loop'"):
        first[0].sum().backward()


@needs_gcc
def test_backward_keeps_no_fast_weights(rule):
    kept = []
    run, x, W = sequence(rule, 1, 50, 1, 8, 8)
    with saved_tensors_hooks(lambda u: kept.append(u.numel()) or u, lambda u: u):
        run(*(u.requires_grad_() for u in x), W=W, backend="emulated")
    assert sum(kept) <= 4 * 50 * 8 + 2 * 50 + 8 * 8


@needs_gcc
def test_a_batch_may_be_empty(rule):
    run, x, W = sequence(rule, 0, 5, 2, 3, 4)
    y, last = run(*x, W, backend="emulated")
    assert y.shape == (0, 5, 2, 4)
    assert last.shape == (0, 2, 4, 3)


@needs_gcc
def test_a_row_of_sums_fits_beside_the_largest_values():
    q, k, v = (torch.rand(1, 4, 1, 64) for _ in range(3))
    y, _ = linear_attention(q, k, v, normalise=True, backend="emulated")
    expected, _ = linear_attention(q, k, v, normalise=True, backend="loop")
    torch.testing.assert_close(y, expected)
