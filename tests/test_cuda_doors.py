"""What the launchers of CUDA kernels refuse, choose, and never import."""

import subprocess
import sys
import types
from contextlib import contextmanager

import pytest
import torch
from rules import RULES, needs_gcc, sequence

from srwm_lite import backends
from srwm_lite.kernels import cuda, delta_rule


@pytest.fixture(params=RULES)
def rule(request):
    return request.param


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
