import pytest
import torch
from sequences import assert_causal, assert_cut_anywhere, delta_inputs

from srwm_lite.delta_delta import DeltaDelta, delta_delta, split_program
from srwm_lite.delta_rule import delta_step
from srwm_lite.outer_product import read
from srwm_lite.trace import record


def inputs(N=2, **options):
    return delta_inputs(V=3 * N + 1, **options)


def start(q, k, v, *_):
    """Return S, W to start from."""
    (B, _, H, K), rows = k.shape, v.shape[-1]
    N = (rows - 1) // 3
    S, W = (B, H, rows, K), (B, H, N, N)
    return torch.randn(S, dtype=k.dtype), torch.randn(W, dtype=k.dtype)


@pytest.mark.equation("eq:delta-delta")
def test_a_step_by_hand():
    # N = 1: the outer matrix learns to say (q', k', v', beta') = (7, -7, 6, 0); a key
    # of one entry is 1, so W moves half the way from 0 to 6
    one = torch.ones(1, 1, 1, 1)
    v = torch.tensor([7.0, -7.0, 6.0, 0.0]).view(1, 1, 1, 4)
    y, (S, W) = delta_delta(one, one, v, one[..., 0])
    assert S.flatten().tolist() == [7, -7, 6, 0]
    assert (y.item(), W.item()) == (3, 3)


def test_the_inner_network_is_programmed_by_what_the_outer_one_says():
    x = inputs(dtype=torch.float64)
    S, W = start(*x)
    y, state = delta_delta(*x, (S, W), backend="loop")
    for t, x_t in enumerate(zip(*(u.unbind(dim=1) for u in x), strict=True)):
        S, h = delta_step(S, *x_t)
        W, y_t = delta_step(W, *split_program(h))
        torch.testing.assert_close(y[:, t], y_t)
    torch.testing.assert_close(state, (S, W))


def test_every_backend_gives_the_same():
    x = inputs(dtype=torch.float64)
    first = start(*x)
    loop = delta_delta(*x, first, backend="loop")
    for backend in ("chunk", "auto"):
        torch.testing.assert_close(delta_delta(*x, first, backend=backend), loop)


def test_a_sequence_can_be_cut_anywhere():
    assert_cut_anywhere(delta_delta, inputs(dtype=torch.float64))


def test_outputs_do_not_see_the_future():
    assert_causal(delta_delta, inputs(dtype=torch.float64), t=4, backend="loop")


def test_gradients_match_finite_differences():
    x = inputs(B=1, T=3, H=1, K=2, dtype=torch.float64)
    leaves = [u.requires_grad_() for u in (*x, *start(*x))]

    def run(*u):
        y, state = delta_delta(*u[:4], u[4:], backend="loop")
        return y, *state

    assert torch.autograd.gradcheck(run, leaves)


def test_what_does_not_fit_is_named():
    x = inputs()
    with pytest.raises(ValueError, match=r"3N \+ 1 entries, .*: got 5"):
        delta_delta(*delta_inputs(V=5))
    with pytest.raises(ValueError, match=r"3N \+ 1 entries, .*: got 1"):
        delta_delta(*delta_inputs(V=1))
    with pytest.raises(ValueError, match=r"state must be \(S, W\) .* got Tensor"):
        delta_delta(*x, torch.zeros(2, 3, 7, 4))
    S, _ = start(*x)
    with pytest.raises(ValueError, match=r"= \(2, 3, 2, 2\): got \(2, 3, 7, 4\)"):
        delta_delta(*x, (S, S))
    with pytest.raises(TypeError, match="writes must be True or False: got 0"):
        delta_delta(*x, writes=0)


def test_without_writes_the_inner_network_keeps_what_it_has():
    q, k, v, beta = x = inputs()
    S, W = start(*x)
    y, (S_T, W_T) = delta_delta(q, k, v, 0 * beta, (S, W), writes=False)
    assert torch.equal(S_T, S)
    assert torch.equal(W_T, W)
    asked, *_ = split_program(read(S[:, None], q))
    torch.testing.assert_close(y, read(W[:, None], asked))


def test_the_layer_programs_the_outer_network():
    net, x = DeltaDelta(8, 2), torch.randn(2, 5, 8)
    program = net.program(x)
    assert net.slow.out_features == 2 * (5 * 4 + 2)
    assert [p.shape[2:] for p in program] == [(2, 4), (2, 4), (2, 13), (2,)]
    with record(net) as rec:
        y, (S, W) = net(x)
    expected, _ = delta_delta(*program, backend="loop")
    torch.testing.assert_close(y, net.out(expected.flatten(2)))
    assert rec.names == ["DeltaDelta", "DeltaDelta#2"]
    torch.testing.assert_close(rec.film(0, 1, 1).W[-1], S[1, 1])
    torch.testing.assert_close(rec.film(1, 1, 1).W[-1], W[1, 1])
    assert "learned_start=False" in repr(net)


def test_a_learned_start_is_where_the_outer_network_starts():
    net, x = DeltaDelta(8, 2, learned_start=True), torch.randn(2, 5, 8)
    assert net.start.shape == (2, 13, 4)
    assert ((net.start >= 1) & (net.start < 2)).all()
    with record(net) as rec:
        y, state = net(x)
    torch.testing.assert_close(rec.film(0, 1, 1).W[0], net.start[1])
    y.sum().backward()
    assert net.start.grad.any()
    first, middle = net(x[:, :2])
    rest, last = net(x[:, 2:], middle)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), y)
    torch.testing.assert_close(last, state)


@pytest.mark.parametrize("learned_start", [False, True])
def test_the_switch_stops_the_writing_in_both(learned_start):
    net, x = DeltaDelta(8, 2, learned_start=learned_start), torch.randn(2, 5, 8)
    net.writes = False
    y, (S, W) = net(x)
    assert not y.any()
    assert not W.any()
    assert torch.equal(S, net.start.expand_as(S) if learned_start else 0 * S)
