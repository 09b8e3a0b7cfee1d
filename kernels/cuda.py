"""Launch ``kernels/<idea>.cu``: on a GPU with CuPy, or on the CPU with the emulator.

The tensors are torch's, in and out; CuPy only compiles and launches. It checks neither
number nor type nor layout of arguments, so all of that is done here.

Tests     tests/test_cuda_kernels.py, tests/test_gpu.py
"""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from .compile import REAL
from .launch import Once
from .nvrtc import OPTIONS

Tensors = tuple[Tensor | None, ...]
Launch = Callable[..., None]  # launch(kernel, threads, *arguments, shared=0)
HOME = {"cuda": "cuda", "emulated": "cpu"}
OPT_IN = 48 * 1024  # bytes of shared memory that a block gets without asking


def by_keys_and_values(q: Tensor, k: Tensor, v: Tensor, *_: Tensor) -> tuple[int, ...]:
    """Return B, T, H, K, V for inputs that begin with q, k and v."""
    return *k.shape, v.shape[-1]


class Idea(NamedTuple):
    """The kernels of one ``.cu`` file.

    ``forward(launch, *inputs)`` returns the outputs, and what is saved for
    ``backward(launch, *saved, *output_gradients)``, which returns the gradients of the
    inputs. ``sizes(*inputs)`` are B, T, H, K, V. `largest` is the largest K or V that
    fits into the registers; `else_use` computes larger ones.
    """

    file: str
    forward: Callable[..., tuple[Tensors, Tensors]]
    backward: Callable[..., Tensors]
    constants: tuple[str, ...] = ()
    largest: int = 64
    else_use: str = "chunk"
    sizes: Callable[..., tuple[int, ...]] = by_keys_and_values


def ready(idea: Idea, backend: str) -> Callable[..., Any]:
    """Return ``(*inputs) -> (y, W)``, or raise ``RuntimeError`` with the remedy."""
    if backend == "cuda":
        _check_cuda()
    else:
        from .cpu.build import gcc

        gcc()

    def run(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        check(idea, backend, *inputs)
        return _OnChip.apply(idea, backend, *inputs)

    run.largest = idea.largest  # type: ignore[attr-defined]
    return run


def check(idea: Idea, backend: str, *inputs: Tensor) -> None:
    """Raise ``ValueError`` for inputs that the kernels of `idea` cannot compute."""
    first, (*_, K, V) = inputs[0], idea.sizes(*inputs)
    for x in inputs:
        if x.dtype not in REAL or x.device.type != HOME[backend]:
            raise ValueError(
                f"backend {backend!r} computes float32 and float64 on "
                f"{HOME[backend]!r}: got {x.dtype} on {x.device}; use backend='loop' "
                "or move and convert it"
            )
        if (x.dtype, x.device) != (first.dtype, first.device):
            raise ValueError(
                f"all inputs must share dtype and device: got {first.dtype} on "
                f"{first.device} and {x.dtype} on {x.device}"
            )
    if max(K, V) > idea.largest:
        raise ValueError(
            f"backend {backend!r} keeps W in registers, up to K = V = {idea.largest}: "
            f"got K = {K}, V = {V}; take more and smaller heads, or "
            f"backend={idea.else_use!r}"
        )


class _OnChip(Function):
    @staticmethod
    def forward(ctx: Any, idea: Idea, backend: str, *inputs: Tensor) -> Any:
        ctx.launch = launcher(idea, backend, *inputs)
        ctx.idea = idea
        outputs, saved = idea.forward(ctx.launch, *(x.contiguous() for x in inputs))
        ctx.save_for_backward(*saved)
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        if all(a is None for a in gradients):
            return (None,) * len(ctx.needs_input_grad)

        def compute(*x: Tensor | None) -> Tensors:
            dense = (a if a is None else a.contiguous() for a in x)
            return ctx.idea.backward(ctx.launch, *dense)

        return None, None, *Once.apply(compute, *ctx.saved_tensors, *gradients)


def launcher(idea: Idea, backend: str, *inputs: Tensor) -> Launch:
    """Return what launches a kernel of `idea` with one block a sequence.

    The launch takes the kernel's name, the number of threads, and its arguments without
    the last two, T and H: contiguous tensors, None for a null pointer, or int; and, if
    the kernel stands in another ``.cu`` file than the idea's own, that file.
    """
    x, own, (B, T, H, K, V) = inputs[0], idea.file, idea.sizes(*inputs)
    constants = f"real={REAL[x.dtype]}", f"K={K}", f"V={V}", *idea.constants
    compiled = COMPILERS[backend]

    def launch(name: str, threads: int, *args: Any, shared: int = 0, file: str = own):
        kernel = compiled(file, name, constants)
        if B:
            kernel(x.device, B * H, threads, (*args, T, H), shared)

    return launch


def _emulated(file: str, name: str, constants: tuple[str, ...]) -> Callable[..., None]:
    text = _emulation.text if _emulation.file in (None, file) else None
    kernel = module(file, text or source(file), constants).kernel(name)

    def run(_: Any, blocks: int, threads: int, args: Any, shared: int) -> None:
        given = [np.int32(x) if isinstance(x, int) else x for x in args]
        call = (blocks,), (threads,), given
        if _emulation.check:
            report = kernel.check(*call, shared_mem=shared, **_emulation.how)
            _emulation.reports.append((name, report))
        else:
            kernel(*call, shared_mem=shared, **_emulation.how)

    return run


@cache
def module(file: str, text: str, constants: tuple[str, ...]) -> Any:
    """Return `text` compiled for the emulator with ``name=value`` macros."""
    from .cpu.emulate import Module

    return Module(text, Path(file).name, **dict(c.split("=") for c in constants))


@dataclass
class Emulation:
    """How backend ``"emulated"`` launches, see `emulation`."""

    text: str | None = None
    file: str | None = None
    check: bool = False
    how: dict[str, Any] = field(default_factory=dict)
    reports: list[tuple[str, Any]] = field(default_factory=list)


_emulation = Emulation()


@contextmanager
def emulation(
    *, text: str | None = None, file: str | None = None, check: bool = False, **how: Any
) -> Iterator[list[tuple[str, Any]]]:
    """Change how backend ``"emulated"`` launches its kernels.

    Parameters
    ----------
    text, file : str, optional
        CUDA C++ to run in place of `file`, such as ``"delta_rule.cu"``, or of any.
    check : bool
        Watch every access; the list that ``with`` gives then fills with the name of
        every kernel that ran and its `srwm_lite.kernels.cpu.report.Report`.
    **how : str or int
        ``order=``, ``seed=``, and, for a check, ``events=``.
    """
    global _emulation
    before, _emulation = _emulation, Emulation(text, file, check, how)
    try:
        yield _emulation.reports
    finally:
        _emulation = before


@cache
def _on_gpu(file: str, name: str, constants: tuple[str, ...]) -> Callable[..., None]:
    import cupy

    options = (OPTIONS[0], *(f"-D{constant}" for constant in constants))
    kernel = cupy.RawKernel(source(file), name, options)  # compiles once a device

    def run(device: Any, blocks: int, threads: int, args: Any, shared: int) -> None:
        given = tuple(map(_gpu_argument, args))
        with torch.cuda.device(device), cupy.cuda.Device(device.index):
            stream = torch.cuda.current_stream()
            with cupy.cuda.Stream.from_external(stream):
                if shared > OPT_IN:
                    kernel.max_dynamic_shared_size_bytes = shared
                kernel((blocks,), (threads,), given, shared_mem=shared)

    return run


def _gpu_argument(x: Tensor | int | None) -> np.generic:
    if isinstance(x, int):
        return np.int32(x)
    return np.uint64(0 if x is None else x.data_ptr())


COMPILERS: dict[str, Callable[..., Callable[..., None]]] = {
    "cuda": _on_gpu,
    "emulated": _emulated,
}


def source(file: str) -> str:
    """Return the text of ``kernels/<file>``."""
    return (Path(__file__).parent / file).read_text(encoding="utf-8")


def _check_cuda() -> None:
    if not torch.cuda.is_available():
        raise RuntimeError(
            "torch finds no CUDA device: use backend='auto', or 'emulated' to run the "
            "same kernels on the CPU"
        )
    if importlib.util.find_spec("cupy") is None:
        raise RuntimeError(
            "CuPy is not installed: pip install cupy-cuda13x, or cupy-cuda12x for an "
            "older driver"
        )
    import cupy

    if not cupy.cuda.is_available():
        raise RuntimeError(
            "CuPy finds no CUDA device: install the CuPy that fits the driver, "
            "cupy-cuda12x or cupy-cuda13x"
        )
