"""Measure the rules on a GPU, beside what the chip could do at best.

::

    python benchmarks/gpu.py [--quick]      writes benchmarks/results/<device>.json

The kernels (CuPy) of the delta rule, the recurrent delta rule, the Delta RNN and the
self-referential matrix against the readable loops; the delta rule also against the loop
through torch.compile and, where it is installed, flash-linear-attention: its fused
recurrent and its chunked kernels.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from gpu_rules import RULES, Rule, Run, competitors
from torch import Tensor

RESULTS = Path(__file__).resolve().parent / "results"
WIDTHS, HEADS, LENGTHS = (16, 32, 64), (32, 128, 512, 2048), (256, 1024, 4096)


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


def passes(run: Run, x: list[Tensor], both: bool) -> Callable[[], Any]:
    """Return a function that runs forward, or forward and backward."""
    if not both:

        def forward() -> None:
            with torch.no_grad():
                run(*x)

        return forward
    leaves = [a.clone().requires_grad_() for a in x]
    dy = torch.randn_like(x[0])

    def forward_backward() -> None:
        y = run(*leaves)[0]
        torch.autograd.grad(y, leaves, dy.to(y.dtype))

    return forward_backward


def agrees(run: Run, x: list[Tensor], wanted: Tensor) -> bool:
    """Tell whether `run` computes what is wanted: RMS error below one percent."""
    y = run(*x)[0].float()
    return bool((y - wanted).square().mean() <= 1e-4 * wanted.square().mean())


def cases(rule: Rule, quick: bool, room: float) -> Iterator[tuple[int, int, int]]:
    """Yield D, B H and T of all cases that fit into `room` bytes."""
    sizes = (WIDTHS[:2], HEADS[:2], LENGTHS[:1]) if quick else (WIDTHS, HEADS, LENGTHS)
    for D, BH, T in itertools.product(*sizes):
        if 4 * rule.cost(BH, T, D, True)[0] < room:
            yield D, BH, T


def measure(
    rule: Rule, D: int, BH: int, T: int, bandwidth: float, rate: float
) -> Iterator[dict[str, Any]]:
    """Yield the times of all competitors, forward and with backward."""
    x = rule.inputs(BH, T, D)
    wanted = rule.run(*x, backend=rule.reference)[0]
    for both in (False, True):
        moved, operations = rule.cost(BH, T, D, both)
        ms = {}
        for name, run in competitors(rule, T).items():
            try:
                if not agrees(run, x, wanted):
                    raise ArithmeticError("its answers are not those of the rule")
                ms[name] = milliseconds(passes(run, x, both))
            except Exception as problem:
                print(f"  {name}: {type(problem).__name__}: {str(problem)[:120]}")
        floor = 1e3 * max(moved / bandwidth, operations / rate)
        what = "both" if both else "forward"
        size = {"rule": rule.name, "D": D, "BH": BH, "T": T, "pass": what}
        yield size | {"floor_ms": floor, "ms": ms}


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
    rows: list[dict[str, Any]] = []
    room = torch.cuda.get_device_properties(0).total_memory
    for rule in RULES:
        for D, BH, T in cases(rule, args.quick, room):
            print(f"{rule.name}: D = {D}, B H = {BH}, T = {T}", flush=True)
            rows += measure(rule, D, BH, T, bandwidth, rate)
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
