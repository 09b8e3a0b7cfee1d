"""Small kernels in the emulator, for the tests of the stepper."""

import numpy as np
import pytest
import torch

from srwm_lite.kernels.cpu.emulate import Module

TURN = """
extern "C" __global__ void turn(const float* x, float* y)
{
    __shared__ float s[N];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[N - 1 - threadIdx.x];
}
"""


def kernel(source, name, **constants):
    """Return a kernel, or skip the test where there is no g++."""
    try:
        return Module(source, "test.cu", **constants).kernel(name)
    except RuntimeError as problem:
        pytest.skip(str(problem))


def turn(threads, barrier=True):
    """Return a kernel that turns a vector round, with arguments; perhaps broken."""
    source = TURN if barrier else TURN.replace("__syncthreads();", "")
    x = torch.arange(float(threads))
    return kernel(source, "turn", N=threads), [x, torch.full((threads,), torch.nan)]


def delta(source, T=2):
    """Return a step of the ladder at V = K = 8 with arguments."""
    q, k, v = (torch.randn(1, T, 1, 8) for _ in range(3))
    W = torch.zeros(1, 1, 8, 8)
    args = [q, k, v, torch.rand(1, T, 1), W, torch.empty_like(v), W.clone()]
    made = kernel(source, "forward", real="float", K=8, V=8)
    return made, [*args, np.int32(T), np.int32(1)]
