"""Measure how fast the backends are on this CPU: ``python benchmarks/cpu.py``.

Forward and backward, float32, process time. Backends take turns in every round: once to
warm up, then for a tenth of a second, as in training, where one backend runs again and
again. A speed is the median of the ratios within the rounds, so that a busy machine
slows both sides. The peak is a matrix product, the bandwidth a copy, in the same run.
Writes ``benchmarks/results/cpu.json`` and prints the table.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: no busy waiting

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import normalize

from srwm_lite.delta_rnn import delta_rnn
from srwm_lite.delta_rule import delta_rule, gated_delta_rule
from srwm_lite.kernels.compile import compiler, processor
from srwm_lite.linear_attention import linear_attention
from srwm_lite.recurrent_delta import recurrent_delta
from srwm_lite.self_reference import self_reference
from srwm_lite.srwm import start_matrix

RESULTS = Path(__file__).parent / "results" / "cpu.json"
IDEAS: dict[str, Callable[..., tuple[Tensor, Any]]] = {
    "linear_attention": linear_attention,
    "delta_rule": delta_rule,
    "gated_delta_rule": gated_delta_rule,
    "delta_rnn": delta_rnn,
    "recurrent_delta": recurrent_delta,
    "srwm": self_reference,
}
RECURRENT = ("delta_rnn", "recurrent_delta", "srwm")
A_WHILE = 0.1  # seconds
BACKENDS = ("loop", "chunk", "fused")
MULTIPLY_ADDS = {  # per number of W and step
    "linear_attention": 8,
    "delta_rule": 12,
    "delta_rnn": 27,
    "recurrent_delta": 22,
    "srwm": 33,  # three times the rows of a square W
}
SHAPES = {
    "D 16": (32, 256, 4, 16),
    "D 32": (32, 256, 4, 32),
    "D 64": (32, 256, 4, 64),
    "T 1024": (8, 1024, 4, 32),
    "WikiText-103 small": (96, 256, 8, 16),  # Schlag et al. (2021), one layer
    "WikiText-103 medium": (56, 384, 8, 32),
}


def seconds(
    run: Callable[[], Any], clock: Callable[[], float] = time.process_time
) -> float:
    """Return how long `run` takes."""
    start = clock()
    run()
    return clock() - start


def peak_and_bandwidth() -> tuple[float, float]:
    """Return the matrix-product peak in GFLOP/s and the speed of a copy in GB/s."""
    a, b = torch.randn(2, 1024, 1024)
    x, y = torch.empty(2, 1 << 24).normal_()
    runs = [(seconds(lambda: a @ b), seconds(lambda: y.copy_(x))) for _ in range(15)]
    product, copy = (statistics.median(column) for column in zip(*runs, strict=True))
    return 2 * 1024**3 / product / 1e9, 2 * 4 * x.numel() / copy / 1e9


def inputs(idea: str, B: int, T: int, H: int, D: int) -> list[Tensor]:
    """Return what the idea takes: q, k, v and more, or u and W; keys are normalised."""
    if idea == "srwm":
        W = start_matrix(B * H, D, D).unflatten(0, (B, H))
        return [x.detach().requires_grad_() for x in (torch.randn(B, T, H, D), W)]
    q, k, v = torch.randn(3, B, T, H, D)
    strengths = torch.rand(2, B, T, H)
    k_rec = torch.rand(B, T, H, D).softmax(dim=-1)
    x = [q, k] if idea == "recurrent_delta" else [q, normalize(k, dim=-1)]
    x += {
        "linear_attention": [v],
        "delta_rule": [v, strengths[0]],
        "gated_delta_rule": [v, *strengths],
        "delta_rnn": [v, strengths[0], k_rec, torch.randn(B, T, H, D), strengths[1]],
        "recurrent_delta": [v, strengths[0], torch.randn(H, 3 * D + 1, D) / D**0.5],
    }[idea]
    return [a.clone().requires_grad_() for a in x]


def saved_bytes(forward: Callable[[], Any]) -> int:
    """Return the bytes that autograd keeps between forward and backward."""
    kept: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return x

    with saved_tensors_hooks(note, lambda x: x):
        graph = forward()
    del graph
    return sum(kept.values())


def measure(
    idea: str, shape: tuple[int, ...], rounds: int, peak: float
) -> list[dict[str, Any]]:
    """Return one row for each backend: milliseconds, speed against the loop, memory."""
    x, rule = inputs(idea, *shape), IDEAS[idea]
    g = torch.randn(shape)

    def both(backend: str) -> None:
        y, _ = rule(*x, backend=backend)
        torch.autograd.grad(y, x, g)

    backends = [b for b in BACKENDS if b != "chunk" or idea not in RECURRENT]
    taken: dict[str, list[float]] = {name: [] for name in backends}
    for _ in range(rounds):
        for name in backends:
            calls = max(1, round(A_WHILE / seconds(partial(both, name))))
            spent = sum(seconds(partial(both, name)) for _ in range(calls))
            taken[name].append(spent / calls)
    B, T, H, D = shape
    flops = 2 * MULTIPLY_ADDS.get(idea, 0) * B * T * H * D * D
    rows = []
    for name, times in taken.items():
        ms = statistics.median(times) * 1e3
        ratios = [a / b for a, b in zip(taken["loop"], times, strict=True)]
        kept = saved_bytes(partial(rule, *x, backend=name))
        row = {
            "idea": idea,
            "B, T, H, D": shape,
            "backend": name,
            "ms": round(ms, 2),
            "speed": round(statistics.median(ratios), 1),
            "saved MB": round(kept / 1e6, 1),
        }
        if name == "fused" and flops:
            row["share of peak"] = round(flops / ms / 1e6 / peak, 2)
        rows.append(row)
    return rows


def two_threads(idea: str, shape: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Return how much faster, on the wall, two threads are than one (fused)."""
    x, rule = inputs(idea, *shape), IDEAS[idea]
    g = torch.randn(shape)
    ratios = []
    for _ in range(rounds):
        spent = []
        for n in (1, 2):
            torch.set_num_threads(n)
            spent.append(
                seconds(
                    lambda: torch.autograd.grad(rule(*x, backend="fused")[0], x, g),
                    time.perf_counter,
                )
            )
        ratios.append(spent[0] / spent[1])
    torch.set_num_threads(1)
    speed = round(statistics.median(ratios), 2)
    return {"idea": idea, "B, T, H, D": shape, "two threads against one": speed}


def machine() -> dict[str, Any]:
    """Say what ran, where and when."""
    models = [x for x in processor().splitlines() if x.startswith("model name")]
    version = subprocess.run([*compiler(), "--version"], capture_output=True, text=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    return {
        "device": models[0].split(":")[1].strip() if models else platform.processor(),
        "date": date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "compiler": version.stdout.splitlines()[0],
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def main(rounds: int = 7) -> None:
    """Measure everything, print the tables, write the results."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = time.perf_counter()
    peak, bandwidth = peak_and_bandwidth()
    results = machine() | {
        "threads": 1,
        "dtype": "float32",
        "what": "forward and backward, process time, median of paired rounds",
        "matrix product GFLOP/s": round(peak, 1),
        "copy GB/s": round(bandwidth, 1),
    }
    print(json.dumps(results, indent=1))
    rows = []
    for idea in IDEAS:
        for label, shape in SHAPES.items():
            for row in measure(idea, shape, rounds, peak):
                rows.append({"shape": label} | row)
                print(*row.values(), sep="\t", flush=True)
    threads = [two_threads(idea, SHAPES["D 32"], rounds) for idea in IDEAS]
    print(*threads, sep="\n")
    results |= {"seconds": round(time.perf_counter() - start), "rows": rows}
    text = json.dumps(results | {"two threads": threads}, indent=1)
    RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
