"""The CUDA kernels, run on the CPU, equal the readable loop."""

import subprocess
import sys
import types
from contextlib import contextmanager

import pytest
import torch
from rules import RULES, errors, needs_gcc, sequence
from sequences import results
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from srwm_lite import backends
from srwm_lite.kernels import cuda, delta_rule
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


@needs_gcc
def test_what_does_not_fit_is_refused_with_the_remedy(rule):
    run, x, W = sequence(rule, 1, 2, 1, 66, 3)
    with pytest.raises(ValueError, match="got K = 66, V = 3; take more and smaller"):
        run(*x, W, backend="emulated")
    half = [u.half() for u in (*x, W)]
    with pytest.raises(ValueError, match=r"float64 on 'cpu': got torch.float16 on cpu"):
        run(*half, backend="emulated")


@needs_gcc
def test_the_kernels_door_compares_dtypes_and_devices():
    run = delta_rule.emulated()
    _, (q, k, v, beta), W = sequence("delta_rule", 1, 2, 1, 3, 4)
    with pytest.raises(ValueError, match=r"must share dtype and device: got torch.fl"):
        run(q, k, v, beta.double(), W)
    with pytest.raises(ValueError, match="on meta; use backend='loop'"):
        run(q, k.to("meta"), v, beta, W)


def test_without_a_gpu_the_reason_and_the_remedy_are_told(rule, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run, x, W = sequence(rule, 1, 2, 1, 3, 4)
    with pytest.raises(backends.BackendUnavailableError, match="or 'emulated' to run"):
        run(*x, W, backend="cuda")


def test_without_cupy_the_remedy_is_to_install_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="pip install cupy-cuda13x"):
        delta_rule.cuda()


def test_cupy_gets_plain_numbers_and_torchs_stream(monkeypatch):
    log = []

    class Kernel:
        def __init__(self, code, name, options):
            log.append((name, options, "__global__" in code))

        def __call__(self, grid, block, args, shared_mem):
            log.append((grid, block, [type(a).__name__ for a in args], shared_mem))

        def __setattr__(self, name, value):
            log.append((name, value))

    @contextmanager
    def enter(kind, what):
        log.append((kind, what))
        yield

    class Stream:
        from_external = staticmethod(lambda stream: enter("stream", stream))

    device = torch.device("cuda", 1)
    cupy = types.ModuleType("cupy")
    cupy.RawKernel = Kernel
    cupy.cuda = types.SimpleNamespace(
        Device=lambda i: enter("cupy device", i), Stream=Stream
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(torch.cuda, "device", lambda d: enter("torch device", d))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "torch's")
    run = cuda._on_gpu("delta_rule.cu", "forward", ("K=3", "test=1"))
    run(device, 6, 32, (torch.zeros(3), None, 7), 50_000)
    assert log == [
        ("forward", ("--std=c++17", "-DK=3", "-Dtest=1"), True),
        ("torch device", device),
        ("cupy device", 1),
        ("stream", "torch's"),
        ("max_dynamic_shared_size_bytes", 50_000),
        ((6,), (32,), ["uint64", "uint64", "int32"], 50_000),
    ]


def test_auto_passes_over_a_kernel_that_is_too_small(monkeypatch):
    small = lambda *x: "kernel"  # noqa: E731
    small.largest = 64
    monkeypatch.setattr(backends, "kernel", lambda idea, kind: small)
    python = {"chunk": lambda *x: "chunk"}
    q, v = torch.zeros(1, 1, 1, 64), torch.zeros(1, 1, 1, 65)
    assert backends.choose("idea", "auto", python, q, q)() == "kernel"
    assert backends.choose("idea", "auto", python, q, v)() == "chunk"


def test_importing_the_package_and_its_launchers_loads_no_cupy():
    program = """
import importlib, pkgutil, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("cupy", "cupy_backends"):
            raise ImportError("cupy was imported")
sys.meta_path.insert(0, Refuse())
import srwm_lite, srwm_lite.kernels
for package in (srwm_lite, srwm_lite.kernels):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
assert "srwm_lite.kernels.cuda" in sys.modules, sorted(sys.modules)
assert "srwm_lite.kernels.gated_delta_rule" in sys.modules
assert not any(name.startswith("cupy") for name in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
