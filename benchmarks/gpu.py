"""Measure the delta rule on a GPU, beside what the chip could do at best.

::

    python benchmarks/gpu.py [--quick]      writes benchmarks/results/<device>.json

The kernel (CuPy) against the readable loop, the loop through torch.compile, and, where
it is installed, flash-linear-attention: its fused recurrent and its chunked kernels.
The floor is the larger of two times: the bytes that must move at the bandwidth of a
copy, and the operations at the rate of a float32 matrix product, both measured in the
same run. Needs a GPU and CuPy; without them it says so and writes nothing.
"""

import argparse
import importlib.util
import itertools
import json
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from srwm_lite.delta_rule import delta_rule

RESULTS = Path(__file__).resolve().parent / "results"
WIDTHS, HEADS, LENGTHS = (16, 32, 64), (32, 128, 512, 2048), (256, 1024, 4096)
LONGEST_LOOP = 1024  # steps; a Python loop on a GPU is launches and nothing else
Run = Callable[..., tuple[Tensor, Tensor]]


def cost(BH: int, T: int, D: int, both: bool) -> tuple[int, int]:
    """Return the bytes that must move and the operations of the delta rule, float32.

    Forward: q, k, v, beta and W in, y and W_T out; ``W k``, the write and ``W q`` take
    2 D^2 operations each. Backward: the errors e are stored and read again, q, k, beta,
    dy and W in, dq, dk, dv, dbeta and dW out; each of ``G += dy q``, ``G k``, ``G e``,
    ``G -= de k``, ``W de``, ``W += u k``, ``W dy`` takes 2 D^2 a step. What a kernel
    moves or computes twice does not raise the floor.
    """
    step, state = BH * T, BH * D * D
    words, operations = step * (4 * D + 1) + 2 * state, 6 * D * D * step
    if both:
        words += step * (2 * D + 6 * D + 2) + 2 * state
        operations += 14 * D * D * step
    return 4 * words, operations


def milliseconds(run: Callable[[], Any], repeat: int = 10) -> float:
    """Return the median time of `run` on the GPU, after two runs to warm up."""
    for _ in range(2):
        run()
    times = []
    for _ in range(repeat):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def copy_bandwidth() -> float:
    """Return the bytes a second that a copy reads and writes together."""
    x = torch.empty(2**28, device="cuda")
    y = torch.empty_like(x)
    return 2 * x.nbytes / milliseconds(lambda: y.copy_(x)) * 1e3


def product_rate() -> float:
    """Return the operations a second of a float32 matrix product, without TF32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    x = torch.randn(8192, 8192, device="cuda")
    return 2 * 8192**3 / milliseconds(lambda: x @ x) * 1e3


def inputs(BH: int, T: int, D: int) -> list[Tensor]:
    """Return q, k, v, beta and W for B * H sequences of one head each."""
    q, k, v = (torch.randn(BH, T, 1, D, device="cuda") for _ in range(3))
    beta = torch.rand(BH, T, 1, device="cuda")
    W = torch.zeros(BH, 1, D, D, device="cuda")
    return [q, functional.normalize(k, dim=-1), v, beta, W]


def competitors(T: int) -> dict[str, Run]:
    """Return what is to be measured at this length."""
    found: dict[str, Run] = {"cuda": partial(delta_rule, backend="cuda")}
    found["chunk"] = partial(delta_rule, backend="chunk")
    if T <= LONGEST_LOOP:
        found["loop"] = partial(delta_rule, backend="loop")
    if T <= LONGEST_LOOP // 4:  # torch.compile unrolls the loop over T
        found["compiled loop"] = torch.compile(partial(delta_rule, backend="loop"))
    if importlib.util.find_spec("fla"):
        found |= {"fla recurrent": fla("fused_recurrent"), "fla chunk": fla("chunk")}
    return found


def fla(kind: str) -> Run:
    """Return a kernel of flash-linear-attention behind our door; W transposed."""
    from fla.ops import delta_rule as theirs

    kernel = getattr(theirs, f"{kind}_delta_rule")
    chunked = kind == "chunk"

    def run(
        q: Tensor, k: Tensor, v: Tensor, beta: Tensor, W: Tensor
    ) -> tuple[Tensor, Tensor]:
        x = [a.bfloat16() for a in (q, k, v, beta)] if chunked else [q, k, v, beta]
        y, state = kernel(
            *x, scale=1.0, initial_state=W.mT.contiguous(), output_final_state=True
        )
        return y, state.mT

    return run


def passes(run: Run, x: list[Tensor], both: bool) -> Callable[[], Any]:
    """Return a function that runs forward, or forward and backward."""
    if not both:

        def forward() -> None:
            with torch.no_grad():
                run(*x)

        return forward
    leaves = [a.clone().requires_grad_() for a in x]
    dy = torch.randn_like(x[2])

    def forward_backward() -> None:
        y, _ = run(*leaves)
        torch.autograd.grad(y, leaves, dy.to(y.dtype))

    return forward_backward


def agrees(run: Run, x: list[Tensor], wanted: Tensor) -> bool:
    """Tell whether `run` computes the delta rule: RMS error below one percent."""
    y = run(*x)[0].float()
    return bool((y - wanted).square().mean() <= 1e-4 * wanted.square().mean())


def cases(quick: bool, room: float) -> Iterator[tuple[int, int, int]]:
    """Yield D, B H and T of all cases that fit into `room` bytes."""
    sizes = (WIDTHS[:2], HEADS[:2], LENGTHS[:1]) if quick else (WIDTHS, HEADS, LENGTHS)
    for D, BH, T in itertools.product(*sizes):
        if 4 * cost(BH, T, D, both=True)[0] < room:
            yield D, BH, T


def measure(
    D: int, BH: int, T: int, bandwidth: float, rate: float
) -> Iterator[dict[str, Any]]:
    """Yield the times of all competitors, forward and with backward."""
    x = inputs(BH, T, D)
    wanted = delta_rule(*x, backend="chunk")[0]
    for both in (False, True):
        moved, operations = cost(BH, T, D, both)
        ms = {}
        for name, run in competitors(T).items():
            try:
                if not agrees(run, x, wanted):
                    raise ArithmeticError("its answers are not those of the delta rule")
                ms[name] = milliseconds(passes(run, x, both))
            except Exception as problem:
                print(f"  {name}: {type(problem).__name__}: {str(problem)[:120]}")
        floor = 1e3 * max(moved / bandwidth, operations / rate)
        what = "both" if both else "forward"
        yield {"D": D, "BH": BH, "T": T, "pass": what, "floor_ms": floor, "ms": ms}


def versions() -> dict[str, str]:
    """Return the versions of all that takes part."""
    found = {"Python": platform.python_version(), "CUDA": str(torch.version.cuda)}
    names = (
        "torch",
        "cupy-cuda12x",
        "cupy-cuda13x",
        "triton",
        "flash-linear-attention",
    )
    for name in names:
        try:
            found[name] = version(name)
        except ImportError:  # importlib.metadata.PackageNotFoundError
            continue
    return found


def commit() -> str:
    """Return the short name of the commit, with a plus if the tree has changes."""
    git = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty=+"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip()


def missing() -> str:
    """Say what is missing here, nothing if all is there."""
    if not torch.cuda.is_available():
        return "there is no CUDA device; nothing was measured and nothing written"
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed: pip install -r requirements-gpu.txt"
    return ""


def main() -> int:
    """Measure all cases and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the small cases only")
    args = parser.parse_args()
    if problem := missing():
        print(f"benchmarks/gpu.py: {problem}", file=sys.stderr)
        return 1
    bandwidth, rate = copy_bandwidth(), product_rate()
    rows = []
    room = torch.cuda.get_device_properties(0).total_memory
    for D, BH, T in cases(args.quick, room):
        print(f"D = {D}, B H = {BH}, T = {T}", flush=True)
        rows += measure(D, BH, T, bandwidth, rate)
    name = torch.cuda.get_device_name()
    result = {
        "kind": "gpu",
        "device": name,
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "versions": versions(),
        "copy_gb_s": bandwidth / 1e9,
        "product_tflop_s": rate / 1e12,
        "rows": rows,
    }
    path = RESULTS / (re.sub(r"\W+", "_", name).strip("_").lower() + ".json")
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
