"""Wrong answers to the exercises on the parallel delta rule, see `mutants`."""

import torch
from mutants import MUTANTS, add, mutant
from torch import einsum

__all__ = ["MUTANTS"]


def writes(before=range, row=True, left=True, sign=-1, error=None):
    """Solve for the writes of a chunk by substitution, with one thing changed."""

    def run(k, v, beta, W):
        U = torch.zeros_like(v)
        for t in range(len(k)):
            e = v[t] - W @ k[t]
            U[t] = beta[t] * e if error is None else error(v[t], W, k[t], beta[t])
            for s in before(t):
                b = (beta[t] if row else beta[s]) if left else 1
                U[t] = U[t] + sign * b * (k[t] @ k[s]) * U[s]
        return U

    return run


def dense(mask, diagonal=1.0):
    def run(k, v, beta, W):
        A = mask(torch.diag(beta) @ k @ k.T) + diagonal * torch.eye(len(k))
        return torch.linalg.inv(A) @ (torch.diag(beta) @ (v - k @ W.T))

    return run


def first(sign):
    def run(k, v, beta, W):
        R = beta[:, None] * (v - k @ W.T)
        A = torch.tril(beta[:, None] * k @ k.T, -1)
        return R + sign * A @ R

    return run


add(
    "chunk_writes",
    system_not_solved=lambda k, v, beta, W: torch.diag(beta) @ (v - k @ W.T),
    multiplied_instead_of_solved=first(1),
    first_order_only=first(-1),
    identity_missing=dense(torch.tril, diagonal=0),
    mask_includes_the_diagonal=dense(torch.tril),
    forgot_the_causal_mask=dense(lambda A: A),
    mask_the_wrong_way_round=dense(lambda A: torch.triu(A, 1)),
    beta_on_the_wrong_axis=writes(row=False),
    beta_missing_in_the_system=writes(left=False),
    beta_missing_on_the_right=writes(error=lambda v, W, k, b: v - W @ k),
    beta_on_the_wrong_term=writes(error=lambda v, W, k, b: b * v - W @ k),
    wrong_sign=writes(sign=1),
    old_memory_forgotten=writes(error=lambda v, W, k, b: b * v),
    transposed_memory=writes(error=lambda v, W, k, b: b * (v - k @ W)),
)


@mutant("chunk_writes", "identity missing")
def _(k, v, beta, W):
    A = torch.tril(torch.diag(beta) @ k @ k.T, -1)
    return torch.linalg.solve_triangular(A, beta[:, None] * (v - k @ W.T), upper=False)


def product(factor, reverse=False, matmul=torch.matmul):
    def run(k, beta):
        eye = torch.eye(k.shape[1]).double()
        P = None
        for k_t, b in zip(k, beta, strict=True):
            next_one = factor(eye, k_t, b)
            pair = (next_one, P) if reverse else (P, next_one)
            P = next_one if P is None else matmul(*pair)
        return P

    return run


def reflect(eye, k, b):
    return eye - b * torch.outer(k, k)


add(
    "householder_product",
    order_reversed=product(reflect, reverse=True),
    beta_missing=product(lambda eye, k, b: eye - torch.outer(k, k)),
    beta_always_two=product(lambda eye, k, b: eye - 2 * torch.outer(k, k)),
    wrong_sign=product(lambda eye, k, b: eye + b * torch.outer(k, k)),
    sum_for_product=lambda k, beta: (
        torch.eye(k.shape[1]) - einsum("t,ti,tj->ij", beta, k, k)
    ),
    entry_by_entry=product(reflect, matmul=torch.mul),
    only_the_last_factor=lambda k, beta: (
        torch.eye(k.shape[1]) - beta[-1] * torch.outer(k[-1], k[-1])
    ),
    inner_product_for_outer=product(lambda eye, k, b: eye - b * (k @ k)),
)


def wy(right=True, sign=-1, flip=False):
    """Return the product through its WY form, with one thing changed."""

    def run(k, beta):
        B = torch.diag(beta)
        A = torch.eye(len(k)) + torch.tril(B @ k @ k.T, -1)
        R = torch.linalg.solve(A, B @ k if right else k)
        return torch.eye(k.shape[1]) + sign * (k.T @ R if flip else R.T @ k)

    return run


add(
    "householder_product",
    order_reversed=wy(flip=True),
    wrong_sign=wy(sign=1),
    beta_missing_on_the_right=wy(right=False),
)
