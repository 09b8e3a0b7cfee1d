"""The three rules that have CUDA kernels, their inputs, and what their tests need."""

import pytest
import torch
from sequences import attention_inputs, delta_inputs, gated_inputs, results, start

from srwm_lite.delta_rule import delta_rule, gated_delta_rule
from srwm_lite.kernels.cpu.build import gcc
from srwm_lite.linear_attention import linear_attention

RULES = {
    "linear_attention": (linear_attention, attention_inputs),
    "delta_rule": (delta_rule, delta_inputs),
    "gated_delta_rule": (gated_delta_rule, gated_inputs),
}


def reason_against_emulation():
    """Return in words why nothing can be emulated here, or nothing."""
    try:
        gcc()
    except RuntimeError as error:
        return str(error)
    return ""


needs_gcc = pytest.mark.skipif(
    bool(reason_against_emulation()), reason=reason_against_emulation()
)


def sequence(rule, *sizes, device="cpu", **options):
    """Return the function of a rule, its inputs, and fast weights to start from."""
    run, inputs = RULES[rule]
    x = inputs(*sizes, **options)
    return run, [u.to(device) for u in x], start(*x).to(device)


def errors(rule, *sizes, backend, dtype=torch.float32, device="cpu"):
    """Return the relative errors of y, W and every gradient against the loop.

    The loop runs in float64 on the numbers that the kernel gets.
    """
    run, x, W = sequence(rule, *sizes, dtype=dtype, device=device)
    ours = results(run, x, W, backend=backend)
    loop = results(run, [u.double().cpu() for u in x], W.double().cpu(), backend="loop")
    return [
        ((a.cpu().double() - b).norm() / b.norm().clamp(min=1e-30)).item()
        for a, b in zip(ours, loop, strict=True)
    ]
