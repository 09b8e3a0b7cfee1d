"""Compile ``kernels/<idea>.cpp`` on first use and keep the machine code.

The compiler is the machine's own: ``$CXX``, g++, clang++, c++, or the wheel `ziglang`.
What it built is kept in ``$SRWM_LITE_CACHE``, else in the user's cache folder, under a
name made of everything it depends on; the second half of the name is the hash of the
file itself, so a damaged file is noticed and built again.

Tests     tests/test_kernels_fused.py
"""

import ctypes
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

REAL = {torch.float32: "float", torch.float64: "double"}
FLAGS = ("-O3", "-std=c++17", "-shared", "-w") + (("-fPIC",) * (os.name != "nt"))
REMEDY = (
    "install one (Debian, Ubuntu: apt install g++; macOS: xcode-select --install; "
    "Windows: winget install BrechtSanders.WinLibs.POSIX.UCRT; anywhere: "
    "pip install ziglang), or set CXX, and start Python again"
)


def compiler() -> list[str]:
    """Return the command of the first C++ compiler found.

    Raises
    ------
    RuntimeError
        If there is none, with the ways to get one.
    """
    if wanted := shlex.split(os.environ.get("CXX", ""), posix=os.name != "nt"):
        if shutil.which(wanted[0]):
            return wanted
        raise RuntimeError(f"CXX names no program: {wanted[0]!r}; unset it or {REMEDY}")
    for name in ("g++", "clang++", "c++"):
        if path := shutil.which(name):
            return [path]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++"]
    raise RuntimeError(f"there is no C++ compiler: {REMEDY}")


@cache
def load(idea: str, dtype: torch.dtype = torch.float32) -> ctypes.CDLL | str:
    """Return the compiled kernel, or in words why it cannot be compiled.

    ``gated_delta_rule`` is ``delta_rule.cpp`` compiled with ``-DGATED=1``.
    """
    stem = idea.removeprefix("gated_")
    source = Path(__file__).with_name(f"{stem}.cpp")
    try:
        constants = f"-Dreal={REAL[dtype]}", f"-DGATED={int(stem != idea)}"
        command = [*compiler(), *FLAGS, *constants]
        stem = f"{idea}-{REAL[dtype]}-{fingerprint(command, source)}"
        place = folder()
        return ctypes.CDLL(
            str(_kept(place, stem) or _build(place, stem, command, source))
        )
    except (OSError, RuntimeError) as error:
        return str(error)


def fingerprint(command: list[str], source: Path) -> str:
    """Return a hash of all that the machine code depends on."""
    version = subprocess.run([*command, "--version"], capture_output=True).stdout
    texts = [p.read_bytes() for p in (source, *sorted(source.parent.glob("*.h")))]
    parts = [repr(command).encode(), version, processor().encode(), *texts]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def processor() -> str:
    """Name the processor and what it can do: code built for one may crash another."""
    lines = [platform.platform(), platform.machine(), platform.processor()]
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        wanted = ("model name", "flags", "Features", "CPU part")
        text = cpuinfo.read_text(errors="replace").splitlines()
        lines += sorted({x for x in text if x.startswith(wanted)})
    return "\n".join(lines)


def folder() -> Path:
    """Return where compiled kernels are kept; a fresh folder if that is read-only."""
    home = Path(os.path.expanduser("~"))
    if os.name == "nt":
        usual = Path(os.environ.get("LOCALAPPDATA", home))
    elif sys.platform == "darwin":
        usual = home / "Library" / "Caches"
    else:
        usual = Path(os.environ.get("XDG_CACHE_HOME", home / ".cache"))
    path = Path(os.environ.get("SRWM_LITE_CACHE", usual / "srwm_lite"))
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:
        return Path(tempfile.mkdtemp(prefix="srwm_lite-"))


def _kept(place: Path, stem: str) -> Path | None:
    for path in place.glob(f"{stem}-*.so"):
        if path.stem.endswith(_digest(path)):
            return path
        path.unlink()
    return None


def _build(place: Path, stem: str, command: list[str], source: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=place) as work:  # several processes may race
        built = Path(work) / "built.so"
        for tuned in (["-march=native"], []):
            line = [*command, *tuned, str(source), "-o", str(built)]
            done = subprocess.run(line, capture_output=True, text=True)
            if done.returncode == 0:
                break
        else:
            raise RuntimeError(f"{command[0]} fails: {done.stderr.strip()[-300:]}")
        path = place / f"{stem}-{_digest(built)}.so"
        if not path.exists():
            built.replace(path)
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
