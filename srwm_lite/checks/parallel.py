"""Exercises on the delta rule in parallel: the triangular system, the products."""

from typing import Any

import torch
from torch import Tensor

from srwm_lite.checks.exercise import Function, register


def _system(k: Tensor, beta: Tensor) -> Tensor:
    """Return ``tril(diag(beta) K K^T, -1)``."""
    return (beta[:, None] * (k @ k.T)).tril(-1)


def _right(k: Tensor, v: Tensor, beta: Tensor, W: Tensor) -> Tensor:
    """Return ``diag(beta) (V - K W^T)``."""
    return beta[:, None] * (v - k @ W.T)


def _solve(system: Tensor, right: Tensor) -> Tensor:
    return torch.linalg.solve(torch.eye(len(system)).to(system) + system, right)


def _below(system: Tensor, right: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(system, right, upper=False)


def _with_system(system: Function) -> Function:
    """Return the writes that another `system` gives."""
    return lambda k, v, beta, W: _solve(system(k, beta), _right(k, v, beta, W))


def _with_right(right: Function) -> Function:
    """Return the writes that another `right` side gives."""
    return lambda k, v, beta, W: _solve(_system(k, beta), right(k, v, beta, W))


register(
    "chunk_writes",
    "Solve (I + tril(diag(beta) K K^T, -1)) U = diag(beta) (V - K W^T) for U.",
    _with_system(_system),
    {"k": "T K", "v": "T V", "beta": "T strength", "W": "V K"},
    {"U": "T V"},
    [
        (
            "system not solved",
            "these are the writes if no key met an earlier one; solve the triangle",
            _right,
        ),
        (
            "multiplied instead of solved",
            "U stands on the left: solve the system, do not multiply by its matrix",
            lambda k, v, beta, W: (
                _right(k, v, beta, W) + _system(k, beta) @ _right(k, v, beta, W)
            ),
        ),
        (
            "first order only",
            "I - A is not the inverse of I + A: solve the triangle",
            lambda k, v, beta, W: (
                _right(k, v, beta, W) - _system(k, beta) @ _right(k, v, beta, W)
            ),
        ),
        (
            "identity missing",
            "the matrix of the system is I + tril(..., -1), with ones on the diagonal",
            lambda k, v, beta, W: _below(_system(k, beta), _right(k, v, beta, W)),
        ),
        (
            "identity missing",
            "the diagonal is one, not beta |k|^2: I + tril(..., -1), not tril(...)",
            lambda k, v, beta, W: _below(
                (beta[:, None] * (k @ k.T)).tril(), _right(k, v, beta, W)
            ),
        ),
        (
            "mask includes the diagonal",
            "a write does not correct itself: tril(..., -1)",
            _with_system(lambda k, beta: (beta[:, None] * (k @ k.T)).tril()),
        ),
        (
            "forgot the causal mask",
            "only earlier writes are corrected: keep what is below the diagonal",
            _with_system(lambda k, beta: beta[:, None] * (k @ k.T)),
        ),
        (
            "mask the wrong way round",
            "keep what is below the diagonal, tril, not triu",
            _with_system(lambda k, beta: (beta[:, None] * (k @ k.T)).triu(1)),
        ),
        (
            "beta on the wrong axis",
            "diag(beta) scales the rows: beta[:, None], one row for each time",
            _with_system(lambda k, beta: (beta * (k @ k.T)).tril(-1)),
        ),
        (
            "beta missing in the system",
            "diag(beta) stands on both sides",
            _with_system(lambda k, beta: (k @ k.T).tril(-1)),
        ),
        (
            "beta missing on the right",
            "diag(beta) stands on both sides",
            _with_right(lambda k, v, beta, W: v - k @ W.T),
        ),
        (
            "beta on the wrong term",
            "beta scales the whole error: beta * (v - W k)",
            _with_right(lambda k, v, beta, W: beta[:, None] * v - k @ W.T),
        ),
        (
            "wrong sign",
            "earlier writes are taken away: I + tril(...), not I - tril(...)",
            _with_system(lambda k, beta: -_system(k, beta)),
        ),
        (
            "old memory forgotten",
            "the chunk starts with W: the errors are V - K W^T",
            _with_right(lambda k, v, beta, W: beta[:, None] * v),
        ),
        (
            "transposed memory",
            "row t of K W^T is W k_t: k @ W.T, not k @ W",
            _with_right(lambda k, v, beta, W: beta[:, None] * (v - k @ W)),
        ),
    ],
)


def _factors(k: Tensor, beta: Tensor) -> Tensor:
    """Return ``I - beta_t k_t k_t^T`` for every t, (T, K, K)."""
    identity = torch.eye(k.shape[-1]).to(k)
    return identity - beta[:, None, None] * k[:, :, None] * k[:, None, :]


def _wy(k: Tensor, right: Tensor, beta: Tensor, sign: int) -> Tensor:
    """Return ``I + sign R^T K`` with ``(I + tril(...)) R = right``."""
    R = _solve(_system(k, beta), right)
    return torch.eye(k.shape[-1]).to(k) + sign * R.T @ k


def _product(factors: Tensor) -> Any:
    product = torch.eye(factors.shape[-1]).to(factors)
    for factor in factors:
        product = product @ factor
    return product


register(
    "householder_product",
    "Multiply P_1 P_2 ... P_T with P_t = I - beta_t k_t k_t^T: W_T = W_0 P_1 ... P_T.",
    lambda k, beta: _product(_factors(k, beta)),
    {"k": "T K unit", "beta": "T strength"},
    {"P": "K K"},
    [
        (
            "order reversed",
            "the first step stands first: P = P @ P_t, or I - R^T K and not I - K^T R",
            lambda k, beta: _product(_factors(k, beta).flip(0)),
        ),
        (
            "beta missing",
            "each step takes away beta_t k_t k_t^T",
            lambda k, beta: _product(_factors(k, torch.ones_like(beta))),
        ),
        (
            "beta always two",
            "two is the reflection; here each step has its own beta_t",
            lambda k, beta: _product(_factors(k, torch.full_like(beta, 2))),
        ),
        (
            "wrong sign",
            "I minus beta k k^T, not plus",
            lambda k, beta: _product(_factors(k, -beta)),
        ),
        (
            "wrong sign",
            "the product is I - R^T K, not I + R^T K",
            lambda k, beta: _wy(k, beta[:, None] * k, beta, 1),
        ),
        (
            "beta missing on the right",
            "the vectors R solve (I + tril(...)) R = diag(beta) K, not K",
            lambda k, beta: _wy(k, k, beta, -1),
        ),
        (
            "sum for product",
            "multiply the matrices; the products of different keys do not vanish",
            lambda k, beta: torch.eye(k.shape[-1]).to(k) - (beta[:, None] * k).T @ k,
        ),
        (
            "entry by entry",
            "use the matrix product @, not *",
            lambda k, beta: _factors(k, beta).prod(dim=0),
        ),
        (
            "only the last factor",
            "keep the product between the steps: P = P @ P_t",
            lambda k, beta: _factors(k, beta)[-1],
        ),
        (
            "inner product for outer",
            "k k^T is a matrix, (K, K); k^T k is one number",
            lambda k, beta: _product(
                torch.eye(k.shape[-1]).to(k)
                - (beta * (k * k).sum(dim=-1))[:, None, None]
            ),
        ),
    ],
)
