"""Wrong answers to the exercises on a grid of cells, see `mutants`."""

import torch
from mutants import MUTANTS, add, mutant
from torch import einsum

__all__ = ["MUTANTS"]


def cells(change=lambda x, e: x * e, keep=1, share=lambda x: 1, late=False):
    """Go from cell to cell."""

    def run(w, x, e):
        after, out = w.clone(), torch.zeros_like(e)
        for a in range(len(x)):
            for b in range(len(e)):
                after[a, b] = keep * w[a, b] + change(x[a], e[b])
                out[b] += (after if late else w)[a, b] * x[a] * share(x)
        return after, out

    return run


add(
    "grid_step",
    read_after_the_write=cells(late=True),
    mean_for_sum=cells(share=lambda x: 1 / len(x)),
    transposed=lambda w, x, e: (w + torch.outer(e, x), x @ w),
    read_from_the_other_side=lambda w, x, e: (w + torch.outer(x, e), torch.mv(w, x)),
    wrong_sign=cells(lambda x, e: -x * e),
    the_old_number_is_lost=cells(keep=0),
    outer_product_missing=cells(lambda x, e: e),
)


def layer(
    forward=torch.tanh,
    change=torch.tanh,
    slope=lambda x: 1 / torch.cosh(x) ** 2,
    step=(-1, -1),
    mean=False,
    late=False,
):
    """Write a layer with matrix products."""

    def run(w, b, x, e, lr):
        new = w + step[0] * lr * torch.outer(change(x), e)
        y = einsum("i,io->o", forward(x), w) / (len(x) if mean else 1)
        back = torch.mv(new if late else w, e) * slope(x)
        return new, b + step[1] * lr * e.expand_as(b), y + torch.sum(b, 0), back

    return run


def bare(x):
    return x


add(
    "backprop_cell",
    back_with_the_new_number=layer(late=True),
    derivative_missing=layer(slope=lambda x: 1),
    derivative_at_tanh=layer(slope=lambda x: 1 - torch.tanh(torch.tanh(x)) ** 2),
    change_with_the_bare_input=layer(change=bare),
    tanh_missing=layer(forward=bare),
    wrong_sign=layer(step=(1, 1)),
    bias_not_updated=layer(step=(-1, 0)),
    mean_for_sum=layer(mean=True),
)
mutant("backprop_cell", "tanh missing")(layer(forward=bare, change=bare))


def by_autograd(w, b, x, e, lr):
    """Let autograd send the error back."""
    y, back = torch.func.vjp(
        lambda w, b, x: (torch.tanh(x)[:, None] * w + b).sum(0), w, b, x
    )
    dw, db, dx = back(e)
    return w - lr * dw, b - lr * db, y, dx


def think(f=5, i=-5, order=(0, 1, 2, 3), g=torch.tanh, h=torch.tanh, old=False):
    """Tick one number of the state after the other."""

    def run(gates, c):
        N, parts = len(c), gates.view(4, -1)
        rows, new, out = [parts[n] for n in order], [], []
        for n in range(N):
            keep = 1 / (1 + torch.exp(-rows[1][n] - f))
            take = 1 / (1 + torch.exp(-rows[0][n] - i))
            new.append(keep * c[n] + take * g(rows[2][n]))
            out.append(torch.sigmoid(rows[3][n]) * h(c[n] if old else new[n]))
        return torch.stack(out), torch.stack(new)

    return run


add(
    "tick",
    shifts_swapped=think(f=-5, i=5),
    shifts_missing=think(0, 0),
    shift_of_the_input_gate_missing=think(i=0),
    shift_of_the_forget_gate_missing=think(f=0),
    tanh_missing_on_c=think(h=bare),
    tanh_missing_on_g=think(g=bare),
    h_of_the_old_state=think(old=True),
)
for order in ((1, 0, 2, 3), (0, 1, 3, 2), (0, 2, 3, 1), (1, 0, 3, 2)):
    mutant("tick", "gates in another order")(think(order=order))


def at_once(gates, c):
    i, f, g, o = gates.unflatten(0, (4, -1))
    c = torch.lerp(torch.zeros_like(c), c, (f + 5).sigmoid()) + torch.tanh(g) * (
        1 - torch.sigmoid(5 - i)
    )
    return o.sigmoid() * (2 * torch.sigmoid(2 * c) - 1), c
