"""The CUDA kernels of recurrent rules, run on the CPU, equal the readable loop."""

import pytest
import torch
from recurrent_rules import RULES, all_results, errors, sequence
from rules import needs_gcc
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from srwm_lite.backends import BackendUnavailableError
from srwm_lite.kernels import recurrent_delta
from srwm_lite.kernels.cpu.emulate import Module
from srwm_lite.kernels.cuda import emulation, source

pytestmark = needs_gcc


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


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("K", "V"), [(7, 7), (5, 33), (64, 64)])
def test_float32_equals_the_loop(rule, K, V):
    for T in (1, 7, 63):
        outputs, gradients = errors(rule, 2, T, 2, K, V, backend="emulated")
        assert max(outputs) <= 1e-5, (T, outputs)
        assert max(gradients) <= 1e-4, (T, gradients)


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(
    ("rule", "K", "V"),
    [("recurrent_delta", 3, 4), ("recurrent_delta", 40, 1), ("delta_rnn", 3, 4)],
)
def test_float64_equals_the_loop_to_the_last_digits(rule, K, V):
    sizes = 2, 17, 3, K, V
    outputs, gradients = errors(rule, *sizes, backend="emulated", dtype=torch.float64)
    assert max(outputs + gradients) <= 1e-14


@pytest.mark.parametrize("T", [1, 4])
def test_gradients_pass_gradcheck(rule, T):
    run, x = sequence(rule, 1, T, 1, 3, 4)
    x = [u.requires_grad_() for u in x]
    assert gradcheck(lambda *u: run(*u, backend="emulated"), x)


def test_the_order_of_the_threads_changes_no_bit(rule):
    run, x = sequence(rule, 2, 7, 2, 5, 33, dtype=torch.float32)
    found = []
    for order in ("forward", "backward", "random"):
        with emulation(order=order, seed=1):
            found.append(all_results(run, x, backend="emulated"))
    for first, *others in zip(*found, strict=True):
        assert all(torch.equal(first, other) for other in others)


def test_walking_back_many_steps_loses_no_digit(rule):
    outputs, gradients = errors(rule, 1, 500, 1, 7, 7, backend="emulated")
    assert max(outputs + gradients) <= 5e-6


def test_strengths_may_be_exactly_zero_and_one(rule):
    run, x = sequence(rule, 1, 7, 2, 3, 4)
    ends = {"recurrent_delta": (-torch.inf, torch.inf), "delta_rnn": (0.0, 1.0)}[rule]
    for beta in [u for u in x if u.dim() == 3 and u.shape[:2] == (1, 7)]:
        beta[:, 1], beta[:, 4] = ends
    ours, loop = (all_results(run, x, backend=b) for b in ("emulated", "loop"))
    for a, b in zip(ours, loop, strict=True):
        assert a.isfinite().all()
        torch.testing.assert_close(a, b)


def test_a_sequence_may_be_cut_anywhere():
    run, x = sequence("recurrent_delta", 2, 9, 2, 3, 4)
    *qkvb, R, W, y = (u.requires_grad_() for u in x)
    whole, *end = run(*x, backend="emulated")
    first, *middle = run(*(u[:, :4] for u in qkvb), R, W, y, backend="emulated")
    rest, *end_2 = run(*(u[:, 4:] for u in qkvb), R, *middle, backend="emulated")
    losses = []
    for out, last in ((whole, end), (torch.cat([first, rest], 1), end_2)):
        losses.append(sum(u.square().sum() for u in (out, *last)))
    for a, b in zip(*(torch.autograd.grad(loss, x) for loss in losses), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_inputs_are_left_alone_and_a_second_backward_agrees(rule):
    run, x = sequence(rule, 2, 5, 2, 3, 4)
    before = [u.clone() for u in x]
    given = [u.requires_grad_() for u in x]
    loss = sum(u.square().sum() for u in run(*given, backend="emulated"))
    first = torch.autograd.grad(loss, given, retain_graph=True)
    second = torch.autograd.grad(loss, given)
    assert all(map(torch.equal, given, before))
    assert all(map(torch.equal, first, second))


def test_views_are_computed_as_what_they_show(rule):
    run, x = sequence(rule, 2, 5, 2, 3, 4)
    views = [u.transpose(0, 1).contiguous().transpose(0, 1) for u in x]
    assert not views[0].is_contiguous()
    for a, b in zip(
        all_results(run, views, backend="emulated"),
        all_results(run, x, backend="emulated"),
        strict=True,
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_one_output_may_be_used_alone(rule, part):
    run, x = sequence(rule, 2, 5, 2, 3, 4)
    found = []
    for backend in ("emulated", "loop"):
        given = [u.clone().requires_grad_() for u in x]
        out = run(*given, backend=backend)[part]
        found.append(torch.autograd.grad(out.sum(), given, allow_unused=True))
    for ours, loop in zip(*found, strict=True):
        assert (ours is None) == (loop is None)
        if ours is not None:
            torch.testing.assert_close(ours, loop)


def test_what_nobody_read_gives_back_no_nan():
    run, x = sequence("recurrent_delta", 1, 4, 2, 3, 4)
    x[0][:, -1] = torch.nan  # the last query: y is NaN, W is not
    given = [u.requires_grad_() for u in x]
    _, W, _ = run(*given, backend="emulated")
    gradients = torch.autograd.grad(W.sum(), given)
    assert all(g.isfinite().all() for g in gradients)
    assert not gradients[0][:, -1].any()


def test_second_derivatives_are_refused_with_the_remedy(rule):
    run, x = sequence(rule, 1, 3, 1, 3, 4)
    given = [u.requires_grad_() for u in x]
    y = run(*given, backend="emulated")[0]
    first = torch.autograd.grad(y.square().sum(), given, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives: use backend='loop'"):
        first[0].sum().backward()


def test_backward_keeps_only_the_first_or_last_fast_weights(rule):
    kept = []
    run, x = sequence(rule, 1, 50, 1, 3, 4)
    with saved_tensors_hooks(lambda u: kept.append(u.numel()) or u, lambda u: u):
        run(*(u.requires_grad_() for u in x), backend="emulated")
    a_step, once = {"recurrent_delta": (15, 60), "delta_rnn": (24, 44)}[rule]
    assert sum(kept) <= 50 * a_step + once


def test_a_batch_may_be_empty(rule):
    run, x = sequence(rule, 0, 5, 2, 3, 4)
    out = all_results(run, x, backend="emulated")
    assert out[0].shape == (0, 5, 2, 4)
    assert [u.shape for u in out[-len(x) :]] == [u.shape for u in x]


def test_what_does_not_fit_is_refused_with_the_remedy(rule):
    for K, V in ((66, 3), (3, 66)):
        run, x = sequence(rule, 1, 2, 1, K, V)
        with pytest.raises(ValueError, match=r"smaller heads, or backend='loop'"):
            run(*x, backend="emulated")
    run, x = sequence(rule, 1, 2, 1, 3, 4)
    with pytest.raises(ValueError, match=r"float64 on 'cpu': got torch.float16 on cpu"):
        run(*(u.half() for u in x), backend="emulated")


@pytest.mark.parametrize(("K", "V"), [(1, 1), (5, 33), (40, 2), (64, 64)])
def test_the_launcher_starts_as_many_threads_as_the_kernel_counts_on(K, V):
    text = source("recurrent_delta.cu").split("// Bring numbers")[0]
    text += """
extern "C" __global__ void count(int* n)
{
    n[0] = FORWARD, n[1] = BACKWARD, n[2] = RECURRENT;
}
"""
    n = torch.zeros(3).int()
    Module(text, real="float", K=K, V=V).kernel("count")((1,), (1,), [n])
    assert tuple(n) == recurrent_delta.threads(torch.zeros(K), torch.zeros(V))


def test_where_there_is_no_gpu_the_remedy_is_told(rule, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run, x = sequence(rule, 1, 2, 1, 3, 4)
    with pytest.raises(BackendUnavailableError, match="or 'emulated' to run"):
        run(*x, backend="cuda")


def test_dtypes_of_all_inputs_are_compared():
    _, x = sequence("recurrent_delta", 1, 2, 1, 3, 4)
    x[4] = x[4].float()
    with pytest.raises(ValueError, match="must share dtype and device"):
        recurrent_delta.emulated()(*x)
