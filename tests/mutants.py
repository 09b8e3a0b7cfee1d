"""Wrong answers to the exercises, one for each mistake that the checks know by name.

Written as readers write: loops, einsum, torch.outer; never taken from the catalogue.
"""

import math

import torch
from torch import einsum
from torch.nn import functional

MUTANTS = {}


def mutant(exercise, mistake):
    """Keep the decorated function as a mutant of `exercise`."""

    def keep(function):
        MUTANTS.setdefault((exercise, mistake), []).append(function)
        return function

    return keep


def add(exercise, **functions):
    """Keep several mutants; underscores in the names stand for spaces."""
    for name, function in functions.items():
        mutant(exercise, name.replace("_", " "))(function)


add(
    "write",
    transposed_outer_product=lambda W, k, v: W + torch.outer(k, v),
    the_old_memory_is_lost=lambda W, k, v: torch.outer(v, k),
    delta_for_sum=lambda W, k, v: W + torch.outer(v - torch.mv(W, k), k),
    wrong_sign=lambda W, k, v: W - einsum("v,k->vk", v, k),
    key_normalised=lambda W, k, v: W + torch.outer(v, functional.normalize(k, dim=0)),
    no_outer_product=lambda W, k, v: W + k * v,
)
add(
    "batched_write",
    state_shared_over_the_batch=lambda W, k, v: W + einsum("bv,bk->vk", v, k),
    transposed_outer_product=lambda W, k, v: W + k[:, :, None] @ v[:, None, :],
    the_old_memory_is_lost=lambda W, k, v: einsum("bv,bk->bvk", v, k),
)
add(
    "read",
    transposed_memory=lambda W, q: q @ W,
    sum_missing=lambda W, q: q * W,
    query_normalised=lambda W, q: torch.mv(W, q) / torch.sqrt((q**2).sum()),
    mean_for_sum=lambda W, q: (W * q).mean(1),
)
add(
    "store_all",
    transposed_outer_product=lambda k, v: sum(map(torch.outer, k, v)),
    only_the_last_pair_is_kept=lambda k, v: list(map(torch.outer, v, k)).pop(),
    the_last_pair_is_missing=lambda k, v: einsum("tv,tk->vk", v[: len(v) - 1], k[:-1]),
    the_first_pair_is_missing=lambda k, v: einsum("tv,tk->vk", v[1:], k[1:]),
    mean_for_sum=lambda k, v: torch.stack(list(map(torch.outer, v, k))).mean(0),
    every_key_with_every_value=lambda k, v: einsum("sv,tk->vk", v, k),
    key_normalised=lambda k, v: v.T @ functional.normalize(k),
)


@mutant("store_all", "delta for sum")
def _(k, v):
    W = torch.zeros(v.shape[1], k.shape[1]).double()
    for t in range(len(k)):
        W = W + torch.outer(v[t], k[t]) - torch.outer(torch.mv(W, k[t]), k[t])
    return W


def fwp(write=torch.outer, x_for_k=False, k_for_x=False):
    def step(W, x, k, v):
        W = W + write(v, x if x_for_k else k)
        return W, torch.mv(W, k if k_for_x else x)

    return step


def after(W, x):
    return W, torch.mv(W, x)


add(
    "fast_weight_step",
    transposed_outer_product=fwp(lambda v, k: torch.outer(k, v)),
    read_before_write=lambda W, x, k, v: (W + torch.outer(v, k), torch.mv(W, x)),
    x_and_k_swapped=fwp(x_for_k=True, k_for_x=True),
    read_with_the_key=fwp(k_for_x=True),
    written_with_the_input=fwp(x_for_k=True),
    the_old_memory_is_lost=lambda W, x, k, v: after(torch.outer(v, k), x),
    delta_for_sum=lambda W, x, k, v: after(W + torch.outer(v - W @ k, k), x),
    transposed_memory=lambda W, x, k, v: (
        W + torch.outer(v, k),
        x @ (W + v[:, None] * k),
    ),
    squashed=lambda W, x, k, v: after((W + torch.outer(v, k)).tanh(), x),
)
add(
    "elu_plus_one",
    the_one_is_missing=lambda x: torch.where(x > 0, x, torch.expm1(x)),
    relu_for_elu=lambda x: 1 + torch.clamp(x, min=0),
    one_inside=lambda x: functional.elu(1 + x),
    exp_everywhere=lambda x: math.e**x,
    branches_swapped=lambda x: torch.where(x < 0, x + 1, torch.exp(x)),
    softplus_for_elu=lambda x: torch.log1p(torch.exp(x)),
)


def dpfp(
    first=1, relu=True, after=False, double=True, sign=1, dims=-1, only=None, last=0
):
    def run(x, nu):
        r = torch.cat([x, -x], -1) if double else x
        r = torch.relu(r) if relu else r
        shifts = [nu] if only == "last" else range(first, first + (only or nu) + last)
        parts = [r * torch.roll(r, sign * i, dims) for i in shifts]
        out = torch.cat(parts, -1)
        return torch.relu(out) if after else out

    return run


add(
    "dpfp",
    roll_missing=lambda x, nu: torch.cat(
        [torch.relu(torch.cat([x, -x], 1)) ** 2] * nu, 1
    ),
    roll_over_all_axes=dpfp(dims=None),
    roll_along_time=dpfp(dims=0),
    roll_the_other_way=dpfp(sign=-1),
    roll_starts_at_zero=dpfp(first=0),
    roll_stops_too_early=dpfp(last=-1),
    relu_missing=dpfp(relu=False),
    relu_after_the_products=dpfp(relu=False, after=True),
    negative_half_missing=dpfp(double=False),
    nu_ignored=dpfp(only=1),
    only_the_last_shift=dpfp(only="last"),
)


mutant("dpfp", "roll starts at zero")(dpfp(first=0, last=1))


def favor(exponent, scale=lambda m: math.sqrt(2 * m), both=True):
    def run(x, projection):
        h = exponent(x)[:, None]
        up = torch.exp(einsum("tk,mk->tm", x, projection) - h)
        down = torch.exp(-einsum("tk,mk->tm", x, projection) - h)
        out = torch.cat([up, down], 1) if both else up
        return out / scale(projection.shape[0])

    return run


def half(x):
    return (x**2).sum(1) / 2


add(
    "favor_plus",
    norm_missing=favor(lambda x: 0 * half(x)),
    half_of_the_norm_missing=favor(lambda x: (x**2).sum(1)),
    norm_added=favor(lambda x: -half(x)),
    square_missing=favor(lambda x: x.norm(dim=1) / 2),
    scale_missing=favor(half, lambda m: 1),
    two_missing_in_the_scale=favor(half, math.sqrt),
    root_missing_in_the_scale=favor(half, lambda m: 2 * m),
    negative_half_missing=favor(half, both=False),
)
add(
    "sum_normalise",
    softmax_for_sum=lambda x: functional.softmax(x, 1),
    wrong_axis=lambda x: x / x.sum(0),
    one_sum_for_all_rows=lambda x: x / torch.sum(x),
    length_for_sum=lambda x: functional.normalize(x),
    mean_for_sum=lambda x: x / x.mean(1)[:, None],
    maximum_for_sum=lambda x: x / x.max(1, keepdim=True).values,
)
add(
    "unit_norm",
    root_missing=lambda x: x / (x * x).sum(1)[:, None],
    wrong_axis=lambda x: functional.normalize(x, dim=0),
    one_length_for_all_rows=lambda x: x / torch.linalg.norm(x),
    sum_for_length=lambda x: x / x.sum(1)[:, None],
    sum_of_sizes_for_length=lambda x: functional.normalize(x, p=1),
    mean_for_sum=lambda x: x / torch.sqrt((x**2).mean(1))[:, None],
)
