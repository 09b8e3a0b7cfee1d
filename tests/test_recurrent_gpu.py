"""The CUDA kernels of recurrent rules on a GPU: ``pytest -m gpu``."""

import importlib.util

import pytest
import torch
from recurrent_rules import RULES, all_results, errors, sequence

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        importlib.util.find_spec("cupy") is None,
        reason="CuPy is not installed: see requirements-gpu.txt",
    ),
]


@pytest.fixture(params=RULES)
def rule(request):
    return request.param


@pytest.fixture
def _poisoned():
    """Let torch fill new tensors with NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("K", "V"), [(4, 4), (7, 7), (16, 16), (5, 33), (64, 64)])
@pytest.mark.parametrize("T", [1, 7, 63])
def test_float32_equals_the_loop(rule, T, K, V):
    sizes = 2, T, 3, K, V
    outputs, gradients = errors(rule, *sizes, backend="cuda", device="cuda")
    assert max(outputs) <= 1e-5
    assert max(gradients) <= 1e-4


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("K", "V"), [(1, 1), (3, 4), (40, 2), (33, 20), (64, 64)])
def test_float64_equals_the_loop(rule, K, V):
    how = {"backend": "cuda", "device": "cuda", "dtype": torch.float64}
    outputs, gradients = errors(rule, 2, 63, 3, K, V, **how)
    assert max(outputs + gradients) <= 1e-12


def test_walking_back_many_steps_loses_no_digit(rule):
    sizes = 2, 2000, 2, 16, 16
    outputs, gradients = errors(rule, *sizes, backend="cuda", device="cuda")
    assert max(outputs + gradients) <= 2e-5


def test_auto_takes_the_kernels_and_every_run_gives_the_same_bits(rule):
    run, x = sequence(rule, 4, 100, 3, 20, 20, device="cuda", dtype=torch.float32)
    first = all_results(run, x, backend="cuda")
    for backend in ("auto", "cuda", "cuda"):
        assert all(map(torch.equal, first, all_results(run, x, backend=backend)))


def test_the_emulator_agrees_with_the_gpu(rule):
    run, x = sequence(rule, 2, 63, 2, 20, 20, device="cuda", dtype=torch.float32)
    gpu = all_results(run, x, backend="cuda")
    cpu = all_results(run, [u.cpu() for u in x], backend="emulated")
    for a, b in zip(gpu, cpu, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-4, atol=1e-4)


def test_the_kernels_wait_for_torchs_own_stream(rule):
    run, x = sequence(rule, 4, 100, 3, 16, 16, device="cuda")
    expected = all_results(run, x, backend="cuda")
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)  # what follows must not overtake it
        found = all_results(run, [u.clone() for u in x], backend="cuda")
    stream.synchronize()
    assert all(map(torch.equal, expected, found))


def test_the_current_device_need_not_be_the_tensors_own(rule):
    if torch.cuda.device_count() < 2:
        pytest.skip("there is only one CUDA device")
    run, x = sequence(rule, 2, 7, 2, 5, 3, device="cuda:1")
    with torch.cuda.device(0):
        found = all_results(run, x, backend="cuda")
        assert torch.cuda.current_device() == 0
    assert all(u.device.index == 1 for u in found)


def test_tensors_on_the_cpu_are_refused(rule):
    run, x = sequence(rule, 1, 2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"on 'cuda': got torch.float64 on cpu"):
        run(*x, backend="cuda")
