"""The delta rule without a loop over time: chunks, matrix products, one triangle.

Chapter   chapters/06_parallel_delta.ipynb
Tests     tests/test_parallel_delta.py
Sources   [1] Yang et al. (2024), arXiv:2406.06484 (the chunkwise delta rule).
          [2] Yang, Kautz & Hatamizadeh (2025), arXiv:2412.06464 (with decay).
          [3] Bischof & Van Loan (1987) on products of Householder matrices (WY form).

Shapes    B batch, T time, H heads, K key size, V value size, C size of a chunk.
"""

import torch
from torch import Tensor

from srwm_lite.arguments import check_whole
from srwm_lite.linear_attention import in_chunks

CHUNK = 16


def chunk_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, W: Tensor, size: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Compute the delta rule with matrix products over chunks of time [1].

    Inside a chunk that starts with W, the writes `U` solve a triangular system.

    Equation: eq:wy ::

        (I + tril(diag(beta) K K^T, -1)) U = diag(beta) (V - K W^T)
        Y = Q W^T + tril(Q K^T) U
        W = W + U^T K

    Takes and returns what `srwm_lite.delta_rule.delta_rule` does; `size` is the length
    of a chunk.
    """
    return chunk_gated_delta_rule(q, k, v, beta, torch.ones_like(beta), W, size)


def chunk_gated_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    alpha: Tensor,
    W: Tensor,
    size: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """Compute the gated delta rule the same way [2].

    Whatever is written at time s has faded by ``alpha_{s+1} ... alpha_t`` at time t, so
    every product of two times in `chunk_delta_rule` is multiplied by that decay.

    Takes and returns what `srwm_lite.delta_rule.gated_delta_rule` does; `size` is the
    length of a chunk.
    """
    check_whole(1, size=size)
    if q.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"chunks are computed in float32 and float64: got {q.dtype}; use "
            "backend='loop', or convert the inputs"
        )
    T = q.shape[1]
    size = min(size, T)
    q, k, v, beta = (in_chunks(x, size) for x in (q, k, v, beta[..., None]))
    since_start, between = decays(in_chunks(alpha, size, fill=1.0))
    targets, reads = torch.linalg.solve_triangular(
        (beta * between * (k @ k.mT)).tril(-1),
        torch.cat([beta * v, beta * since_start * k], dim=-1),
        upper=False,
        unitriangular=True,
    ).split([v.shape[-1], k.shape[-1]], dim=-1)
    reading = (between * (q @ k.mT)).tril()
    queries, keys = since_start * q, between[..., -1:, :].mT * k
    kept = since_start[..., -1:, :]
    parts = targets, reads, queries, keys, reading, kept
    ys = []
    for V_n, K_n, q_n, k_n, scores, fade in zip(
        *(x.unbind(dim=2) for x in parts), strict=True
    ):
        U = V_n - K_n @ W.mT
        ys.append(q_n @ W.mT + scores @ U)
        W = fade * W + U.mT @ k_n
    return torch.cat(ys, dim=2)[:, :, :T].transpose(1, 2), W


def decays(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Return what is left at time t: of the start, and of a write at time s.

    ::

        since_start[t] = alpha_1 ... alpha_t
        between[t, s]  = alpha_{s+1} ... alpha_t      for s <= t

    Products, not quotients of products: a decay of zero is allowed.

    Parameters
    ----------
    alpha : Tensor, (..., C)

    Returns
    -------
    since_start : Tensor, (..., C, 1)
    between : Tensor, (..., C, C)
        The upper triangle is without meaning.
    """
    C = alpha.shape[-1]
    later = torch.ones(C, C, dtype=torch.bool, device=alpha.device).tril(-1)
    between = torch.where(later, alpha[..., None], 1).cumprod(dim=-2)
    return alpha.cumprod(dim=-1)[..., None], between
