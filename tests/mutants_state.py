"""Wrong answers to the exercises on state tracking, see `mutants`."""

import torch
from mutants import MUTANTS, add, mutant
from torch import einsum

__all__ = ["MUTANTS"]


def again(change, times=lambda n: n, keep=True):
    """Write `times(n)` times in a loop, with one thing changed."""

    def run(W, k, v, beta, n):
        new = W.clone()
        for _ in range(times(n)):
            new = change(new, k, v, beta)
        return new if keep else new - W

    return run


def put(W, k, v, b):
    return W + b * torch.outer(v - W @ k, k)


def jump(share):
    def run(W, k, v, beta, n):
        s = share(beta, torch.linalg.norm(k) ** 2, n)
        return W + einsum("v,k->vk", s * (v - torch.mv(W, k)), k)

    return run


add(
    "same_write",
    one_write_only=again(put, lambda n: 1),
    the_share_that_is_left=jump(lambda b, s, n: torch.pow(1 - b * s, n) / s),
    n_times_the_first_write=jump(lambda b, s, n: sum([b] * n)),
    length_not_squared=jump(lambda b, s, n: (1 - (1 - b * s**0.5) ** n) / s**0.5),
    one_write_too_many=again(put, lambda n: n + 1),
    one_write_too_few=again(put, lambda n: n - 1),
    wrong_sign=jump(lambda b, s, n: ((1 - b * s) ** n - 1) / s),
    the_whole_memory_fades=again(
        lambda W, k, v, b: W - b * (k @ k) * W + b * torch.outer(v, k)
    ),
    sum_for_delta=again(lambda W, k, v, b: W + b * torch.outer(v, k)),
    the_old_memory_is_lost=again(put, keep=False),
)
mutant("same_write", "power of beta")(jump(lambda b, s, n: (b * s) ** n / s))
mutant("same_write", "power of beta")(jump(lambda b, s, n: (1 - (b * s) ** n) / s))
mutant("same_write", "length of the key ignored")(
    jump(lambda b, s, n: 1 - (1 - b) ** n)
)
mutant("same_write", "length of the key ignored")(
    jump(lambda b, s, n: 1 - (1 - b * s) ** n)
)


def machine(echo=1.0, squash=torch.tanh, scale=True, top=True, said=True, gate="x"):
    """Take a step of the machine, entry by entry, with one thing changed."""

    def run(y, x, high):
        new = torch.zeros_like(y)
        for i in range(len(y)):
            c = (high if top else 1) / (torch.tanh(high) if scale else 1)
            v = (high * x if said else 0) - echo * c * squash(y[i])
            if gate == "old":
                new[i] = y[i] + x * v
            else:
                b = {"x": x, "1": 1.0, "1 - x": 1 - x}[gate]
                new[i] = (1 - b) * y[i] + b * v
        return new

    return run


add(
    "parity_step",
    tanh_missing=machine(squash=lambda y: y),
    not_divided=machine(scale=False),
    factor_missing=machine(top=False),
    wrong_sign=machine(echo=-1.0),
    echo_missing=machine(echo=0.0),
    input_missing=machine(said=False),
    strength_missing=machine(gate="1"),
    strength_the_wrong_way_round=machine(gate="1 - x"),
    old_value_not_removed=machine(gate="old"),
)
