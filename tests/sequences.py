"""Inputs for sequence functions, and the comparison with the readable loop."""

import torch
from torch.nn.functional import normalize


def attention_inputs(B=2, T=7, H=3, K=4, V=5, **options):
    """Return q, k, v; queries and keys are unit vectors."""
    q, k = (normalize(torch.randn(B, T, H, K, **options), dim=-1) for _ in range(2))
    return q, k, torch.randn(B, T, H, V, **options)


def delta_inputs(B=2, T=7, H=3, K=4, V=5, **options):
    """Return q, k, v, beta."""
    x = attention_inputs(B, T, H, K, V, **options)
    return *x, torch.rand(B, T, H, **options)


def gated_inputs(B=2, T=7, H=3, K=4, V=5, **options):
    """Return q, k, v, beta, alpha; half-way everything is forgotten."""
    alpha = torch.rand(B, T, H, **options)
    alpha[:, T // 2 : T // 2 + 1] = 0
    return *delta_inputs(B, T, H, K, V, **options), alpha


def delta_rnn_inputs(B=2, T=7, H=3, K=4, V=5, **options):
    """Return q, k, v, beta, k_rec, v_rec, beta_rec; `k_rec` sums to one."""
    x = delta_inputs(B, T, H, K, V, **options)
    k_rec, v_rec = torch.randn(2, B, T, H, V, **options)
    return *x, k_rec.softmax(dim=-1), v_rec, torch.rand(B, T, H, **options)


def delta_rnn_start(q, k, v, *_):
    """Return W, R, y to start from."""
    B, _, H, V = v.shape
    W, R = start(q, k, v), torch.randn(B, H, V, V, dtype=v.dtype)
    return W, R, torch.randn(B, H, V, dtype=v.dtype)


def recurrent_delta_inputs(B=2, T=7, H=3, K=4, V=5, **options):
    """Return q, k, v, beta before softmax and sigmoid, and R."""
    q, k = torch.randn(2, B, T, H, K, **options)
    v, beta = (torch.randn(B, T, H, *size, **options) for size in ((V,), ()))
    return q, k, v, beta, torch.randn(H, 2 * K + V + 1, V, **options) / V**0.5


def recurrent_delta_start(q, k, v, *_):
    """Return W, y to start from."""
    B, _, H, V = v.shape
    return start(q, k, v), torch.randn(B, H, V, dtype=v.dtype)


def start(q, k, v, *_, rows=0):
    """Return fast weights to start from, (B, H, V + rows, K)."""
    B, _, H, K = k.shape
    return torch.randn(B, H, v.shape[-1] + rows, K, dtype=k.dtype)


def results(run, inputs, W, **options):
    """Return y, the last W, and the gradient of both together for every input."""
    x = [u.clone().requires_grad_() for u in (*inputs, W)]
    out = run(*x, **options)
    weights = [
        torch.cos(torch.arange(u.numel(), dtype=torch.float64)).to(u) for u in out
    ]
    loss = sum((u.flatten() * w).sum() for u, w in zip(out, weights, strict=True))
    return [u.detach() for u in out] + list(torch.autograd.grad(loss, x))


def assert_agree(run, inputs, W, backend, **options):
    """Demand that `backend` gives what the loop gives, forward and backward."""
    ours = results(run, inputs, W, backend=backend, **options)
    loop = results(run, inputs, W, backend="loop", **options)
    for a, b in zip(ours, loop, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def assert_cut_anywhere(run, inputs, **options):
    """Demand that a sequence run in two parts gives what it gives as a whole."""
    y, W = run(*inputs, **options)
    for t in range(1, inputs[0].shape[1]):
        first, middle = run(*(x[:, :t] for x in inputs), **options)
        rest, end = run(*(x[:, t:] for x in inputs), middle, **options)
        torch.testing.assert_close(torch.cat([first, rest], dim=1), y)
        torch.testing.assert_close(end, W)


def assert_causal(run, inputs, t, **options):
    """Demand that outputs before `t` do not see inputs from `t` on."""
    y, _ = run(*inputs, **options)
    for i, x in enumerate(inputs):
        changed = list(inputs)
        changed[i] = torch.cat([x[:, :t], 1 - x[:, t:]], dim=1)
        other, _ = run(*changed, **options)
        torch.testing.assert_close(other[:, :t], y[:, :t], rtol=0, atol=0)
        assert not torch.equal(other[:, t:], y[:, t:])
