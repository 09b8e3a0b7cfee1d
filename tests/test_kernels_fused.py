"""The C++ backend equals the readable loop, in every gradient and every NaN."""

import threading

import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from srwm_lite import backends
from srwm_lite.delta_rule import delta_rule, gated_delta_rule
from srwm_lite.kernels import compile as compiling
from srwm_lite.kernels import launch
from srwm_lite.linear_attention import linear_attention

RULES = {
    "linear_attention": linear_attention,
    "delta_rule": delta_rule,
    "gated_delta_rule": gated_delta_rule,
}
SIZES = [(4, 4), (5, 3), (16, 16), (8, 24), (64, 64), (32, 16), (37, 21)]


@pytest.fixture(params=RULES)
def rule(request):
    return request.param


@pytest.fixture
def cold(monkeypatch, tmp_path):
    """Compile as if for the first time, into a folder of its own."""
    monkeypatch.setenv("SRWM_LITE_CACHE", str(tmp_path))
    monkeypatch.setattr(backends, "_said", set())
    compiling.load.cache_clear()
    yield tmp_path
    compiling.load.cache_clear()


def inputs(rule, B=1, T=7, H=3, K=5, V=3, dtype=torch.float64):
    """Return q, k, v, (beta, (alpha,)) W: unit keys, so that nothing blows up."""
    generator = torch.Generator().manual_seed(T + K)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    q, k, v = normal(B, T, H, K), normal(B, T, H, K), normal(B, T, H, V)
    x = [q, k / k.norm(dim=-1, keepdim=True), v]
    strengths = {"linear_attention": 0, "delta_rule": 1, "gated_delta_rule": 2}[rule]
    x += [normal(B, T, H).sigmoid() for _ in range(strengths)]
    return [a.requires_grad_() for a in (*x, normal(B, H, V, K))]


def results(rule, x, backend, through="yW"):
    """Return y, W and the gradient of every input, for fixed gradients of y and W."""
    *sequences, W = x
    y, W_T = RULES[rule](*sequences, W=W, backend=backend)
    generator = torch.Generator().manual_seed(1)
    loss = 0.0
    for name, out in (("y", y), ("W", W_T)):
        weight = torch.randn(out.shape, generator=generator, dtype=torch.float64)
        weight = weight.to(out.dtype)
        loss = loss + (weight * out).sum() * 0.1 if name in through else loss
    return y, W_T, *torch.autograd.grad(loss, x, allow_unused=True)


def assert_equal(a, b, rtol):
    for one, other in zip(a, b, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one - other).norm() <= rtol * max(1, one.norm())


@pytest.mark.parametrize("T", [1, 7, 63])
@pytest.mark.parametrize(("K", "V"), SIZES)
def test_equals_the_loop(rule, T, K, V):
    x = inputs(rule, 1, T, 3, K, V)
    assert_equal(results(rule, x, "loop"), results(rule, x, "fused"), 1e-13)


@pytest.mark.parametrize(("K", "V"), SIZES)
def test_float32_is_near_float64(rule, K, V):
    x = inputs(rule, 3, 63, 1, K, V)
    x32 = [a.detach().float().requires_grad_() for a in x]
    exact = results(rule, x, "loop")
    fused = results(rule, x32, "fused")
    assert {a.dtype for a in fused} == {torch.float32}
    for a, b in zip(exact, fused, strict=True):
        assert (a - b).norm() / a.norm() < 2e-6


@pytest.mark.parametrize("through", ["y", "W"])
def test_gradient_through_one_output_only(rule, through):
    x = inputs(rule)
    assert_equal(
        results(rule, x, "loop", through), results(rule, x, "fused", through), 1e-13
    )


def test_gradcheck(rule):
    x = inputs(rule, 1, 3, 1, 3, 2)

    def function(*x):
        return RULES[rule](*x[:-1], W=x[-1], backend="fused")

    assert gradcheck(function, x)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("rule", "which"),
    [(rule, i) for n, rule in enumerate(RULES, 3) for i in range(n)],
)
def test_nan_and_infinity_travel_as_in_the_loop(rule, which, value):
    x = inputs(rule, 2, 7, 2, 17, 5)
    with torch.no_grad():
        x[which][0, 3, 1].view(-1)[0] = value
    loop, fused = results(rule, x, "loop"), results(rule, x, "fused")
    for a, b in zip(loop, fused, strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.isinf(), b.isinf())
        assert torch.allclose(a, b, equal_nan=True, rtol=1e-9)
    assert not loop[0].isfinite().all()
    assert loop[0][1].isfinite().all()  # the other sequence of the batch


def test_unread_nan_does_not_come_back(rule):
    x = inputs(rule)
    with torch.no_grad():
        x[0][0, 3] = float("nan")
    *_, dW = results(rule, x, "fused", through="W")
    assert dW.isfinite().all()


def test_zero_decay_forgets_exactly():
    x = inputs("gated_delta_rule")
    with torch.no_grad():
        x[4][:, 3] = 0
    loop = results("gated_delta_rule", x, "loop", through="W")
    fused = results("gated_delta_rule", x, "fused", through="W")
    assert_equal(loop, fused, 1e-13)
    assert not fused[-1].any()  # nothing from before the zero reaches the end
    assert fused[-2][:, 3:].abs().min() > 0


def strided(x, how):
    if how == "heads first":
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    if how == "every other":
        return x.repeat_interleave(2, dim=-1)[..., ::2]
    if how == "part of a row":
        return torch.cat([x, x], dim=-1)[..., : x.shape[-1]]
    return x.mean(dim=1, keepdim=True).expand_as(x)


@pytest.mark.parametrize(
    "how", ["heads first", "every other", "part of a row", "same for all times"]
)
def test_strides(rule, how):
    x = inputs(rule, 2, 7, 3, 20, 6)
    x = [strided(a.detach(), how).requires_grad_() for a in x]
    dense = [a.detach().contiguous().requires_grad_() for a in x]
    for a, b in zip(
        results(rule, x, "fused"), results(rule, dense, "fused"), strict=True
    ):
        assert torch.equal(a, b)


def test_inputs_survive_and_backward_runs_twice(rule):
    x = inputs(rule)
    before = [a.detach().clone() for a in x]
    y, W = RULES[rule](*x[:-1], W=x[-1], backend="fused")
    one = torch.autograd.grad(y.sum() + W.sum(), x, retain_graph=True)
    two = torch.autograd.grad(y.sum() + W.sum(), x)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, x, strict=True))


def test_second_derivatives_are_refused_with_the_remedy(rule):
    x = inputs(rule)
    y, _ = RULES[rule](*x[:-1], W=x[-1], backend="fused")
    (dq,) = torch.autograd.grad(y.sum(), x[0], create_graph=True)
    with pytest.raises(RuntimeError, match="backend='loop'"):
        dq.sum().backward()


def test_every_number_is_written(rule):
    x = inputs(rule, 1, 7, 3, 19, 21)
    clean = results(rule, x, "fused")
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        assert torch.empty(3).isnan().all()
        poisoned = results(rule, x, "fused")
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(clean, poisoned, strict=True))


def test_threads_change_no_bit(rule, monkeypatch):
    x = inputs(rule, 3, 9, 3, 16, 16, torch.float32)
    started = []
    thread = threading.Thread
    monkeypatch.setattr(
        launch, "Thread", lambda **how: started.append(how) or thread(**how)
    )
    monkeypatch.setattr(launch, "WORTH_A_THREAD", 1)
    found = []
    for n in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=n: n)
        found.append(results(rule, x, "fused"))
    assert len(started) == 2  # one more thread forward, one more backward
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_memory_grows_with_time_times_width(rule):
    def kept(T, K):
        numbers = []
        with saved_tensors_hooks(lambda x: numbers.append(x.numel()) or x, lambda x: x):
            *sequences, _ = inputs(rule, 1, T, 1, K, K)
            RULES[rule](*sequences, backend="fused")
        return sum(numbers) - K * K  # W at the start, once

    assert kept(128, 16) == 2 * kept(64, 16)
    assert kept(64, 32) <= 2 * kept(64, 16)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_dtypes_are_refused_with_the_remedy(rule, dtype):
    x = [a.detach().to(dtype) for a in inputs(rule)]
    with pytest.raises(ValueError, match="float32 and float64"):
        RULES[rule](*x[:-1], W=x[-1], backend="fused")
    y, _ = RULES[rule](*x[:-1], W=x[-1])  # "auto" takes what serves
    assert y.dtype == dtype


def test_no_compiler(rule, cold, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda name: None)
    x = inputs(rule)
    for remedy in ("apt install g\\+\\+", "xcode-select", "winget", "ziglang"):
        with pytest.raises(RuntimeError, match=remedy):
            RULES[rule](*x[:-1], W=x[-1], backend="fused")
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler") as said:
        (y, _), _ = [RULES[rule](*x[:-1], W=x[-1]) for _ in range(2)]
    assert len(said) == 1
    expected, _ = RULES[rule](*x[:-1], W=x[-1], backend="loop")
    assert torch.allclose(y, expected)


def test_wrong_compiler_is_named(cold, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    x = inputs("delta_rule")
    with pytest.raises(RuntimeError, match="CXX names no program: 'no-such-compiler'"):
        delta_rule(*x[:-1], W=x[-1], backend="fused")


def test_failing_compiler_is_quoted(cold, monkeypatch):
    monkeypatch.setattr(compiling, "FLAGS", ("-no-such-flag",))
    assert "no-such-flag" in compiling.load("linear_attention")


def test_machine_code_is_kept_and_mended(cold):
    def use():
        compiling.load.cache_clear()
        assert not isinstance(compiling.load("linear_attention"), str)
        return {p.name: p.stat().st_mtime_ns for p in cold.iterdir()}

    first = use()
    assert len(first) == 1
    assert use() == first
    (path,) = cold.iterdir()
    damaged = path.with_name(path.name + "x")
    damaged.write_bytes(path.read_bytes()[:-1])
    damaged.replace(path)  # a new file: the old one is still in use here
    assert use() != first
    assert not isinstance(compiling.load("linear_attention"), str)


def test_read_only_cache(cold, monkeypatch):
    blocked = cold / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SRWM_LITE_CACHE", str(blocked))
    place = compiling.folder()
    assert place != blocked
    assert place.is_dir()
    place.rmdir()
