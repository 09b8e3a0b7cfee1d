"""CUDA C++ runs on the CPU as CUDA says, and says what is wrong where it cannot."""

import numpy as np
import pytest
import torch
from rules import needs_gcc

from srwm_lite.kernels.cpu import build
from srwm_lite.kernels.cpu.emulate import LaunchError, Module

pytestmark = needs_gcc
ORDERS = ("forward", "backward", "random")
N = np.int32(64)

SOURCE = """
extern "C" __global__ void reverse(const float* x, float* y, int n)
{
    __shared__ float s[64];
    const int i = threadIdx.x;
    s[i] = x[blockIdx.x * n + i];
    __syncthreads();
    y[blockIdx.x * n + i] = s[n - 1 - i];
}

extern "C" __global__ void who(int* x)
{
    const int row = threadIdx.z * blockDim.y + threadIdx.y;
    const int thread = row * blockDim.x + threadIdx.x;
    const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    x[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}

extern "C" __global__ void dynamic(float* y, int n)
{
    extern __shared__ float room[];
    room[threadIdx.x] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = room[n - 1 - threadIdx.x];
}

extern "C" __global__ void empty(float* y)
{
    __shared__ float s[32];
    if (y == nullptr) s[threadIdx.x] = 1;
    y[threadIdx.x] = s[31 - threadIdx.x];
}

extern "C" __global__ void shuffles(const int* x, int* y)
{
    const int i = threadIdx.x, a = x[i];
    y[i] = __shfl_sync(~0u, a, 5);
    y[i + 32] = __shfl_up_sync(~0u, a, 3);
    y[i + 64] = __shfl_down_sync(~0u, a, 3);
    y[i + 96] = __shfl_xor_sync(~0u, a, 1);
    y[i + 128] = __shfl_sync(~0u, a, 2, 8);
    y[i + 160] = __shfl_down_sync(~0u, a, 3, 8);
}

extern "C" __global__ void by_warp(int* y)
{
    __shared__ int s[64];
    const int i = threadIdx.x, lane = i % 32;
    s[i] = i;
    __syncwarp();
    y[i] = s[i - lane + 31 - lane];
}

extern "C" __global__ void count(int* n, double* sum, const double* x)
{
    atomicAdd(n, 1);
    atomicAdd(sum, x[blockIdx.x * blockDim.x + threadIdx.x]);
}
"""


@pytest.fixture(scope="module")
def module():
    return Module(SOURCE, "toys.cu")


@pytest.mark.parametrize("order", ORDERS)
def test_a_block_runs_in_any_order(module, order):
    x, y = torch.arange(128.0), torch.full((128,), torch.nan)
    module.kernel("reverse")((2,), (64,), (x, y, N), order=order, seed=3)
    assert torch.equal(y, x.view(2, 64).flip(1).flatten())


def test_numpy_arrays_serve_as_well(module):
    x, y = np.arange(64, dtype=np.float32), np.empty(64, np.float32)
    module.kernel("reverse")((1,), (64,), (x, y, N))
    assert (y == x[::-1]).all()


def test_threads_and_blocks_have_three_axes(module):
    x = torch.full((2 * 3 * 2, 2 * 2 * 3), -1, dtype=torch.int32)
    module.kernel("who")((2, 3, 2), (2, 2, 3), (x,))
    assert torch.equal(x, 1000 * torch.arange(12)[:, None] + torch.arange(12))


def test_shared_memory_may_get_its_size_at_the_launch(module):
    y = torch.zeros(64)
    module.kernel("dynamic")((1,), (64,), (y, N), shared_mem=256)
    assert torch.equal(y, torch.arange(64.0).flip(0))


def test_shared_memory_starts_as_nan(module):
    y = torch.zeros(32)
    module.kernel("empty")((1,), (32,), (y,))
    assert y.isnan().all()


@pytest.mark.parametrize("order", ORDERS)
def test_shuffles_give_what_cuda_says(module, order):
    x, y = torch.arange(32, dtype=torch.int32) + 100, torch.zeros(6, 32).int()
    module.kernel("shuffles")((1,), (32,), (x, y), order=order)
    i = torch.arange(32)
    up, down = torch.where(i < 3, i, i - 3), torch.where(i > 28, i, i + 3)
    within = torch.where(i % 8 > 4, i, i + 3)
    sources = [torch.full((32,), 5), up, down, i ^ 1, i // 8 * 8 + 2, within]
    assert torch.equal(y, torch.stack([x[s] for s in sources]))


@pytest.mark.parametrize("order", ORDERS)
def test_a_warp_waits_for_itself(module, order):
    y = torch.zeros(64, dtype=torch.int32)
    module.kernel("by_warp")((1,), (64,), (y,), order=order)
    assert torch.equal(y, torch.arange(64).view(2, 32).flip(1).flatten().int())


def test_atomics_add_up(module):
    n, total, x = torch.zeros(1).int(), torch.zeros(1).double(), torch.rand(96).double()
    module.kernel("count")((3,), (32,), (n, total, x))
    torch.testing.assert_close([n.item(), total.item()], [96, x.sum().item()])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((torch.zeros(64),), "takes 3 arguments, got 1"),
        (
            (torch.zeros(64).double(), torch.zeros(64), N),
            "4-byte pointer .* got a 8-byte",
        ),
        (
            (torch.zeros(64), torch.zeros(64), np.int64(64)),
            "argument 2: .* got a 8-byte i",
        ),
        ((torch.zeros(64), torch.zeros(64), np.float32(1)), "got a 4-byte real number"),
        ((torch.zeros(64), N, N), "argument 1: the kernel takes a 4-byte pointer"),
    ],
)
def test_arguments_are_compared_with_the_signature(module, args, words):
    with pytest.raises(LaunchError, match=words):
        module.kernel("reverse")((1,), (64,), args)


@pytest.mark.parametrize("order", ORDERS)
def test_a_crash_ends_the_launch_and_not_the_process(module, order):
    kernel = module.kernel("empty")
    words = r"empty: thread \(\d+,0,0\) of block 0 touches memory that is not there"
    for _ in range(2):
        with pytest.raises(LaunchError, match=words):
            kernel((1,), (32,), (None,), order=order)
    found = kernel.check((1,), (32,), (None,), order=order).findings
    assert "writes 4 bytes far from every array at toys.cu:31" in found[-2]
    assert found[-1] == "empty: stopped there, for it would crash"


def test_a_division_by_zero_ends_the_launch():
    text = 'extern "C" __global__ void f(int* x, int n) { x[threadIdx.x] = 7 / n; }'
    with pytest.raises(LaunchError, match="divides by zero"):
        Module(text).kernel("f")((1,), (4,), (torch.zeros(4).int(), np.int32(0)))


def test_what_is_no_argument_is_refused(module):
    with pytest.raises(TypeError, match=r"such as np.int32\(3\): got int"):
        module.kernel("reverse")((1,), (64,), (torch.zeros(64), torch.zeros(64), 64))
    with pytest.raises(ValueError, match=r"strides of this array: pass x.contiguous"):
        module.kernel("who")((1,), (2,), (torch.zeros(4, 4).int().T[1:],))


def test_launches_that_no_gpu_takes_are_refused(module):
    x = torch.zeros(2048).int()
    with pytest.raises(LaunchError, match="1 to 1024 threads, not 2048"):
        module.kernel("who")((1,), (2048,), (x,))
    with pytest.raises(
        LaunchError, match="at most 227 KB of shared memory, not 240000"
    ):
        module.kernel("who")((1,), (32,), (x,), shared_mem=240000)
    with pytest.raises(ValueError, match=r"order must be one of .* got 'sideways'"):
        module.kernel("who")((1,), (32,), (x,), order="sideways")


def test_an_unknown_kernel_is_answered_with_the_names(module):
    with pytest.raises(
        ValueError, match=r"no kernel 'revers' in toys.cu: it has reverse"
    ):
        module.kernel("revers")


def test_what_gcc_refuses_is_told_with_its_line():
    wrong = Module('\n\nextern "C" __global__ void f(int* x) { x = y; }', "wrong.cu")
    with pytest.raises(
        RuntimeError, match=r"wrong.cu:3:\d+: error: .*y.* not declared"
    ):
        wrong.kernel("f")((1,), (1,), (torch.zeros(1).int(),))


DIVERGENT = {
    "if (i < 40) __syncthreads();": r"waits at line 5, but another thread has returned",
    "if (i < 40) return; __syncthreads();": r"another thread has returned",
    "if (i < 40) __syncthreads();\n else __syncthreads();": "thread waits at line 6",
    "if (i < 20) x[i] += __shfl_xor_sync(~0u, i, 1);": r"\(0,0,0\) waits at line 5",
    "if (i < 20) __syncwarp();": "not every lane that it waits for ever comes",
}


@pytest.mark.parametrize("line", DIVERGENT)
def test_threads_that_wait_in_vain_are_named(line):
    start = '\n\nextern "C" __global__ void f(int* x) {\nconst int i = threadIdx.x;\n'
    kernel = Module(start + line + "\n}", "waits.cu").kernel("f")
    with pytest.raises(LaunchError, match=f"f: divergent barrier: .*{DIVERGENT[line]}"):
        kernel((1,), (64,), (torch.zeros(64).int(),))


def test_a_mask_without_the_absent_lanes_is_right():
    text = """
extern "C" __global__ void f(int* x)
{
    const int i = threadIdx.x;
    if (i < 16) x[i] = __shfl_xor_sync(0xffffu, i, 1);
}
"""
    x = torch.zeros(16, dtype=torch.int32)
    Module(text).kernel("f")((1,), (32,), (x,))
    assert torch.equal(x, (torch.arange(16) ^ 1).int())


def test_what_was_compiled_is_found_again(module, monkeypatch):
    first = module.build("run")
    monkeypatch.setattr(build, "run", lambda command: pytest.fail("compiled again"))
    assert Module(SOURCE, "toys.cu").build("run") == first


def test_without_gcc_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr(build, "_version", lambda *command: "clang version 18")
    build.gcc.cache_clear()
    with pytest.raises(RuntimeError, match=r"needs g\+\+ and binutils on Linux \(apt"):
        Module(SOURCE)
    build.gcc.cache_clear()
