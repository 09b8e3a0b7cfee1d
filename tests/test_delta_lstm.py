import pytest
import torch
from sequences import assert_causal, assert_cut_anywhere

from srwm_lite.delta_lstm import DeltaLSTM, delta_lstm, delta_lstm_step
from srwm_lite.delta_rule import delta_rule
from srwm_lite.scan import scan
from srwm_lite.trace import record


def inputs(B=2, T=5, H=2, K=3, V=4, G=3, **options):
    """Return q, k, v, beta, k_rec, v_rec, beta_rec with an axis of gates."""
    q, k = torch.rand(2, B, T, G, H, K, **options)
    v, k_rec, v_rec = torch.randn(3, B, T, G, H, V, **options)
    beta, beta_rec = torch.rand(2, B, T, G, H, **options)
    return q, k, v, beta, k_rec.softmax(dim=-1), v_rec, beta_rec


def start(q, k, v, *_):
    """Return W, R, c, y to start from."""
    (B, _, G, H, K), V = k.shape, v.shape[-1]
    shapes = (B, G, H, V, K), (B, G, H, V, V), (B, H, V), (B, H, V)
    return tuple(torch.randn(shape, dtype=k.dtype) for shape in shapes)


@pytest.mark.equation("eq:delta-lstm")
def test_a_step_by_hand():
    # W_g and R_g are scalars; softmax(y) = 1. Gates: i = sigmoid(1 - 1) = 1/2,
    # u = 2 + 4 = 6, o = sigmoid(3 - 3) = 1/2; c = 6/2 + 10/2 = 8 and y = 8/2 = 4
    W = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1, 1)
    R = torch.tensor([-1.0, 4.0, -3.0]).view(1, 3, 1, 1, 1)
    c, y = torch.tensor([[[10.0]]]), torch.tensor([[[7.0]]])
    one, zero = torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1)
    x = one, one, one, zero, one, one, zero
    (_, _, c, y), out = delta_lstm_step((W, R, c, y), *x)
    assert (c.item(), y.item(), out.item()) == (8, 4, 4)


def test_both_kinds_of_matrices_are_written_before_they_are_read():
    # at full strength and unit keys the old content is gone: W_g = v_g, R_g = v_rec_g
    values, own = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([-1.0, 4.0, -3.0])
    v, v_rec = (u.view(1, 3, 1, 1) for u in (values, own))
    state = start(*inputs(B=1, H=1, K=1, V=1))[:2]
    c, y = torch.tensor([[[10.0]]]), torch.tensor([[[7.0]]])
    one, full = torch.ones(1, 3, 1, 1), torch.ones(1, 3, 1)
    _, out = delta_lstm_step((*state, c, y), one, one, v, full, one, v_rec, full)
    torch.testing.assert_close(out, torch.tensor([[[4.0]]]))


@pytest.mark.parametrize("backend", ["loop", "chunk", "auto"])
def test_the_sequence_is_the_loop_of_its_step(backend):
    x = inputs(dtype=torch.float64)
    leaves = [u.requires_grad_() for u in (*x, *start(*x))]
    sums = []
    for run in ("steps", "sequence"):
        if run == "steps":
            y, state = scan(delta_lstm_step, tuple(leaves[7:]), *leaves[:7])
        else:
            y, state = delta_lstm(*leaves[:7], leaves[7:], backend=backend)
        total = sum(u.sin().sum() for u in (y, *state))
        sums.append([y, *state, *torch.autograd.grad(total, leaves)])
    torch.testing.assert_close(*sums)


def test_a_sequence_can_be_cut_anywhere():
    assert_cut_anywhere(delta_lstm, inputs(dtype=torch.float64))


def test_outputs_do_not_see_the_future():
    assert_causal(delta_lstm, inputs(T=7, dtype=torch.float64), t=4, backend="loop")


def test_gradients_match_finite_differences():
    x = inputs(B=1, T=2, H=1, K=2, V=2, dtype=torch.float64)
    leaves = [u.requires_grad_() for u in (*x, *start(*x))]

    def run(*u):
        y, state = delta_lstm(*u[:7], u[7:], backend="loop")
        return y, *state

    assert torch.autograd.gradcheck(run, leaves)


def test_shapes_that_disagree_are_named():
    q, k, v, beta, k_rec, v_rec, beta_rec = x = inputs()
    with pytest.raises(ValueError, match=r"G = 3 gates, .* got \(2, 5, 2, 2, 3\)"):
        delta_lstm(*inputs(G=2))
    with pytest.raises(ValueError, match=r"q must have shape \(B, T, G, H, K\): got"):
        delta_lstm(q[:, :, 0], *x[1:])
    with pytest.raises(ValueError, match=r"v \(2, 5, 3, 2, 4\), k_rec \(2, 5, 3, 2, 3"):
        delta_lstm(q, k, v, beta, k, v_rec, beta_rec)
    with pytest.raises(ValueError, match="k and v_rec must share dtype"):
        delta_lstm(q, k, v, beta, k_rec, v_rec.double(), beta_rec)
    W, R, c, _ = start(*x)
    with pytest.raises(
        ValueError, match=r"state must be \(W, R, c, y\) .* got 3 parts"
    ):
        delta_lstm(*x, (W, R, c))
    with pytest.raises(
        ValueError, match=r"y in state .* \(2, 2, 4\): got \(2, 3, 2, 4"
    ):
        delta_lstm(*x, (W, R, c, W))
    with pytest.raises(
        ValueError, match=r"is empty: .* got k \(2, 0, 3, 2, 3\), V = 4"
    ):
        delta_lstm(*inputs(T=0))


def test_the_six_matrices_are_recorded_as_two_rules_with_three_times_the_heads():
    net, x = DeltaLSTM(8, 2).double(), torch.randn(1, 5, 8).double()
    with record(net) as rec:
        _, (W, R, _, _) = net(x)
    assert rec.names == ["DeltaLSTM", "DeltaLSTM.R"]
    for name, last in zip(rec.names, (W, R), strict=True):
        for gate in range(3):
            film = rec.film(name, head=2 * gate + 1)
            torch.testing.assert_close(film.W[-1], last[0, gate, 1])


def test_the_layer_programs_six_memories():
    net, x = DeltaLSTM(8, 2), torch.randn(2, 5, 8)
    program = net.program(x)
    assert net.slow.out_features == 2 * (15 * 4 + 6)
    assert [p.shape[2:] for p in program] == (
        3 * [(3, 2, 4)] + [(3, 2)] + 2 * [(3, 2, 4)] + [(3, 2)]
    )
    for key in (program[1], program[4]):
        torch.testing.assert_close(key.sum(dim=-1), torch.ones(2, 5, 3, 2))
    y, _ = delta_lstm(*program, backend="loop")
    torch.testing.assert_close(net(x)[0], net.out(y.flatten(2)))
    assert "num_heads=2" in repr(net)


def test_the_switches_stop_the_writing():
    net, x = DeltaLSTM(8, 2), torch.randn(2, 5, 8)
    net.recurrence = False
    deaf, (W, R, _, _) = net(x)
    assert W.any()
    assert not R.any()
    q, k, v, beta, *_ = net.program(x)
    z, _ = delta_rule(*(u.flatten(2, 3) for u in (q, k, v, beta)), backend="loop")
    c, ys = 0, []
    for i, u, o in (gates.unbind(1) for gates in z.unflatten(2, (3, 2)).unbind(1)):
        c = i.sigmoid() * u + (1 - i.sigmoid()) * c
        ys.append(o.sigmoid() * c)
    torch.testing.assert_close(deaf, net.out(torch.stack(ys, dim=1).flatten(2)))
    net.recurrence = True
    assert not torch.allclose(net(x)[0], deaf)
    net.writes = False
    assert not net(x)[0].any()
