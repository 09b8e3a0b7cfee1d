"""Inputs and comparisons for the kernels of the self-referential matrix."""

import torch
from sequences import results

from srwm_lite.self_reference import self_reference, self_reference_step
from srwm_lite.srwm import start_matrix


def inputs(B=2, T=7, H=2, K=3, V=4, *, dtype=torch.float64, device="cpu"):
    """Return u and W."""
    u = torch.randn(B, T, H, K, dtype=dtype)
    W = start_matrix(B * H, V, K).to(dtype).unflatten(0, (B, H))
    return [u.to(device), W.to(device)]


def growing(T=600, K=4, V=4):
    """Return u and W, float32, whose frozen keys let the rows y grow.

    The query is almost one-hot where the key is largest, so (q - k) . k > 0.
    """
    u, W = torch.randn(2, T, 1, K) / 10, torch.randn(2, 1, V + 2 * K + 4, K) / 10
    u[..., 0] += 1
    W[:, :, :V] *= 10
    W[:, :, V, 0] += 5
    W[:, :, V + K, 0] += 1
    W[:, :, -4:, 0] -= 1
    return [u, W]


def all_results(x, run=self_reference, **options):
    """Return y, the last W, and the gradient of both for u and W."""
    return results(run, x[:1], x[1], **options)


def errors(x, backend, **options):
    """Return the relative errors of y and W, and of the gradients of u and W.

    The loop runs in float64 on the numbers that the kernel gets.
    """
    ours = all_results(x, backend=backend, **options)
    loop = all_results([a.double().cpu() for a in x], backend="loop", **options)
    found = [
        ((a.cpu().double() - b).norm() / b.norm().clamp(min=1e-30)).item()
        for a, b in zip(ours, loop, strict=True)
    ]
    return found[:2], found[2:]


def stepped(u, W, live):
    """Read a sequence step by step with learning rates that are live in part."""
    ys = []
    for u_t in u.unbind(dim=1):
        W, y = self_reference_step(W, u_t, live)
        ys.append(y)
    return torch.stack(ys, dim=1), W
