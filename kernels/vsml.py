"""Launch ``vsml.cpp``.

The reference is ``srwm_lite/vsml_learner.py``.

Tests     tests/test_vsml_fused.py
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .launch import Array, Once, check, ready, rows, run

IDEA = "vsml"
AXES = {"x": "BTI", "targets": "BTO", "h": "BION", "c": "BION", "back": "BOM"}
WEIGHTS = ("weight", "bias", "out_weight", "out_bias")


def fused() -> Callable[..., Any]:
    """Return a layer that learns online in C++, or raise ``RuntimeError``.

    ``(x, targets, (h, c, back), (weight, bias, out_weight, out_bias), *, ticks, shifts,
    told) -> (logits, h, c, back)``; `shifts` are of the input and the forget gate,
    `told` are factors of the error and of the label that come back.
    """
    return ready(IDEA, _apply)


def _apply(
    x: Tensor,
    targets: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor, ...],
    *,
    ticks: int,
    shifts: tuple[float, float],
    told: tuple[float, float],
) -> tuple[Tensor, ...]:
    parts = dict(zip(AXES, (x, targets, *state), strict=True))
    _check(parts, dict(zip(WEIGHTS, weights, strict=True)), ticks)
    tensors = *parts.values(), *_packed(weights, state[2].shape[2], shifts)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return _Stream.apply(keep, ticks, x.new_tensor(told), *tensors)


def _packed(
    weights: tuple[Tensor, ...], M: int, shifts: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return rows bias, A, C, R of the gates (2 + M + N, 4 N), and the answer (N + 1).

    Of x only slot 0 is heard, so only one row of A.
    """
    weight, bias, out_weight, out_bias = weights
    N = len(out_weight)
    A, C, R = weight.split([M, M, N], dim=1)
    shift = bias.new_tensor([*shifts, 0, 0]).repeat_interleave(N)
    silent = 0 * A[:, 1:].sum(dim=1)  # NaN if a weight is not finite, as in the loop
    columns = (bias + shift + silent)[:, None], A[:, :1], C, R
    return torch.cat(columns, dim=1).mT, torch.cat([out_weight, out_bias[None]])


class _Stream(Function):
    @staticmethod
    def forward(ctx: Any, keep: bool, ticks: int, told: Tensor, *x: Tensor) -> Any:
        inputs, targets, h, c, back, W, out = (t.contiguous() for t in x)
        ended = torch.empty_like(h), torch.empty_like(c), torch.empty_like(back)
        logits = torch.empty_like(targets)
        kept = h.new_empty(*targets.shape[:2], 2, *h.shape[1:]) if keep else None
        saved = inputs, targets, back, W, out, told, kept, logits
        _run("forward", ticks, h, *saved, h, c, *ended)
        ctx.save_for_backward(*saved)
        ctx.set_materialize_grads(False)
        ctx.ticks = ticks
        return logits, *ended

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> Any:
        found = partial(_gradients, ctx.ticks)
        return None, None, None, *Once.apply(found, *ctx.saved_tensors, *given)


def _gradients(ticks: int, *x: Tensor) -> tuple[Tensor, ...]:
    saved, given = x[:8], [None if d is None else d.contiguous() for d in x[8:]]
    inputs, targets, back, W, out, _, kept, _ = saved
    h = kept[:, 0, 0]
    found = [t.new_empty(t.shape) for t in (inputs, targets, h, h, back)]
    each = [t.new_empty(len(h), *t.shape) for t in (W, out)]
    _run("backward", ticks, h, *saved, *given, *found, *each)
    return *found, *(d.sum(dim=0) for d in each)


def _run(name: str, ticks: int, h: Tensor, *x: Any) -> None:
    """Call C. The work of an example is every state times N for a gate."""
    (B, T, _), (*_, O, N), M = x[0].shape, h.shape, x[2].shape[-1]  # noqa: E741
    arrays = [rows(t) for t in x]
    arrays[5] = Array(x[5].data_ptr(), O, M, ticks)
    run(IDEA, name, h.new_empty(1).expand(B, T, 1, N), h.flatten(1), *arrays)


def _check(parts: dict[str, Tensor], weights: dict[str, Tensor], ticks: int) -> None:
    """Raise ``ValueError`` for what the C++ cannot compute."""
    check(**parts, **weights)
    dtype, sizes = parts["x"].dtype, {"ticks": ticks}
    for name, t in (parts | weights).items():
        if t.dtype != dtype:
            raise ValueError(
                f"x and {name} must share a dtype: got x {dtype}, {name} {t.dtype}; "
                f"use {name}.to(x)"
            )
    for name, t in parts.items():
        _fit(name, t, sizes)
    N, M = sizes["N"], sizes["M"]
    if min(M - 1, *(n for a, n in sizes.items() if a != "B")) < 1:
        got = ", ".join(f"{a} = {n}" for a, n in sizes.items())
        raise ValueError(f"sizes must be positive, and M at least 2: got {got}")
    wanted = (4 * N, 2 * M + N), (4 * N,), (N,), ()
    for (name, t), shape in zip(weights.items(), wanted, strict=True):
        if t.shape != shape:
            raise ValueError(
                f"{name} must have shape {shape} for N = {N} and M = {M}: "
                f"got {tuple(t.shape)}"
            )


def _fit(name: str, t: Tensor, sizes: dict[str, int]) -> None:
    """Learn the sizes of axes from `t`, or refuse it if it has others."""
    axes, got = AXES[name], dict(zip(AXES[name], t.shape, strict=False))
    if t.dim() != len(axes) or any(sizes.get(a, n) != n for a, n in got.items()):
        shape = ", ".join(f"{a} = {sizes[a]}" if a in sizes else a for a in axes)
        raise ValueError(f"{name} must have shape ({shape}): got {tuple(t.shape)}")
    sizes |= got
