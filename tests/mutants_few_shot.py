"""Wrong answers to the exercises on learning from a few pictures, see `mutants`."""

import torch
from mutants import MUTANTS, add
from torch import einsum

__all__ = ["MUTANTS"]


def far(shown, asked, middle=lambda drawings: sum(drawings) / len(drawings)):
    """Return the squared distance of each query from each class, by loops."""
    return torch.stack(
        [
            torch.stack([((x - middle(drawings)) ** 2).sum() for drawings in shown])
            for x in asked
        ]
    )


def root(shown):
    return shown.size(-1) ** 0.5


def among_all(shown, asked):
    d = torch.cdist(asked, shown.flatten(0, 1)) ** 2
    return -d.unflatten(1, shown.shape[:2]).min(2).values / root(shown)


add(
    "prototypes",
    wrong_sign=lambda s, a: far(s, a) / root(s),
    distance_not_squared=lambda s, a: -torch.sqrt(far(s, a)) / root(s),
    scale_missing=lambda s, a: -far(s, a),
    divided_by_the_size=lambda s, a: -far(s, a) / s.size(-1),
    sum_for_mean=lambda s, a: -far(s, a, sum) / root(s),
    only_the_first_drawing=lambda s, a: -far(s, a, lambda x: x[0]) / root(s),
    one_mean_for_all=lambda s, a: (
        -far(s, a, lambda _: s.flatten(0, 1).mean(0)) / root(s)
    ),
    nearest_drawing=among_all,
    product_for_distance=lambda s, a: einsum("bk,mk->bm", a, s.mean(1)) / root(s),
    transposed=lambda s, a: -far(s, a).t() / root(s),
)


def memory(written=lambda x, m: x - m, query=lambda q, m: q - m, mean=None):
    """Write the labels one after the other, then read."""

    def run(x, v, q):
        m = mean(x) if mean else sum(x) / len(x)
        W = torch.zeros(v.shape[1], x.shape[1]).double()
        for one, label in zip(x, v, strict=True):
            W = W + torch.outer(label, written(one, m))
        return torch.mv(W, query(q, m))

    return run


def kernel(x, v, q):
    """Solve the exercise by comparing the query with every picture."""
    m = x.mean(0, keepdim=True)
    return einsum("tk,k,tv->v", x - m, q - m[0], v)


def last(x, v, q):
    m = torch.mean(x, 0)
    return torch.outer(v[len(v) - 1], x[len(x) - 1] - m) @ (q - m)


add(
    "centred_memory",
    nothing_taken_away=memory(lambda x, m: x, lambda q, m: q),
    query_not_centred=memory(query=lambda q, m: q),
    features_not_centred=memory(lambda x, m: x),
    sum_for_mean=memory(mean=lambda x: x.sum(0)),
    wrong_axis=memory(mean=torch.mean),
    only_the_last_pair_is_kept=last,
)
