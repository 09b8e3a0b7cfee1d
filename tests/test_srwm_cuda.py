"""The CUDA kernels of the self-referential matrix, run on the CPU, equal the loop."""

import importlib.util

import pytest
import torch
from rules import needs_gcc
from sequences import results
from srwm_rules import all_results, errors, growing, inputs, stepped
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from srwm_lite import backends
from srwm_lite.kernels import srwm
from srwm_lite.kernels.cpu.emulate import Module
from srwm_lite.kernels.cuda import emulation, source
from srwm_lite.self_reference import (
    BLOCKS,
    block_sizes,
    self_reference,
)

pytestmark = needs_gcc
MOST = 1e-14  # relative error of float64 where rounding errors do not grow


@pytest.fixture
def _poisoned():
    """Let torch fill new tensors with NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("K", "V"), [(7, 7), (5, 33), (33, 5), (64, 64)])
def test_float32_equals_the_loop(K, V):
    for T in (1, 7, 63):
        x = inputs(2, T, 2, K, V, dtype=torch.float32)
        outputs, gradients = errors(x, "emulated")
        assert max(outputs) <= 2e-6, (T, outputs)
        assert max(gradients) <= 5e-6, (T, gradients)


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("K", "V"), [(3, 4), (40, 1), (1, 40), (1, 1)])
def test_float64_equals_the_loop_to_the_last_digits(K, V):
    outputs, gradients = errors(inputs(2, 17, 3, K, V), "emulated")
    assert max(outputs + gradients) <= MOST


@pytest.mark.parametrize("T", [1, 4])
def test_gradients_pass_gradcheck(T):
    x = [u.requires_grad_() for u in inputs(1, T, 1)]
    assert gradcheck(lambda *x: self_reference(*x, backend="emulated"), x)


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("K", "V"), [(4, 3), (3, 9)])
def test_it_is_right_far_beyond_the_matrices_it_keeps(K, V):
    # the published kernel is wrong past the steps that fit into shared memory
    assert 600 > 9 * srwm.EVERY
    x = inputs(1, 600, 2, K, V)
    x[1] = x[1] / 2  # the rounding errors of the forward do not grow then
    outputs, gradients = errors(x, "emulated")
    assert max(outputs) <= 1e-12
    assert max(gradients) <= 1e-11
    outputs, gradients = errors([u.float() for u in x], "emulated")
    assert max(outputs + gradients) <= 1e-4


@pytest.mark.parametrize("T", [4, 5, 6, 10, 11])
def test_every_step_may_be_the_one_after_a_kept_matrix(T, monkeypatch):
    monkeypatch.setattr(srwm, "EVERY", 5)
    outputs, gradients = errors(inputs(2, T, 2), "emulated")
    assert max(outputs + gradients) <= MOST


def test_kept_matrices_hold_the_gradient_where_the_matrix_grows(monkeypatch):
    x, frozen = growing(), ("q", "k", "beta")
    _, last = self_reference(*x, frozen=frozen, backend="emulated")
    assert last.norm() > 1e8 * x[1].norm()
    outputs, gradients = errors(x, "emulated", frozen=frozen)
    assert max(outputs + gradients) <= 1e-4
    monkeypatch.setattr(srwm, "EVERY", 600)  # none is kept
    outputs, gradients = errors(x, "emulated", frozen=frozen)
    assert max(outputs) <= 1e-5
    assert min(gradients) > 1


@pytest.mark.parametrize("frozen", [*((name,) for name in BLOCKS), BLOCKS])
def test_frozen_blocks_keep_every_bit_and_gradients_equal_the_loop(frozen):
    x = inputs(2, 9, 2, dtype=torch.float32)
    _, last = self_reference(*x, frozen=frozen, backend="emulated")
    before, after = (W.split(block_sizes(W), dim=2) for W in (x[1], last))
    for name, a, b in zip(BLOCKS, before, after, strict=True):
        assert torch.equal(a, b) == (name in frozen)
    outputs, gradients = errors([u.double() for u in x], "emulated", frozen=frozen)
    assert max(outputs + gradients) <= MOST


def test_learning_rates_may_be_live_in_part():
    u, W = inputs()
    live = torch.tensor([0.5, 0.25, 2.0, 0.75]).double()

    ours = all_results([u, W], lambda u, W: srwm.emulated()(u, W, live))
    for a, b in zip(ours, all_results([u, W], stepped, live=live), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_the_order_of_the_threads_changes_no_bit():
    x = inputs(2, 7, 2, 33, 5, dtype=torch.float32)
    found = []
    for order in ("forward", "backward", "random"):
        with emulation(order=order, seed=1):
            found.append(all_results(x, backend="emulated"))
    for first, *others in zip(*found, strict=True):
        assert all(torch.equal(first, other) for other in others)


def test_a_sequence_may_be_cut_anywhere(monkeypatch):
    monkeypatch.setattr(srwm, "EVERY", 2)
    u, W = inputs(2, 9)

    def halves(u, W, **options):
        first, W = self_reference(u[:, :4], W, **options)
        rest, W = self_reference(u[:, 4:], W, **options)
        return torch.cat([first, rest], dim=1), W

    whole = results(self_reference, [u], W, backend="emulated")
    for a, b in zip(whole, results(halves, [u], W, backend="emulated"), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_inputs_are_left_alone_and_a_second_backward_agrees():
    x = [u.requires_grad_() for u in inputs()]
    before = [u.detach().clone() for u in x]
    loss = sum(u.square().sum() for u in self_reference(*x, backend="emulated"))
    first = torch.autograd.grad(loss, x, retain_graph=True)
    second = torch.autograd.grad(loss, x)
    assert all(map(torch.equal, x, before))
    assert all(map(torch.equal, first, second))


def test_views_are_computed_as_what_they_show():
    u, W = inputs()
    views = [u.transpose(1, 2).contiguous().transpose(1, 2), W.mT.contiguous().mT]
    assert not any(view.is_contiguous() for view in views)
    ours, plain = (all_results(x, backend="emulated") for x in (views, [u, W]))
    assert all(map(torch.equal, ours, plain))


@pytest.mark.parametrize("part", [0, 1])
def test_one_output_may_be_used_alone(part):
    x = [u.requires_grad_() for u in inputs()]
    found = []
    for backend in ("emulated", "loop"):
        out = self_reference(*x, backend=backend)[part]
        found.append(torch.autograd.grad(out.square().sum(), x))
    for ours, loop in zip(*found, strict=True):
        torch.testing.assert_close(ours, loop)


def test_second_derivatives_are_refused_with_the_remedy():
    x = [u.requires_grad_() for u in inputs(1, 3, 1)]
    y, _ = self_reference(*x, backend="emulated")
    first = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives: use backend='loop'"):
        first[0].sum().backward()


def test_backward_keeps_a_matrix_only_now_and_then():
    kept, K, V, T = [], 3, 4, 200
    with saved_tensors_hooks(lambda u: kept.append(u.numel()) or u, lambda u: u):
        self_reference(
            *(u.requires_grad_() for u in inputs(1, T, 1, K, V)), backend="emulated"
        )
    a_step, matrix = (4 * K + V + 8) + K, (V + 2 * K + 4) * K
    assert sum(kept) == T * a_step + (T // srwm.EVERY + 1) * matrix + len(BLOCKS)


def test_a_batch_may_be_empty():
    out = all_results(inputs(0, 5), backend="emulated")
    assert [u.shape[0] for u in out] == [0] * 4


@pytest.mark.parametrize(("K", "V"), [(66, 3), (3, 66)])
def test_what_does_not_fit_is_refused_and_auto_passes_it_over(K, V, monkeypatch):
    x = inputs(1, 2, 1, K, V)
    with pytest.raises(ValueError, match=r"smaller heads, or backend='loop'"):
        self_reference(*x, backend="emulated")
    monkeypatch.setattr(backends, "kernel", lambda *_: srwm.emulated())
    y, _ = self_reference(*x)
    assert torch.equal(y, self_reference(*x, backend="loop")[0])


def test_dtypes_of_all_inputs_are_compared():
    u, W = inputs()
    with pytest.raises(ValueError, match=r"float64 on 'cpu': got torch.float16 on cpu"):
        self_reference(u.half(), W.half(), backend="emulated")
    with pytest.raises(ValueError, match="must share dtype and device"):
        srwm.emulated()(u, W, torch.ones(4))


@pytest.mark.parametrize(("K", "V"), [(1, 1), (5, 33), (40, 2), (64, 64)])
def test_the_launcher_starts_as_many_threads_as_the_kernel_counts_on(K, V):
    text = source("srwm.cu").split("// Where the blocks")[0]
    text += """
extern "C" __global__ void count(int* n)
{
    n[0] = FORWARD, n[1] = BACKWARD, n[2] = USED;
}
"""
    n = torch.zeros(3).int()
    Module(text, real="float", K=K, V=V).kernel("count")((1,), (1,), [n])
    W = torch.zeros(V + 2 * K + 4, K)
    assert tuple(n) == (*srwm.threads(W), 4 * K + V + 8)


def test_where_there_is_no_gpu_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(backends.BackendUnavailableError, match="or 'emulated' to run"):
        self_reference(*inputs(), backend="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(
    not importlib.util.find_spec("cupy"), reason="see requirements-gpu.txt"
)
@pytest.mark.parametrize("D", [4, 16, 20, 64])
def test_on_a_gpu_float32_equals_the_loop(D):
    for T in (1, 63, 200):
        x = inputs(2, T, 3, D, D, dtype=torch.float32, device="cuda")
        outputs, gradients = errors(x, "cuda")
        assert max(outputs) <= 1e-5
        assert max(gradients) <= 1e-4
        first, again = (all_results(x, backend="cuda") for _ in range(2))
        assert all(map(torch.equal, first, again))
