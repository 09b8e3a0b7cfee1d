"""Compile CUDA C++ for a GPU that is not there, and read what ptxas says of it.

Needs the wheel `nvidia-cuda-nvrtc` and neither driver nor GPU. The options are those
that CuPy passes, so what compiles here compiles there.

Tests     tests/test_compile_check.py
"""

import ctypes
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

OPTIONS = ("--std=c++17", "-ftz=true", "--device-as-default-execution-space")
REMEDY = "pip install nvidia-cuda-nvrtc (Linux, Windows; no GPU needed)"


class Usage(NamedTuple):
    """What one thread of a kernel takes, and the block's static shared memory in bytes.

    ``spilled`` counts the bytes of local variables that found no register.
    """

    registers: int
    spilled: int
    shared: int


def registers(source: str, arch: str = "sm_80", **constants: Any) -> dict[str, Usage]:
    """Compile `source` for `arch` and return what each of its kernels uses.

    Parameters
    ----------
    source : str
        CUDA C++ without includes.
    arch : str
        ``"sm_75"`` (T4), ``"sm_80"`` (A100), ``"sm_90"`` (H100), ...
    **constants : str or int
        Macros, as in ``nvcc -DK=16``.

    Raises
    ------
    RuntimeError
        If the wheel is missing, or with the compiler's words if it refuses `source`.
    """
    defines = [f"-D{name}={value}" for name, value in constants.items()]
    log = compile_for(arch, source, *OPTIONS, *defines, "--ptxas-options=-v")
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        name = part.split("'", 1)[0]
        found[name] = Usage(
            _number(r"Used (\d+) registers", part),
            _number(r"(\d+) bytes spill stores", part),
            _number(r"(\d+) bytes smem", part),
        )
    return found


def compile_for(arch: str, source: str, *options: str) -> str:
    """Return the compiler's log, or raise ``RuntimeError`` with it."""
    nvrtc, program = library(), ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None
    )
    words = [option.encode() for option in (f"--gpu-architecture={arch}", *options)]
    array = (ctypes.c_char_p * len(words))(*words)
    failed = nvrtc.nvrtcCompileProgram(program, len(words), array)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    text = log.value.decode()
    if failed:
        raise RuntimeError(f"NVRTC refuses the kernel for {arch}:\n{text[:3000]}")
    return text


@cache
def library() -> ctypes.CDLL:
    """Return NVRTC from its wheel, or raise ``RuntimeError`` with the remedy."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        for pattern in ("*/lib/libnvrtc.so.1?", "*/bin/**/nvrtc64_*_0.dll"):
            for path in sorted(Path(folder).glob(pattern)):
                return ctypes.CDLL(str(path))
    raise RuntimeError(f"the wheel nvidia-cuda-nvrtc is not installed: {REMEDY}")


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0
