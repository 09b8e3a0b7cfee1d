"""Wrong answers to the exercises on language models, see `mutants`."""

import math

import torch
from mutants import MUTANTS, add
from torch.nn import functional

__all__ = ["MUTANTS"]


def cost(log=torch.log2, dim=1, change=lambda x: -x):
    """Return the cost of every token, written out, with one thing changed."""

    def run(y):
        e = torch.exp(y)
        return change(log(e / e.sum(dim, keepdim=True)))

    return run


add(
    "bits_of_tokens",
    nats_instead_of_bits=cost(torch.log),
    wrong_base=cost(torch.log10),
    multiplied_instead_of_divided=cost(torch.log, change=lambda x: -x * math.log(2)),
    wrong_sign=cost(change=lambda x: x),
    wrong_axis=cost(dim=0),
    softmax_missing=lambda y: -torch.log2(torch.exp(y)),
    probability_instead_of_bits=lambda y: functional.softmax(y, 1),
    perplexity_instead_of_bits=cost(change=lambda x: 2**-x),
    averaged_already=cost(change=lambda x: -x.sum() / x.numel()),
)


def mix(types=lambda n: sum(c > 0 for c in n), weight=None, whole=None, skip=False):
    """Mix token by token, with one thing changed."""

    def run(n, p):
        t, out = types(n), []
        for count, shorter in zip(n, p, strict=True):
            more = t if weight is None else weight
            share = 0 if skip and count > 0 else more * shorter
            total = sum(n) + more if whole is None else whole(n)
            out.append((count + share) / total)
        return torch.stack(out)

    return run


add(
    "witten_bell",
    counts_alone=lambda n, p: n / torch.sum(n),
    one_added_to_every_count=lambda n, p: (n + 1) / torch.sum(n + 1),
    types_and_tokens_confused=mix(types=sum),
    only_those_that_came_once=mix(types=lambda n: sum(c == 1 for c in n)),
    those_that_never_came=mix(types=lambda n: sum(c == 0 for c in n)),
    weight_missing=mix(weight=1),
    not_divided_by_the_whole=mix(whole=sum),
    shorter_context_only_for_the_new_ones=mix(skip=True),
)
