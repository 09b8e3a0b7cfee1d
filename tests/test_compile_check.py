"""NVRTC compiles every kernel for every chip we name; nothing spills in float32."""

import pytest

from srwm_lite.kernels import ladder, nvrtc
from srwm_lite.kernels.cuda import source
from srwm_lite.kernels.nvrtc import Usage, registers

ARCHS = ("sm_75", "sm_80", "sm_90")
MOST = {  # registers a thread may take at K = V = 64 in float32, on any chip
    "linear_attention": {
        "forward": 96,
        "backward_rows": 96,
        "backward_columns": 96,
    },
    "delta_rule": {
        "forward": 168,
        "backward_rows": 168,
        "backward_columns": 128,
        "decay_gradient": 176,
    },
    "recurrent_delta": {
        "forward": 168,
        "backward": 232,
        "backward_R": 112,
    },
    "delta_rnn": {
        "forward": 168,
        "backward": 104,
    },
    "srwm": {
        "forward": 128,
        "backward": 120,
    },
}

THREADS = {  # of the largest blocks
    "recurrent_delta": {"forward": 256, "backward": 256, "backward_R": 224},
    "srwm": {"forward": 224, "backward": 512},
}


def reason_against():
    """Return in words why nothing can be compiled here, or nothing."""
    try:
        nvrtc.library()
    except RuntimeError as error:
        return str(error)
    return ""


needs_nvrtc = pytest.mark.skipif(bool(reason_against()), reason=reason_against())


@needs_nvrtc
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize(
    ("idea", "gated"), [*((idea, 0) for idea in MOST), ("delta_rule", 1)]
)
def test_the_largest_float32_kernels_stay_in_registers(idea, gated, arch):
    constants = {"real": "float", "K": 64, "V": 64, "GATED": gated}
    found = registers(source(f"{idea}.cu"), arch, **constants)
    assert set(found) == set(MOST[idea])
    for name, usage in found.items():
        assert usage.spilled == 0, name
        assert usage.registers <= MOST[idea][name], name
        assert usage.shared <= 48 * 1024, name


@needs_nvrtc
@pytest.mark.parametrize("idea", MOST)
@pytest.mark.parametrize("sizes", [(4, 4), (16, 16), (33, 20)])
@pytest.mark.parametrize("real", ["float", "double"])
def test_smaller_kernels_compile_without_a_spill(idea, sizes, real):
    K, V = sizes
    found = registers(source(f"{idea}.cu"), real=real, K=K, V=V, GATED=1)
    assert all(usage.spilled == 0 for usage in found.values())


@needs_nvrtc
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("idea", THREADS)
def test_the_largest_recurrent_blocks_find_their_registers(idea, real, arch):
    found = registers(source(f"{idea}.cu"), arch, real=real, K=64, V=64)
    for name, threads in THREADS[idea].items():
        taken = -(-found[name].registers // 8) * 8  # a multiple of eight is given out
        assert threads * taken <= 64 * 1024, name


@needs_nvrtc
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("step", ladder.STEPS)
def test_the_steps_of_the_ladder_compile(step, arch):
    (usage,) = registers(ladder.text(step), arch, real="float", K=32, V=32).values()
    assert usage.spilled == 0
    assert usage.registers <= 128
    shared = {"1": 0, "2": 4 * (32 + 2) * 32, "3": 4 * (33 * 32 + 64)}
    shared |= {"4": 4 * 32 * 32, "5": 4 * 4 * 32}
    assert usage.shared == shared[step[0]]


@needs_nvrtc
def test_a_row_too_long_for_the_registers_spills():
    found = registers(source("delta_rule.cu"), real="float", K=128, V=128, GATED=0)
    assert found["forward"].spilled > 0


@needs_nvrtc
def test_what_the_emulator_lets_pass_the_compiler_does_not():
    text = 'extern "C" __global__ void f(float* x) { x[0] = INFINITY; }'
    with pytest.raises(
        RuntimeError, match=r"refuses the kernel for sm_90:\n.*INFINITY"
    ):
        registers(text, "sm_90")


@needs_nvrtc
def test_static_shared_memory_is_counted():
    text = (
        'extern "C" __global__ void f(float* x) { __shared__ float s[100];'
        " s[threadIdx.x] = x[threadIdx.x]; __syncthreads(); x[0] = s[7]; }"
    )
    usage = registers(text)["f"]
    assert isinstance(usage, Usage)
    assert usage.shared == 400
    assert usage.spilled == 0


def test_without_the_wheel_the_remedy_is_told(monkeypatch):
    nvrtc.library.cache_clear()
    monkeypatch.setattr(nvrtc.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="pip install nvidia-cuda-nvrtc"):
        registers("")
    nvrtc.library.cache_clear()
