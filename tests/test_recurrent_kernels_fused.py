"""C++ that hears its own output equals the readable loop, NaN and infinity included."""

import threading

import pytest
import torch
from recurrent_rules import RULES, all_results, errors, sequence
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from srwm_lite import backends
from srwm_lite.kernels import compile as compiling
from srwm_lite.kernels import launch

SIZES = [(4, 4), (5, 3), (16, 16), (1, 7), (8, 8), (32, 32), (64, 64), (37, 21)]


@pytest.fixture(params=RULES)
def rule(request):
    return request.param


def random_sequence(rule, *sizes, **options):
    torch.manual_seed(0)
    return sequence(rule, *sizes, **options)


def only(which, run, x, backend):
    """Return the gradients of one output: y, or a part of the last state."""
    x = [u.detach().requires_grad_() for u in x]
    out = run(*x, backend=backend)[which]
    weights = torch.cos(torch.arange(out.numel(), dtype=torch.float64)).to(out)
    loss = (out.flatten() * weights).sum()
    return torch.autograd.grad(loss, x, materialize_grads=True)


def assert_equal(a, b, rtol=1e-13):
    for one, other in zip(a, b, strict=True):
        assert (one - other).norm() <= rtol * max(1, one.norm())


@pytest.mark.parametrize("T", [1, 7, 63])
@pytest.mark.parametrize(("K", "V"), SIZES)
def test_equals_the_loop(rule, T, K, V):
    run, x = random_sequence(rule, 2, T, 3, K, V)
    loop, fused = (all_results(run, x, backend=b) for b in ("loop", "fused"))
    assert_equal(loop, fused)


@pytest.mark.parametrize(("K", "V"), SIZES)
def test_float32_is_near_float64(rule, K, V):
    torch.manual_seed(0)
    outputs, gradients = errors(rule, 2, 63, 2, K, V, backend="fused")
    assert max(*outputs, *gradients) < 4e-6


@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_gradient_through_one_output_only(rule, which):
    run, x = random_sequence(rule, 2, 7, 3, 5, 6)
    if which < len(run(*x, backend="loop")):
        assert_equal(*(only(which, run, x, b) for b in ("loop", "fused")))


def test_gradcheck(rule):
    run, x = random_sequence(rule, 1, 3, 1, 3, 2)
    x = [u.requires_grad_() for u in x]
    assert gradcheck(lambda *x: run(*x, backend="fused"), x)


def assert_alike(loop, fused):
    for a, b in zip(loop, fused, strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.allclose(a, b, equal_nan=True, rtol=1e-9)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("t", [0, 3, 6])
def test_nan_and_infinity_travel_as_in_the_loop(rule, t, value):
    run, clean = random_sequence(rule, 2, 7, 2, 17, 5)
    for i, x in enumerate(clean):
        spoiled = [u.clone() for u in clean]
        over_time = x.shape[:2] == (2, 7)
        spoiled[i][(0, t, 1) if over_time else (0, 1)].view(-1)[0] = value
        loop, fused = (all_results(run, spoiled, backend=b) for b in ("loop", "fused"))
        assert_alike(loop, fused)


def test_unread_nan_does_not_come_back(rule):
    run, x = random_sequence(rule, 2, 7, 2, 5, 5)
    x[0][0, -1] = float("nan")  # the last query: only the last output sees it
    loop, fused = (only(1, run, x, backend) for backend in ("loop", "fused"))
    assert_equal(loop, fused)
    assert all(u.isfinite().all() for u in fused)


def test_what_a_huge_value_covered_comes_out_as_it_was(rule):
    run, x = random_sequence(rule, 1, 40, 1, 16, 16)
    huge = 5 if rule == "delta_rnn" else 2
    x[huge][:, 20] = 1e9
    exact = only(1 + (rule == "delta_rnn"), run, x, "loop")
    fused = only(1 + (rule == "delta_rnn"), run, [u.float() for u in x], "fused")
    for a, b in zip(exact, fused, strict=True):
        if a.shape[:2] == (1, 40):
            assert (a - b)[:, :20].norm() <= 1e-3 * a[:, :20].norm()


def test_infinite_reluctance_writes_nothing_and_has_no_gradient():
    run, x = random_sequence("recurrent_delta", 2, 7, 2, 8, 8)
    x[3].fill_(-torch.inf)
    y, W, _, *gradients = all_results(run, x, backend="fused")
    assert torch.equal(W, x[5])
    assert_equal(all_results(run, x, backend="loop"), [y, W, _, *gradients])
    assert not gradients[3].any()


def test_zero_recurrent_weights():
    run, x = random_sequence("recurrent_delta", 1, 7, 1, 8, 8)
    x[4].zero_()
    assert_equal(*(all_results(run, x, backend=b) for b in ("loop", "fused")))


def strided(x, how):
    if how == "heads first" and x.dim() > 2:
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    if how == "every other":
        return x.repeat_interleave(2, dim=-1)[..., ::2]
    if how == "part of a row":
        return torch.cat([x, x], dim=-1)[..., : x.shape[-1]]
    return x.mean(dim=0, keepdim=True).expand_as(x)


@pytest.mark.parametrize(
    "how", ["heads first", "every other", "part of a row", "same for all"]
)
def test_strides(rule, how):
    run, x = random_sequence(rule, 2, 7, 3, 20, 6)
    x = [strided(u, how) for u in x]
    dense = [u.contiguous() for u in x]
    pairs = ([*run(*u, backend="fused"), *only(0, run, u, "fused")] for u in (x, dense))
    for a, b in zip(*pairs, strict=True):
        assert torch.equal(a, b)


def test_inputs_survive_and_backward_runs_twice(rule):
    run, x = random_sequence(rule)
    x = [u.requires_grad_() for u in x]
    before = [u.detach().clone() for u in x]
    loss = sum(u.sum() for u in run(*x, backend="fused"))
    one = torch.autograd.grad(loss, x, retain_graph=True)
    two = torch.autograd.grad(loss, x)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, x, strict=True))


def test_second_derivatives_are_refused_with_the_remedy(rule):
    run, x = random_sequence(rule)
    x = [u.requires_grad_() for u in x]
    (dv,) = torch.autograd.grad(
        run(*x, backend="fused")[0].sum(), x[2], create_graph=True
    )
    with pytest.raises(RuntimeError, match="backend='loop'"):
        dv.sum().backward()


def test_every_number_is_written(rule):
    run, x = random_sequence(rule, 1, 7, 3, 19, 21)
    clean = all_results(run, x, backend="fused")
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        assert torch.empty(3).isnan().all()
        poisoned = all_results(run, x, backend="fused")
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(clean, poisoned, strict=True))


def test_threads_change_no_bit(rule, monkeypatch):
    run, x = random_sequence(rule, 3, 9, 3, 16, 16, dtype=torch.float32)
    started, thread, found = [], threading.Thread, []
    monkeypatch.setattr(
        launch, "Thread", lambda **how: started.append(how) or thread(**how)
    )
    monkeypatch.setattr(launch, "WORTH_A_THREAD", 1)
    for n in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=n: n)
        found.append(all_results(run, x, backend="fused"))
    assert len(started) >= 2
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_memory_grows_with_time_times_width(rule):
    def kept(T, K):
        numbers = []
        run, x = random_sequence(rule, 1, T, 1, K, K)
        x = [u.requires_grad_() for u in x]
        with saved_tensors_hooks(lambda u: numbers.append(u.numel()) or u, lambda u: u):
            run(*x, backend="fused")
        return sum(numbers)

    narrow, wide = ([kept(T, K) for T in (64, 128, 256)] for K in (16, 32))
    assert narrow[2] - narrow[1] == 2 * (narrow[1] - narrow[0])
    assert wide[1] - wide[0] <= 2 * (narrow[1] - narrow[0])


def test_other_dtypes(rule):
    run, x = random_sequence(rule, dtype=torch.float16)
    with pytest.raises(ValueError, match="float32 and float64"):
        run(*x, backend="fused")
    assert run(*x, backend="auto")[0].dtype == torch.float16


def test_no_compiler(rule, monkeypatch):
    def missing():
        raise RuntimeError("there is no C++ compiler")

    monkeypatch.setattr(compiling, "compiler", missing)
    monkeypatch.setattr(backends, "_said", set())
    compiling.load.cache_clear()
    try:
        run, x = random_sequence(rule)
        with pytest.raises(RuntimeError, match="no C"):
            run(*x, backend="fused")
        with pytest.warns(UserWarning, match=f"Plain torch computes {rule}"):
            y, *_ = run(*x, backend="auto")
        assert torch.equal(y, run(*x, backend="loop")[0])
    finally:
        compiling.load.cache_clear()


def test_every_header_counts(tmp_path):
    source = tmp_path / "idea.cpp"
    source.write_text("")
    before = compiling.fingerprint(["g++"], source)
    (tmp_path / "new.h").write_text("")
    assert compiling.fingerprint(["g++"], source) != before
