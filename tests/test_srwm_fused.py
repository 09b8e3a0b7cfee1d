"""The C++ of the self-referential matrix equals the readable loop in every gradient."""

import itertools
import threading

import pytest
import torch
from srwm_rules import all_results, errors, growing, inputs, stepped
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from srwm_lite.kernels import launch, srwm
from srwm_lite.self_reference import (
    BLOCKS,
    block_sizes,
    self_reference,
)

SIZES = [(1, 1), (1, 5), (4, 4), (7, 7), (8, 8), (16, 16), (33, 5), (5, 33), (32, 32)]
SIZES += [(33, 33), (64, 64)]
SUBSETS = [x for n in range(5) for x in itertools.combinations(BLOCKS, n)]


@pytest.fixture
def _poisoned():
    """Let torch fill new tensors with NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize("T", [1, 7, 63])
@pytest.mark.parametrize(("K", "V"), SIZES)
def test_equals_the_loop_to_the_last_digits(T, K, V):
    outputs, gradients = errors(inputs(2, T, 2, K, V), "fused")
    assert max(outputs + gradients) <= 1e-14


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize("T", [1, 7, 63])
@pytest.mark.parametrize(("K", "V"), SIZES)
def test_float32_is_near_float64(T, K, V):
    outputs, gradients = errors(inputs(2, T, 2, K, V, dtype=torch.float32), "fused")
    assert max(outputs + gradients) <= 1e-6


@pytest.mark.parametrize(("K", "V"), [(4, 4), (7, 7), (16, 16), (33, 5)])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-13), (None, 1e-5)])
def test_long_sequences(K, V, dtype, most):
    x = inputs(1, 600, 1, K, V, dtype=dtype or torch.float32)
    outputs, gradients = errors(x, "fused")
    assert max(outputs + gradients) <= most


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-13), (None, 1e-4)])
def test_the_gradient_is_held_where_the_matrix_grows(dtype, most):
    x, frozen = growing(), ("q", "k", "beta")
    x = [a.to(dtype or torch.float32) for a in x]
    _, last = self_reference(*x, frozen=frozen, backend="fused")
    assert last.norm() > 1e8 * x[1].norm()
    outputs, gradients = errors(x, "fused", frozen=frozen)
    assert max(outputs + gradients) <= most


@pytest.mark.parametrize("frozen", SUBSETS)
def test_frozen_blocks_keep_every_bit_and_gradients_equal_the_loop(frozen):
    x = inputs(2, 9, 2, 7, 5, dtype=torch.float32)
    _, last = self_reference(*x, frozen=frozen, backend="fused")
    before, after = (W.split(block_sizes(W), dim=2) for W in (x[1], last))
    for name, a, b in zip(BLOCKS, before, after, strict=True):
        assert torch.equal(a, b) == (name in frozen)
    outputs, gradients = errors([u.double() for u in x], "fused", frozen=frozen)
    assert max(outputs + gradients) <= 1e-14


def test_learning_rates_may_be_live_in_part():
    u, W = inputs()
    live = torch.tensor([0.5, 0.25, 2.0, 0.75]).double()

    ours = all_results([u, W], lambda u, W: srwm.fused()(u, W, live))
    for a, b in zip(ours, all_results([u, W], stepped, live=live), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("part", [0, 1])
def test_one_output_may_be_used_alone(part):
    x = [u.requires_grad_() for u in inputs()]
    found = []
    for backend in ("fused", "loop"):
        out = self_reference(*x, backend=backend)[part]
        found.append(torch.autograd.grad(out.square().sum(), x))
    for ours, loop in zip(*found, strict=True):
        torch.testing.assert_close(ours, loop, rtol=1e-12, atol=1e-12)


def test_gradcheck():
    x = [u.requires_grad_() for u in inputs(1, 3, 1, 3, 2)]
    assert gradcheck(lambda *x: self_reference(*x, backend="fused"), x)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("t", [0, 3, 6])
def test_nan_and_infinity_travel_as_in_the_loop(t, value):
    u, W = inputs(2, 7, 2, 17, 5)
    for spoiled in (u[0, t, 1], W[0, 1, t]):
        before = spoiled.clone()
        spoiled[0] = value
        loop, fused = (all_results([u, W], backend=b) for b in ("loop", "fused"))
        for a, b in zip(loop, fused, strict=True):
            assert torch.equal(a.isnan(), b.isnan())
            torch.testing.assert_close(a, b, equal_nan=True, rtol=1e-9, atol=1e-9)
        assert not loop[0].isfinite().all()
        assert loop[0][1].isfinite().all()  # the other sequence of the batch
        spoiled.copy_(before)


def test_views_are_computed_as_what_they_show():
    u, W = inputs()
    views = [u.transpose(1, 2).contiguous().transpose(1, 2), W.mT.contiguous().mT]
    assert not any(view.is_contiguous() for view in views)
    ours, plain = (all_results(x, backend="fused") for x in (views, [u, W]))
    assert all(map(torch.equal, ours, plain))


def test_inputs_are_left_alone_and_a_second_backward_agrees():
    x = [u.requires_grad_() for u in inputs()]
    before = [u.detach().clone() for u in x]
    loss = sum(u.square().sum() for u in self_reference(*x, backend="fused"))
    first = torch.autograd.grad(loss, x, retain_graph=True)
    second = torch.autograd.grad(loss, x)
    assert all(map(torch.equal, x, before))
    assert all(map(torch.equal, first, second))


def test_second_derivatives_are_refused_with_the_remedy():
    x = [u.requires_grad_() for u in inputs(1, 3, 1)]
    y, _ = self_reference(*x, backend="fused")
    first = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives: use backend='loop'"):
        first[0].sum().backward()


def test_threads_change_no_bit(monkeypatch):
    x = inputs(3, 9, 3, 16, 16, dtype=torch.float32)
    started, thread, found = [], threading.Thread, []
    monkeypatch.setattr(
        launch, "Thread", lambda **how: started.append(how) or thread(**how)
    )
    monkeypatch.setattr(launch, "WORTH_A_THREAD", 1)
    for n in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=n: n)
        found.append(all_results(x, backend="fused"))
    assert len(started) == 2  # one more thread forward, one more backward
    assert all(map(torch.equal, *found))


def test_a_step_keeps_vectors_and_no_matrix():
    kept, K, V, T = [], 3, 4, 200
    with saved_tensors_hooks(lambda u: kept.append(u.numel()) or u, lambda u: u):
        self_reference(
            *(u.requires_grad_() for u in inputs(1, T, 1, K, V)), backend="fused"
        )
    rows = V + 2 * K + 4
    assert sum(kept) == T * (K + 2 * K + rows + 4) + rows * K + len(BLOCKS)


def test_other_dtypes_are_refused_and_auto_takes_what_serves():
    x = [u.half() for u in inputs()]
    with pytest.raises(ValueError, match="float32 and float64"):
        self_reference(*x, backend="fused")
    assert self_reference(*x)[0].dtype == torch.float16
