"""Launch ``vsml.cpp``.

The reference is ``srwm_lite/vsml_learner.py``.

Tests     tests/test_vsml_fused.py
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .launch import Array, Once, check, ready, rows, run

IDEA = "vsml"
AXES = {"x": "BTI", "targets": "BTO", "h": "BION", "c": "BION", "back": "BOM"}
WEIGHTS = ("weight", "bias", "out_weight", "out_bias")
State = tuple[Tensor, Tensor, Tensor]


def fused() -> Callable[..., Any]:
    """Return a layer that learns online in C++, or raise ``RuntimeError``.

    ``(x, targets, (h, c, back), (weight, bias, out_weight, out_bias), *, ticks, shifts,
    told) -> (logits, h, c, back)``.
    """
    return ready(IDEA, _apply)


def _apply(
    x: Tensor,
    targets: Tensor,
    state: State,
    weights: tuple[Tensor, ...],
    *,
    ticks: int,
    shifts: tuple[float, float],
    told: tuple[float, float],
) -> tuple[Tensor, ...]:
    _check(x, targets, state, weights, ticks)
    W, out = _packed(weights, state[2].shape[2], shifts)
    tensors = x, targets, *state, W, out
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return _Stream.apply(keep, ticks, x.new_tensor(told), *tensors)


def _packed(
    weights: tuple[Tensor, ...], M: int, shifts: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return the rows bias, A, C, R of a cell (2 + M + N, 4 N), and its answer (N + 1)."""
    weight, bias, out_weight, out_bias = weights
    N = out_weight.shape[0]
    A, C, R = weight.split([M, M, N], dim=1)
    shift = bias.new_tensor([*shifts, 0, 0]).repeat_interleave(N)
    silent = 0 * A[:, 1:].sum(dim=1)  # zero times infinity is not zero
    columns = (bias + shift + silent)[:, None], A[:, :1], C, R
    return torch.cat(columns, dim=1).mT, torch.cat([out_weight, out_bias[None]])


class _Stream(Function):
    @staticmethod
    def forward(ctx: Any, keep: bool, ticks: int, told: Tensor, *x: Tensor) -> Any:
        x, targets, h, c, back, W, out = (t.contiguous() for t in x)
        B, T, I = x.shape  # noqa: E741
        ended = torch.empty_like(h), torch.empty_like(c), torch.empty_like(back)
        logits = torch.empty_like(targets)
        kept = h.new_empty(B, T, 2, *h.shape[1:]) if keep else None
        used = x, targets, back, W, out
        ctx.ticks, ctx.told = ticks, told
        _run("forward", ctx, h, *used, kept, logits, h, c, *ended)
        ctx.save_for_backward(*used, kept, logits)
        ctx.set_materialize_grads(False)
        return logits, *ended

    @staticmethod
    def backward(ctx: Any, *d: Tensor | None) -> Any:
        def gradients(*x: Tensor | None) -> tuple[Tensor, ...]:
            return _gradients(ctx, *x)

        return None, None, None, *Once.apply(gradients, *ctx.saved_tensors, *d)


def _gradients(ctx: Any, *x: Tensor) -> tuple[Tensor, ...]:
    inputs, targets, back, W, out, kept, _, *_ = x
    h = kept[:, 0, 0]
    given = [None if d is None else d.contiguous() for d in x[7:]]
    found = [torch.empty_like(t) for t in (inputs, targets, h, h, back)]
    of_weights = [t.new_empty(len(inputs), *t.shape) for t in (W, out)]
    _run("backward", ctx, h, *x[:7], *given, *found, *of_weights)
    return *found, *(t.sum(dim=0) for t in of_weights)


def _run(name: str, ctx: Any, h: Tensor, *x: Tensor | None) -> None:
    """Call C: a step multiplies every state with N numbers for each gate."""
    (B, T, _), (_, O, M), N = x[0].shape, x[2].shape, h.shape[-1]
    told = Array(ctx.told.data_ptr(), O, M, ctx.ticks)
    arrays = [rows(t) for t in x]
    like = h.new_empty(1).expand(B, T, 1, N)
    run(IDEA, name, like, h.flatten(1), *arrays[:5], told, *arrays[5:])


def _check(
    x: Tensor, targets: Tensor, state: State, weights: tuple[Tensor, ...], ticks: int
) -> None:
    """Raise ``ValueError`` for what the C++ cannot compute."""
    parts = dict(zip(AXES, (x, targets, *state), strict=True))
    named = parts | dict(zip(WEIGHTS, weights, strict=True))
    check(**named)
    for name, t in named.items():
        if t.dtype != x.dtype:
            raise ValueError(f"{name} must be {x.dtype} as x is: got {t.dtype}")
    sizes: dict[str, int] = {}
    for name, t in parts.items():
        _fit(name, t, sizes)
    N, M = sizes["N"], sizes["M"]
    wanted = (4 * N, 2 * M + N), (4 * N,), (N,), ()
    for name, t, shape in zip(WEIGHTS, weights, wanted, strict=True):
        if t.shape != shape:
            raise ValueError(f"{name} must have shape {shape}: got {tuple(t.shape)}")
    if min(*sizes.values(), M - 1, ticks) < 1:
        raise ValueError(
            "T, I, O, N and ticks must be positive and M at least 2: "
            f"got {sizes}, ticks = {ticks}"
        )


def _fit(name: str, t: Tensor, sizes: dict[str, int]) -> None:
    axes = AXES[name]
    there = dict(zip(axes, t.shape, strict=False))
    if t.dim() != len(axes) or any(sizes.get(a, n) != n for a, n in there.items()):
        known = ", ".join(f"{a} = {sizes[a]}" for a in axes if a in sizes)
        raise ValueError(
            f"{name} must have shape ({', '.join(axes)}) with {known or 'any sizes'}: "
            f"got {tuple(t.shape)}"
        )
    sizes.update(there)
