import math

import pytest
import torch
from sequences import (
    assert_causal,
    assert_cut_anywhere,
    delta_rnn_inputs,
    delta_rnn_start,
)

from srwm_lite.delta_rnn import (
    DeltaRNN,
    delta_rnn,
    delta_rnn_one_step,
    delta_rnn_step,
)
from srwm_lite.delta_rule import DeltaNet, delta_rule
from srwm_lite.trace import record

VERSIONS = pytest.mark.parametrize("version", [1, 2])


def one_step(step, y):
    """Take one step from memories that are empty; half of [2, 4] goes into W."""
    one, v, v_rec = (torch.tensor([[u]]) for u in ([1.0], [2.0, 4.0], [8.0, 4.0]))
    state = torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 2, 2), torch.tensor([[y]])
    k_rec = torch.tensor([[[0.0, 1.0]]])
    half, full = torch.tensor([[0.5]]), torch.tensor([[1.0]])
    (W, R, last), out = step(state, one, one, v, half, k_rec, v_rec, full)
    assert W.tolist() == [[[[1], [2]]]]
    assert R.tolist() == [[[[0, 8], [0, 4]]]]
    assert torch.equal(last, out)
    return out[0, 0]


@pytest.mark.equation("eq:delta-rnn")
def test_a_step_by_hand():
    # softmax(0, log 3) = [1/4, 3/4], so R gives [6, 3], and W q = [1, 2] is added
    y = one_step(delta_rnn_step, [0.0, math.log(3)])
    torch.testing.assert_close(y, torch.tensor([7.0, 5.0]))


@pytest.mark.equation("eq:delta-rnn-one")
def test_a_step_of_version_one_by_hand():
    # R [0, 1/2] = [4, 2] and W q = [1, 2]: the softmax sees [5, 4]
    y = one_step(delta_rnn_one_step, [0.0, 0.5])
    torch.testing.assert_close(y, torch.tensor([1.0, 0.0]).softmax(dim=-1))


def test_without_recurrent_writes_it_is_the_delta_rule():
    *x, beta_rec = delta_rnn_inputs(dtype=torch.float64)
    W = delta_rnn_start(*x)[0]
    y, (last, R, _) = delta_rnn(
        *x, 0 * beta_rec, (W, *zeros(x)), version=2, backend="loop"
    )
    expected, end = delta_rule(*x[:4], W, backend="loop")
    assert torch.equal(y, expected)
    assert torch.equal(last, end)
    assert not R.any()


def zeros(x):
    B, _, H, V = x[2].shape
    return x[2].new_zeros(B, H, V, V), x[2].new_zeros(B, H, V)


@VERSIONS
def test_the_last_output_is_heard(version):
    x = delta_rnn_inputs(T=1)
    W, R, y = delta_rnn_start(*x)
    outputs = [delta_rnn(*x, (W, R, u), version=version)[0] for u in (y, -y)]
    assert not torch.allclose(*outputs)


@VERSIONS
def test_a_sequence_can_be_cut_anywhere(version):
    assert_cut_anywhere(
        delta_rnn, delta_rnn_inputs(dtype=torch.float64), version=version
    )


def test_outputs_do_not_see_the_future():
    assert_causal(delta_rnn, delta_rnn_inputs(dtype=torch.float64), t=4)


@VERSIONS
def test_gradients_match_finite_differences(version):
    x = delta_rnn_inputs(B=1, T=3, H=2, K=2, V=2, dtype=torch.float64)
    leaves = [u.requires_grad_() for u in (*x, *delta_rnn_start(*x))]

    def run(*u):
        y, state = delta_rnn(*u[:7], u[7:], version=version, backend="loop")
        return y, *state

    assert torch.autograd.gradcheck(run, leaves)


def test_the_dtype_is_kept():
    for dtype in (torch.float32, torch.float64):
        y, state = delta_rnn(*delta_rnn_inputs(dtype=dtype))
        assert {u.dtype for u in (y, *state)} == {dtype}


def test_shapes_that_disagree_are_named():
    q, k, v, beta, k_rec, v_rec, beta_rec = x = delta_rnn_inputs()
    with pytest.raises(ValueError, match=r"k \(2, 7, 3, 4\), v \(2, 6, 3, 5\)"):
        delta_rnn(q, k, v[:, 1:], *x[3:])
    with pytest.raises(ValueError, match=r"v \(2, 7, 3, 5\), k_rec \(2, 7, 3, 4\)"):
        delta_rnn(q, k, v, beta, k, v_rec, beta_rec)
    with pytest.raises(ValueError, match=r"beta_rec must have shape \(B, T, H\)"):
        delta_rnn(q, k, v, beta, k_rec, v_rec, v)
    with pytest.raises(ValueError, match="k and beta_rec must share dtype"):
        delta_rnn(*x[:6], beta_rec.double())
    with pytest.raises(ValueError, match=r"state must be \(W, R, y\) .* got Tensor"):
        delta_rnn(*x, torch.zeros(2, 3, 5, 4))
    W, _, y = delta_rnn_start(*x)
    with pytest.raises(ValueError, match=r"R in state \(W, R, y\) must .* \(2, 3, 5"):
        delta_rnn(*x, (W, W, y))
    with pytest.raises(ValueError, match=r"is empty: .* got k \(2, 0, 3, 4\), V = 5"):
        delta_rnn(*delta_rnn_inputs(T=0))


def test_there_are_two_versions_and_the_first_is_a_loop():
    x = delta_rnn_inputs()
    with pytest.raises(ValueError, match="version must be 1 or 2: got 3"):
        delta_rnn(*x, version=3)
    with pytest.raises(ValueError, match="version must be 1 or 2: got 0"):
        DeltaRNN(8, version=0)
    with pytest.raises(ValueError, match="runs in the loop only: got 'fused'"):
        delta_rnn(*x, version=1, backend="fused")


@VERSIONS
def test_both_matrices_are_recorded_as_delta_rules(version):
    x = delta_rnn_inputs(dtype=torch.float64)
    W, R, _ = start = delta_rnn_start(*x)
    with record() as rec:
        out, (W_T, R_T, _) = delta_rnn(*x, start, version=version, backend="loop")
    assert rec.names == ["delta_rnn", "delta_rnn.R"]
    film, own = (rec.film(name, batch=1, head=2) for name in rec.names)
    for frames, first, last in ((film.W, W, W_T), (own.W, R, R_T)):
        torch.testing.assert_close(frames[0], first[1, 2])
        torch.testing.assert_close(frames[-1], last[1, 2])
    total = film.y + own.y
    total = total.softmax(dim=-1) if version == 1 else total
    torch.testing.assert_close(total, out[1, :, 2])


def test_a_layer_gives_its_name_to_both_matrices():
    net = DeltaRNN(8, 2)
    with record(net) as rec:
        net(torch.randn(1, 3, 8))
        net(torch.randn(1, 3, 8))
    first = ["DeltaRNN", "DeltaRNN.R"]
    assert rec.names == first + [f"{name}#2" for name in first]


@VERSIONS
def test_the_layer_programs_both_memories(version):
    net, x = DeltaRNN(8, 2, version=version), torch.randn(2, 6, 8)
    program = net.program(x)
    _, k, _, beta, k_rec, _, beta_rec = program
    assert net.slow.out_features == 2 * (5 * 4 + 2)
    assert [p.shape[2:] for p in program] == 3 * [(2, 4)] + [(2,), (2, 4), (2, 4), (2,)]
    for key in (k, k_rec):
        torch.testing.assert_close(key.sum(dim=-1), torch.ones(2, 6, 2))
    for strength in (beta, beta_rec):
        assert ((strength > 0) & (strength < 1)).all()
    y, _ = delta_rnn(*program, version=version, backend="loop")
    torch.testing.assert_close(net(x)[0], net.out(y.flatten(2)))
    assert f"version={version}" in repr(net)


def test_the_state_of_the_layer_carries_on_and_the_switch_stops_the_writing():
    net, x = DeltaRNN(8, 2), torch.randn(2, 6, 8)
    y, _ = net(x)
    first, state = net(x[:, :2])
    torch.testing.assert_close(torch.cat([first, net(x[:, 2:], state)[0]], dim=1), y)
    net.writes = False
    assert not net(x)[0].any()


def test_without_recurrence_it_is_a_delta_net():
    net, twin, x = DeltaRNN(8, 2), DeltaNet(8, 2), torch.randn(2, 6, 8)
    rows = net.slow.weight.data.unflatten(0, (2, -1))
    twin.slow.weight.data = rows[:, [*range(12), 20]].flatten(0, 1)
    twin.out = net.out
    net.recurrence = False
    y, (W, R, _) = net(x)
    expected, W_twin = twin(x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(W, W_twin)
    assert not R.any()
    net.recurrence = True
    assert not torch.allclose(net(x)[0], expected)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="num_heads=3 does not divide d_model=8"):
        DeltaRNN(8, 3)
