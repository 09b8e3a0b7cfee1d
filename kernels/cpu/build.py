"""Compile CUDA C++ with g++ and keep what was compiled.

Tests     tests/test_emulator.py
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from ..compile import compiler, folder

HERE = Path(__file__).parent
FLAGS = (
    "-std=c++20 -fPIC -fvisibility=hidden -fno-gnu-unique -ffp-contract=off -w".split()
)
KINDS = {
    "run": "-O2".split(),
    "check": "-O1 -g -DCHECKED -fno-tree-vectorize".split(),
    "address": "-O1 -g -DPROGRAM -DASAN".split(),
    "undefined": "-O1 -g -DPROGRAM".split(),
    "thread": "-O1 -g -DPROGRAM -DTSAN".split(),
}
WATCH = {
    "check": "-fsanitize=thread --param=tsan-instrument-func-entry-exit=0".split(),
    "address": ["-fsanitize=address"],
    "undefined": "-fsanitize=undefined -fno-sanitize-recover".split(),
    "thread": ["-fsanitize=thread"],
}


def build(
    kind: str, text: str, filename: str, kernels: Sequence[str], defines: Sequence[str]
) -> Path:
    """Compile a kernel's source for `kind` of run, or find what was compiled before.

    Returns
    -------
    Path
        A library for ``"run"`` and ``"check"``, else a program (a sanitizer's).
    """
    program = kind not in ("run", "check")
    link = [*WATCH[kind]] if program else ["-shared"]
    watch = [*KINDS[kind], *WATCH.get(kind, ())]
    launches = " ".join(f"LAUNCH({name})" for name in kernels)
    objects = [_object(kind, name) for name in ("fibers", "launch")]
    objects += [_object(kind, "checker")] if kind == "check" else []

    def compile_and_link(work: Path, out: Path) -> None:
        source = work / filename
        source.write_text(text, encoding="utf-8")
        about = [f'-DSOURCE="{source}"', f"-DKERNELS={launches}", *defines]
        command = [*gcc(), *FLAGS, *watch, *about, "-c", str(HERE / "glue.cpp")]
        run([*command, "-o", str(work / "glue.o")])
        objects_here = [str(work / "glue.o"), *map(str, objects)]
        run([*gcc(), *link, *objects_here, "-o", str(out)])

    return _kept((kind, text, filename, launches, *defines), compile_and_link)


def _object(kind: str, name: str) -> Path:
    command = [*gcc(), *FLAGS, *KINDS[kind], "-c", str(HERE / f"{name}.cpp"), "-o"]
    return _kept((kind, name), lambda _, out: run([*command, str(out)]))


def _kept(key: Sequence[str], make: Callable[[Path, Path], None]) -> Path:
    """Return the file that ``make(work, out)`` writes, made once for every `key`."""
    own = "".join(p.read_text() for p in sorted(HERE.glob("*.*")))
    text = "\0".join([*key, own, *gcc(), _version(*gcc())])
    place = folder() / f"emulated-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=place.parent) as work:
            make(Path(work), Path(work) / "built")
            os.replace(Path(work) / "built", place)  # several processes may race
    return place


@cache
def gcc() -> tuple[str, ...]:
    """Return the command of g++, or raise ``RuntimeError`` with the remedy."""
    for command in (tuple(compiler()), ("g++",)):
        if shutil.which(command[0]) and "Free Software" in _version(*command):
            if os.name == "posix" and shutil.which("addr2line"):
                return command
    raise RuntimeError(
        "the emulator needs g++ and binutils on Linux (apt install g++ binutils): it "
        "uses fibers and instrumentation that other compilers do not have"
    )


@cache
def _version(*command: str) -> str:
    line = [*command, "--version"]
    return subprocess.run(line, capture_output=True, text=True).stdout


def run(command: Sequence[str]) -> None:
    """Run the compiler, or raise ``RuntimeError`` with what it says."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"g++ cannot compile the kernel:\n{done.stderr[:3000]}")
