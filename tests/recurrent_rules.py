"""The rules that hear their own output: as functions of tensors, and their inputs."""

import torch
from sequences import (
    delta_rnn_inputs,
    delta_rnn_start,
    recurrent_delta_inputs,
    recurrent_delta_start,
    results,
)

from srwm_lite.delta_rnn import delta_rnn
from srwm_lite.recurrent_delta import recurrent_delta

FILES = {"recurrent_delta": "recurrent_delta.cu", "delta_rnn": "delta_rnn.cu"}
RULES = {
    "recurrent_delta": (recurrent_delta, recurrent_delta_inputs, recurrent_delta_start),
    "delta_rnn": (delta_rnn, delta_rnn_inputs, delta_rnn_start),
}


def sequence(rule, *sizes, device="cpu", dtype=torch.float64):
    """Return ``run(*x, backend=...) -> (y, *state)`` and x, the state at its end."""
    function, inputs, start = RULES[rule]
    given = inputs(*sizes, dtype=dtype)
    n = len(given)

    def run(*x, backend):
        y, state = function(*x[:n], x[n:], backend=backend)
        return y, *state

    return run, [u.to(device) for u in (*given, *start(*given))]


def all_results(run, x, **options):
    """Return the outputs and the gradient of all of them for every input."""
    return results(run, x[:-1], x[-1], **options)


def errors(rule, *sizes, backend, dtype=torch.float32, device="cpu"):
    """Return the relative errors of all outputs, and of all gradients.

    The loop runs in float64 on the numbers that the kernel gets.
    """
    run, x = sequence(rule, *sizes, dtype=dtype, device=device)
    ours = all_results(run, x, backend=backend)
    loop = all_results(run, [u.double().cpu() for u in x], backend="loop")
    found = [
        ((a.cpu().double() - b).norm() / b.norm().clamp(min=1e-30)).item()
        for a, b in zip(ours, loop, strict=True)
    ]
    return found[: -len(x)], found[-len(x) :]
