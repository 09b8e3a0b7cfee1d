"""The CUDA kernels on a GPU: ``pytest -m gpu``."""

import importlib.util

import pytest
import torch
from rules import RULES, errors, sequence
from sequences import results

from srwm_lite.kernels import ladder
from srwm_lite.kernels.cuda import Idea, launcher

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
@pytest.mark.parametrize("D", [4, 16, 20, 40, 64])
@pytest.mark.parametrize("T", [1, 2, 63, 100])
def test_float32_equals_the_loop(rule, T, D):
    y, W, *gradients = errors(rule, 2, T, 3, D, D, backend="cuda", device="cuda")
    assert max(y, W) <= 1e-5
    assert max(gradients) <= 1e-4


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("K", "V"), [(3, 4), (33, 20), (64, 64)])
def test_float64_equals_the_loop(rule, K, V):
    sizes = 2, 63, 3, K, V
    found = errors(rule, *sizes, backend="cuda", device="cuda", dtype=torch.float64)
    assert max(found) <= 1e-12


def test_auto_takes_the_kernels_and_every_run_gives_the_same_bits(rule):
    run, x, W = sequence(rule, 4, 100, 3, 20, 20, device="cuda")
    first = results(run, x, W, backend="cuda")
    for backend in ("auto", "cuda", "cuda"):
        assert all(map(torch.equal, first, results(run, x, W, backend=backend)))


def test_the_emulator_agrees_with_the_gpu(rule):
    run, x, W = sequence(rule, 2, 63, 2, 20, 20, device="cuda")
    gpu = results(run, x, W, backend="cuda")
    cpu = results(run, [u.cpu() for u in x], W.cpu(), backend="emulated")
    for a, b in zip(gpu, cpu, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-4, atol=1e-5)


def test_the_kernels_wait_for_torchs_own_stream(rule):
    run, x, W = sequence(rule, 4, 100, 3, 16, 16, device="cuda")
    expected = results(run, x, W, backend="cuda")
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)  # what follows must not overtake it
        late = [u.clone() for u in x]
        found = results(run, late, W.clone(), backend="cuda")
    stream.synchronize()
    assert all(map(torch.equal, expected, found))


def test_the_current_device_need_not_be_the_tensors_own(rule):
    if torch.cuda.device_count() < 2:
        pytest.skip("there is only one CUDA device")
    run, x, W = sequence(rule, 2, 7, 2, 5, 3, device="cuda:1")
    with torch.cuda.device(0):
        found = results(run, x, W, backend="cuda")
        assert torch.cuda.current_device() == 0
    assert all(u.device.index == 1 for u in found)
    with torch.cuda.device(1):
        expected = results(run, x, W, backend="cuda")
    assert all(map(torch.equal, expected, found))


def test_the_current_device_of_torch_and_cupy_is_left_alone(rule):
    import cupy

    run, x, W = sequence(rule, 2, 7, 2, 5, 3, device="cuda")
    before = torch.cuda.current_device(), cupy.cuda.Device().id
    stream = cupy.cuda.get_current_stream().ptr
    results(run, x, W, backend="cuda")
    assert (torch.cuda.current_device(), cupy.cuda.Device().id) == before
    assert cupy.cuda.get_current_stream().ptr == stream


def test_views_are_computed_as_what_they_show(rule):
    run, x, W = sequence(rule, 2, 5, 3, 5, 4, device="cuda")
    views = [u.transpose(1, 2).contiguous().transpose(1, 2) for u in x]
    found = results(run, views, W.mT.contiguous().mT, backend="cuda")
    assert all(map(torch.equal, results(run, x, W, backend="cuda"), found))


def test_inputs_are_left_alone_and_a_second_backward_agrees(rule):
    run, x, W = sequence(rule, 2, 63, 2, 20, 20, device="cuda")
    given = [u.requires_grad_() for u in (*x, W)]
    before = [u.detach().clone() for u in given]
    y, last = run(*given, backend="cuda")
    loss = y.sum() + last.square().sum()
    first = torch.autograd.grad(loss, given, retain_graph=True)
    second = torch.autograd.grad(loss, given)
    assert all(map(torch.equal, given, before))
    assert all(map(torch.equal, first, second))


def test_tensors_on_the_cpu_are_refused(rule):
    run, x, W = sequence(rule, 1, 2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"on 'cuda': got torch.float32 on cpu"):
        run(*x, W, backend="cuda")


@pytest.mark.parametrize("step", ladder.STEPS)
def test_the_steps_of_the_ladder_equal_the_loop(step):
    run, x, W = sequence("delta_rule", 3, 100, 2, 64, 64, device="cuda")
    y, last = ladder.run(step, *x, W, backend="cuda")
    expected = run(*(u.double() for u in x), W.double(), backend="loop")
    torch.testing.assert_close(y.double(), expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(last.double(), expected[1], rtol=1e-4, atol=1e-4)


def test_more_than_48_kb_of_shared_memory_is_asked_for(monkeypatch):
    text = """
extern "C" __global__ void reverse(const real* x, real* y, int n, int T, int H)
{
    extern __shared__ real room[];
    for (int i = threadIdx.x; i < n; i += blockDim.x) room[i] = x[i];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = room[n - 1 - i];
}
"""
    monkeypatch.setattr("srwm_lite.kernels.cuda.source", lambda file: text)
    n = 15 * 1024  # 60 KB in float32: more than a block gets, less than any chip has
    x, k = torch.rand(n).cuda(), torch.zeros(1, 1, 1, 4).cuda()
    y = torch.full_like(x, torch.nan)
    launch = launcher(Idea("reverse.cu", None, None), "cuda", k, k, k)
    launch("reverse", 256, x, y, n, shared=4 * n)
    assert torch.equal(y, x.flip(0))
