"""Run, check and profile CUDA C++ on the CPU; needs g++ and nothing else.

`Module` compiles the text of a ``.cu`` file as it stands and gives kernels that are
called like ``cupy.RawKernel``: ``kernel(grid, block, args)``. Threads go in one of
three orders: a kernel without a race gives the same bits in all of them.

Tests     tests/test_emulator.py, tests/test_checker.py
"""

import ctypes
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from .build import build, gcc
from .memory import Arena, Argument, Memory
from .report import DYNAMIC, Names, Report, report

ORDERS = ("forward", "backward", "random")
SIGNATURE = r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)"
DYNAMIC_SHARED = r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w ]+?)\s+(\w+)\[\];"


class LaunchError(RuntimeError):
    """The kernel could not run, or its threads wait for each other in vain."""


class Module:
    """The kernels of one source text, compiled for the CPU when they are first run.

    Parameters
    ----------
    source : str
        CUDA C++, with kernels declared ``extern "C" __global__ void name(...)``.
    filename : str
        What to call it in messages.
    **constants : str or int
        Macros, as in ``nvcc -DK=16``.

    Raises
    ------
    RuntimeError
        If there is no g++.
    """

    def __init__(self, source: str, filename: str = "kernel.cu", **constants: Any):
        gcc()
        self.source, self.filename = source, filename
        self.defines = [f"-D{key}={value}" for key, value in constants.items()]
        self.parameters = {
            name: re.findall(r"(\w+)\s*(?:,|$)", inner)
            for name, inner in re.findall(SIGNATURE, source)
        }

    def kernel(self, name: str) -> "Kernel":
        """Return kernel `name`, or raise ``ValueError`` naming those that exist."""
        if name not in self.parameters:
            names = ", ".join(self.parameters) or "none"
            raise ValueError(f"no kernel {name!r} in {self.filename}: it has {names}")
        return Kernel(self, name)

    def build(self, kind: str) -> Path:
        """Compile for a kind of run: run, check, address, undefined or thread."""
        text = re.sub(  # every line keeps its number
            DYNAMIC_SHARED,
            r"\1* \2 = reinterpret_cast<\1*>(cpu::dynamic);",
            self.source,
        )
        if kind == "run":
            text = text.replace("#pragma unroll", "#pragma GCC unroll 64")
        return build(kind, text, self.filename, [*self.parameters], self.defines)

    @cached_property
    def plain(self) -> ctypes.PyDLL:
        """Return the library that runs."""
        return _load(self.build("run"))

    @cached_property
    def watched(self) -> ctypes.PyDLL:
        """Return the library that runs while the checker looks on."""
        return _load(self.build("check"))


class Kernel:
    """One kernel on the CPU, called like ``cupy.RawKernel``."""

    def __init__(self, module: Module, name: str) -> None:
        self.module, self.name = module, name

    def __call__(
        self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any], **how: Any
    ) -> None:
        """Run all blocks.

        Parameters
        ----------
        grid, block : sequence of int
            One to three sizes each.
        args : sequence
            Contiguous tensors or arrays, NumPy scalars of the kernel's own type, None
            for a null pointer. Number and types are compared with the signature.
        shared_mem : int
            Bytes of dynamic shared memory.
        order : str
            ``"forward"``, ``"backward"`` or ``"random"``: which thread goes first.
        seed : int
            For the random order.

        Raises
        ------
        LaunchError
            If arguments do not fit, or barriers diverge; the kernel stops there.
        """
        self._run(self.module.plain, grid, block, [Memory(a) for a in args], **how)

    def check(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        *,
        events: int = 0,
        **how: Any,
    ) -> Report:
        """Run while every access is watched; the results are written as usual.

        Takes what a call takes. The first `events` accesses are kept in the report.
        """
        module, memory, failed = self.module, [Memory(a) for a in args], ""
        library, arena, most = module.watched, Arena(memory), ctypes.c_long(events)
        library.check_begin(len(args), arena.addresses, arena.sizes, most)
        try:
            self._run(library, grid, block, memory, **how)
        except LaunchError as error:
            failed = f"{error}\n"
        text = library.check_end().decode() + failed
        arena.copy_back()
        arguments = dict(enumerate(module.parameters[self.name]))
        if dynamic := re.search(DYNAMIC_SHARED, module.source):
            arguments[DYNAMIC] = dynamic[2]
        library_file = module.build("check")
        return report(text, Names(text, library_file, module.filename, arguments))

    def sanitize(
        self,
        kind: str,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        *,
        shared_mem: int = 0,
        order: str = "forward",
    ) -> tuple[int, str]:
        """Run once in a program of its own under a compiler's sanitizer.

        `kind` is ``"address"``, ``"undefined"`` or ``"thread"``. Returns the exit code,
        zero if all was well, and what the program said.
        """
        head = *_three(grid), *_three(block), shared_mem, len(args), ORDERS.index(order)
        data = struct.pack("64s9I", self.name.encode(), *head)
        for m in map(Memory, args):
            content = m.content()
            data += struct.pack("3i", m.kind, m.size, len(content)) + content
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(data)
            command = [str(self.module.build(kind)), file.name]
            env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            done = subprocess.run(command, capture_output=True, text=True, env=env)
        return done.returncode, done.stderr

    def _run(
        self,
        library: ctypes.PyDLL,
        grid: Sequence[int],
        block: Sequence[int],
        memory: list[Memory],
        *,
        shared_mem: int = 0,
        order: str = "forward",
        seed: int = 0,
    ) -> None:
        if order not in ORDERS:
            raise ValueError(f"order must be one of {ORDERS}: got {order!r}")
        sizes = [(ctypes.c_uint * 3)(*_three(x)) for x in (grid, block)]
        args = (Argument * max(len(memory), 1))(*(m.argument() for m in memory))
        count, way = len(memory), (ORDERS.index(order), ctypes.c_uint(seed))
        shared = ctypes.c_size_t(shared_mem)
        if library.run(self.name.encode(), *sizes, shared, args, count, *way):
            raise LaunchError(f"{self.name}: {library.why().decode()}")


def _load(path: Path) -> ctypes.PyDLL:
    library = ctypes.PyDLL(str(path))  # holds Python's lock: the C++ has one scheduler
    library.why.restype = ctypes.c_char_p
    if hasattr(library, "check_end"):
        library.check_end.restype = ctypes.c_char_p
    return library


def _three(sizes: Sequence[int]) -> tuple[int, ...]:
    return (*sizes, 1, 1)[:3]
