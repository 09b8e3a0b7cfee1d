import math

import pytest
import torch
from sequences import (
    assert_causal,
    assert_cut_anywhere,
    recurrent_delta_inputs,
    recurrent_delta_start,
)

from srwm_lite.delta_rule import DeltaNet, delta_rule
from srwm_lite.recurrent_delta import (
    RecurrentDeltaNet,
    hear,
    recurrent_delta,
    recurrent_delta_step,
)
from srwm_lite.trace import record


def with_weights(R):
    """Return the rule as a function of what has a time axis, and of the state."""

    def run(q, k, v, beta, state=None, **options):
        return recurrent_delta(q, k, v, beta, R, state, **options)

    return run


@pytest.mark.equation("eq:recurrent-delta")
def test_a_step_by_hand():
    # tanh(y) = 1/2 turns q into [3/4, 1/4], k into [1/4, 3/4] and v = 9 into 10;
    # W k = 6, so the error is 4, and half of 4 * [1/4, 3/4] is added to [0, 8]
    log3 = math.log(3)
    R = torch.tensor([[[2 * log3], [0], [0], [2 * log3], [2], [0]]])
    state = torch.tensor([[[[0.0, 8.0]]]]), torch.tensor([[[log3 / 2]]])
    zero, v = torch.zeros(1, 1, 2), torch.tensor([[[9.0]]])
    (W, y), out = recurrent_delta_step(state, zero, zero, v, torch.zeros(1, 1), R)
    torch.testing.assert_close(W, torch.tensor([[[[0.5, 9.5]]]]))
    torch.testing.assert_close(y, torch.tensor([[[2.75]]]))
    assert torch.equal(out, y)


def test_without_recurrent_weights_it_is_the_delta_rule():
    q, k, v, beta, R = recurrent_delta_inputs(dtype=torch.float64)
    W, y = recurrent_delta_start(q, k, v)
    out, (last, _) = recurrent_delta(q, k, v, beta, 0 * R, (W, y), backend="loop")
    mapped = q.softmax(-1), k.softmax(-1), v, beta.sigmoid()
    expected, end = delta_rule(*mapped, W, backend="loop")
    assert torch.equal(out, expected)
    assert torch.equal(last, end)


def test_infinite_reluctance_writes_nothing():
    q, k, v, beta, R = recurrent_delta_inputs()
    W, y = recurrent_delta_start(q, k, v)
    never = torch.full_like(beta, -torch.inf)
    _, (last, _) = recurrent_delta(q, k, v, never, R, (W, y))
    assert torch.equal(last, W)


@pytest.mark.parametrize("part", range(4), ids=["q", "k", "v", "beta"])
def test_the_last_output_reaches_each_part_through_its_own_rows(part):
    x = recurrent_delta_inputs()
    q, k, v, beta, R = (u[:, 0] if i < 4 else u for i, u in enumerate(x))
    sizes = [4, 4, 5, 1]
    rows = torch.arange(14).split(sizes)[part]
    only = torch.zeros_like(R)
    only[:, rows] = R[:, rows]
    _, y = recurrent_delta_start(*x[:3])
    heard, silent = (hear(q, k, v, beta, only, u) for u in (y, 0 * y))
    changed = [not torch.equal(a, b) for a, b in zip(heard, silent, strict=True)]
    assert changed == [i == part for i in range(4)]


def test_a_sequence_can_be_cut_anywhere():
    *x, R = recurrent_delta_inputs(dtype=torch.float64)
    assert_cut_anywhere(with_weights(R), x)


def test_outputs_do_not_see_the_future():
    *x, R = recurrent_delta_inputs(dtype=torch.float64)
    assert_causal(with_weights(R), x, t=4)


def test_gradients_match_finite_differences():
    x = recurrent_delta_inputs(B=1, T=3, H=2, K=2, V=3, dtype=torch.float64)
    leaves = [u.requires_grad_() for u in (*x, *recurrent_delta_start(*x[:3]))]

    def run(*u):
        y, state = recurrent_delta(*u[:5], u[5:], backend="loop")
        return y, *state

    assert torch.autograd.gradcheck(run, leaves)


def test_the_dtype_is_kept():
    for dtype in (torch.float32, torch.float64):
        y, state = recurrent_delta(*recurrent_delta_inputs(dtype=dtype))
        assert {u.dtype for u in (y, *state)} == {dtype}


def test_shapes_that_disagree_are_named():
    q, k, v, beta, R = x = recurrent_delta_inputs()
    with pytest.raises(ValueError, match=r"k \(2, 7, 3, 4\), v \(2, 6, 3, 5\)"):
        recurrent_delta(q, k, v[:, 1:], beta, R)
    with pytest.raises(ValueError, match=r"beta must have shape \(B, T, H\): got"):
        recurrent_delta(q, k, v, beta[..., None], R)
    with pytest.raises(ValueError, match=r"= \(3, 14, 5\): got \(3, 13, 5\)"):
        recurrent_delta(q, k, v, beta, R[:, 1:])
    with pytest.raises(ValueError, match=r"R must have shape \(H, R, V\): got"):
        recurrent_delta(q, k, v, beta, R[0])
    with pytest.raises(ValueError, match="k and R must share dtype"):
        recurrent_delta(q, k, v, beta, R.double())
    W, y = recurrent_delta_start(q, k, v)
    with pytest.raises(ValueError, match=r"state must be \(W, y\) .* got Tensor"):
        recurrent_delta(*x, W)
    with pytest.raises(ValueError, match=r"y in state \(W, y\) must .* \(2, 3, 5\): "):
        recurrent_delta(*x, (W, y[..., 1:]))
    with pytest.raises(ValueError, match=r"is empty: .* got k \(2, 0, 3, 4\), V = 5"):
        recurrent_delta(*recurrent_delta_inputs(T=0))


def test_the_effective_delta_rule_is_recorded():
    *x, R = recurrent_delta_inputs(dtype=torch.float64)
    W, y = recurrent_delta_start(*x[:3])
    with record() as rec:
        out, (last, _) = recurrent_delta(*x, R, (W, y), backend="loop")
    film = rec.film("recurrent_delta", batch=1, head=2)
    torch.testing.assert_close(film.W[0], W[1, 2])
    torch.testing.assert_close(film.W[-1], last[1, 2])
    torch.testing.assert_close(film.y, out[1, :, 2])
    torch.testing.assert_close(film.k.sum(-1), torch.ones(7).double())
    first = hear(*(u[:, 0] for u in x), R, y)
    torch.testing.assert_close(film.k[0], first[1][1, 2])


def test_recording_changes_no_bit():
    x = recurrent_delta_inputs()
    leaves = [u.requires_grad_() for u in x]

    def outputs():
        y, (W, _) = recurrent_delta(*leaves)
        return y, W, *torch.autograd.grad(y.sin().sum() + W.cos().sum(), leaves)

    alone = outputs()
    with record():
        recorded = outputs()
    assert all(torch.equal(a, b) for a, b in zip(alone, recorded, strict=True))


def test_the_layer_programs_the_memory_before_it_hears_itself():
    net, x = RecurrentDeltaNet(8, 2), torch.randn(2, 6, 8)
    program = net.program(x)
    assert [p.shape[2:] for p in program] == 3 * [(2, 4)] + [(2,)]
    y, _ = recurrent_delta(*program, net.R, backend="loop")
    torch.testing.assert_close(net(x)[0], net.out(y.flatten(2)))
    assert net.slow.out_features == 2 * (3 * 4 + 1)
    assert "R=(2, 13, 4)" in repr(net)


def test_the_recurrent_weights_start_as_the_paper_says():
    R = RecurrentDeltaNet(64, 2).R
    assert abs(R.mean()) < 0.01
    assert 0.95 < R.std() * 32**0.5 < 1.05


def test_the_state_of_the_layer_carries_on_and_the_switch_stops_the_writing():
    net, x = RecurrentDeltaNet(8, 2), torch.randn(2, 6, 8)
    y, _ = net(x)
    first, state = net(x[:, :2])
    torch.testing.assert_close(torch.cat([first, net(x[:, 2:], state)[0]], dim=1), y)
    net.writes = False
    assert not net(x)[0].any()


def test_without_recurrence_it_is_a_delta_net_with_softmax_keys():
    net, x = RecurrentDeltaNet(8, 2), torch.randn(2, 6, 8)
    twin = DeltaNet(8, 2, feature_map=lambda u: u.softmax(dim=-1))
    twin.slow, twin.out = net.slow, net.out
    net.recurrence = False
    y, (W, _) = net(x)
    expected, W_twin = twin(x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(W, W_twin)
    net.recurrence = True
    assert not torch.allclose(net(x)[0], expected)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="num_heads=3 does not divide d_model=8"):
        RecurrentDeltaNet(8, 3)
