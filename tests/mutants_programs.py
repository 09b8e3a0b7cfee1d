"""Wrong answers to the exercises on programs, see `mutants`."""

import torch
from mutants import MUTANTS, add

__all__ = ["MUTANTS"]


def increment(value, scale=2):
    """Write the error that `value(old, d)` has, under k over a power of its length."""

    def run(W, k, d):
        old = torch.mv(W, k)
        return W + torch.outer(value(old, d) - old, k) / k.norm() ** scale

    return run


add(
    "increment",
    overwritten_instead_of_raised=increment(lambda old, d: d),
    length_of_the_key_forgotten=increment(lambda old, d: old + d, scale=0),
    length_not_squared=increment(lambda old, d: old + d, scale=1),
    doubled=increment(lambda old, d: old + old + d),
    wrong_sign=increment(lambda old, d: old - d),
)


def guarded(holds, keep=1.0, first=False):
    def run(W, tested, bound, k, v):
        start = W
        for tested_t, b, k_t, v_t in zip(tested, bound, k, v, strict=True):
            cut = torch.eye(len(k_t)) - keep * torch.outer(k_t, k_t)
            new = W @ cut + torch.outer(v_t, k_t)
            W = new if holds(start if first else W, new, k_t, tested_t, b) else W
        return W

    return run


add(
    "guarded_writes",
    conditions_ignored=guarded(lambda *_: True),
    conditions_reversed=guarded(lambda W, new, k, tested, b: (W @ tested)[0] >= b),
    condition_read_after_the_write=guarded(
        lambda W, new, k, tested, b: (new @ tested)[0] < b
    ),
    conditions_read_from_the_first_memory=guarded(
        lambda W, new, k, tested, b: W[0] @ tested < b, first=True
    ),
    wrong_variable_tested=guarded(lambda W, new, k, tested, b: W[0] @ k < b),
    added_instead_of_replaced=guarded(
        lambda W, new, k, tested, b: W[0] @ tested < b, keep=0.0
    ),
    length_tested_instead_of_the_entry=guarded(
        lambda W, new, k, tested, b: (W @ tested).square().sum().sqrt() < b
    ),
)
