import pytest
import torch
from sequences import (
    assert_agree,
    assert_causal,
    assert_cut_anywhere,
    attention_inputs,
    delta_inputs,
    gated_inputs,
    start,
)
from torch.nn.functional import normalize

from srwm_lite.delta_rule import (
    DeltaNet,
    delta_rule,
    delta_step,
    gated_delta_rule,
    gated_delta_step,
    positive_sum_one,
)
from srwm_lite.feature_maps import unit_norm
from srwm_lite.linear_attention import linear_attention
from srwm_lite.outer_product import read

BOTH = pytest.mark.parametrize("backend", ["loop", "chunk"])
RULES = pytest.mark.parametrize(
    ("rule", "inputs"), [(delta_rule, delta_inputs), (gated_delta_rule, gated_inputs)]
)


@pytest.mark.equation("eq:delta-rule")
def test_a_step_by_hand():
    # W k = 6, so the error is 8 - 6 = 2, and half of 2 * [2, 0] is added
    W = torch.tensor([[[[3.0, 5.0]]]])
    q, k, v = (torch.tensor([[u]]) for u in ([1.0, 1.0], [2.0, 0.0], [8.0]))
    W, y = delta_step(W, q, k, v, torch.tensor([[0.5]]))
    assert W.tolist() == [[[[5, 5]]]]
    assert y.tolist() == [[[10]]]


@pytest.mark.equation("eq:gated-delta")
def test_a_gated_step_by_hand():
    # the memory fades to [1.5, 2.5]; W k = 3, the error 5, and half of 5 * [2, 0] added
    W = torch.tensor([[[[3.0, 5.0]]]])
    q, k, v = (torch.tensor([[u]]) for u in ([1.0, 1.0], [2.0, 0.0], [8.0]))
    half = torch.tensor([[0.5]])
    W, y = gated_delta_step(W, q, k, v, half, half)
    assert W.tolist() == [[[[6.5, 2.5]]]]
    assert y.tolist() == [[[9]]]


def test_full_write_strength_overwrites_the_old_value():
    k = normalize(torch.randn(1, 1, 4), dim=-1)
    v1, v2, one = torch.randn(1, 1, 5), torch.randn(1, 1, 5), torch.ones(1, 1)
    W, _ = delta_step(torch.zeros(1, 1, 5, 4), k, k, v1, one)
    _, y = delta_step(W, k, k, v2, one)
    torch.testing.assert_close(y, v2)


def test_other_orthogonal_keys_keep_their_values():
    k1, k2 = torch.eye(4)[None, None, :2].unbind(dim=2)
    W, one = torch.randn(1, 1, 5, 4), torch.ones(1, 1)
    after, _ = delta_step(W, k1, k1, torch.randn(1, 1, 5), one)
    torch.testing.assert_close(read(after, k2), read(W, k2))


def test_a_step_is_a_gradient_step_on_the_squared_error():
    q, k, v, beta = (x[:, 0] for x in delta_inputs(dtype=torch.float64))
    W = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    loss = (v - read(W, k)).square().sum() / 2
    (slope,) = torch.autograd.grad(loss, W)
    after, _ = delta_step(W, q, k, v, beta)
    torch.testing.assert_close(after, W - beta[..., None, None] * slope)


@BOTH
def test_zero_write_strength_changes_nothing(backend):
    q, k, v, beta = delta_inputs()
    W = start(q, k, v)
    y, after = delta_rule(q, k, v, 0 * beta, W, backend=backend)
    torch.testing.assert_close(after, W)
    torch.testing.assert_close(y, read(W[:, None], q))


@BOTH
def test_with_orthonormal_keys_and_full_strength_it_is_the_sum(backend):
    q, _, v = attention_inputs(T=4, K=4, dtype=torch.float64)
    k = torch.linalg.qr(torch.randn(2, 3, 4, 4).double()).Q.transpose(1, 2)
    y, W = delta_rule(q, k, v, torch.ones_like(q[..., 0]), backend=backend)
    expected, last = linear_attention(q, k, v, backend="loop")
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(W, last)


@BOTH
def test_without_decay_the_gated_rule_is_the_delta_rule(backend):
    x = delta_inputs(dtype=torch.float64)
    one = torch.ones_like(x[3])
    y, W = gated_delta_rule(*x, one, backend=backend)
    expected, last = delta_rule(*x, backend="loop")
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(W, last)


@BOTH
def test_full_decay_forgets_everything_before(backend):
    q, k, v, beta = delta_inputs()
    alpha = torch.ones_like(beta)
    alpha[:, 3] = 0
    W = start(q, k, v)
    y, _ = gated_delta_rule(q, k, v, beta, alpha, W, backend=backend)
    fresh, _ = delta_rule(*(x[:, 3:] for x in (q, k, v, beta)), backend="loop")
    torch.testing.assert_close(y[:, 3:], fresh)


@BOTH
def test_long_keys_blow_the_memory_up_and_unit_keys_do_not(backend):
    q, k, v, beta = delta_inputs(B=1, T=60, H=1)
    _, calm = delta_rule(q, k, v, beta, backend=backend)
    _, wild = delta_rule(q, 4 * k, v, beta, backend=backend)
    assert calm.norm() < 10
    assert not wild.norm() < 1e6


@RULES
@pytest.mark.parametrize(
    "sizes", [(2, 1, 3, 4, 5), (1, 7, 2, 3, 1), (2, 32, 1, 4, 4), (1, 63, 2, 5, 3)]
)
def test_chunks_equal_the_loop_forward_and_backward(rule, inputs, sizes):
    x = inputs(*sizes, dtype=torch.float64)
    assert_agree(rule, x, start(*x), "chunk")


@RULES
@BOTH
def test_a_sequence_can_be_cut_anywhere(rule, inputs, backend):
    assert_cut_anywhere(rule, inputs(dtype=torch.float64), backend=backend)


@RULES
@BOTH
def test_outputs_do_not_see_the_future(rule, inputs, backend):
    assert_causal(rule, inputs(dtype=torch.float64), t=4, backend=backend)


@RULES
@BOTH
def test_gradients_match_finite_differences(rule, inputs, backend):
    x = inputs(B=1, T=3, H=2, K=2, V=3, dtype=torch.float64)
    leaves = [u.requires_grad_() for u in (*x, start(*x))]
    assert torch.autograd.gradcheck(lambda *u: rule(*u, backend=backend), leaves)


@RULES
@BOTH
def test_the_dtype_is_kept(rule, inputs, backend):
    for dtype in (torch.float32, torch.float64):
        y, W = rule(*inputs(dtype=dtype), backend=backend)
        assert y.dtype == W.dtype == dtype


@RULES
def test_shapes_that_disagree_are_named(rule, inputs):
    q, k, v, *strengths = inputs()
    with pytest.raises(ValueError, match=r"k \(2, 7, 3, 4\), v \(2, 6, 3, 5\)"):
        rule(q, k, v[:, 1:], *strengths)
    with pytest.raises(ValueError, match=r"k \(2, 7, 3, 4\), q \(2, 7, 3, 3\)"):
        rule(q[..., 1:], k, v, *strengths)
    with pytest.raises(ValueError, match=r"v must have shape \(B, T, H, V\): got"):
        rule(q, k, v[0], *strengths)
    with pytest.raises(ValueError, match=r"= \(2, 3, 5, 4\): got \(2, 3, 4, 5\)"):
        rule(q, k, v, *strengths, start(q, k, v).mT)
    for i, name in enumerate(["beta", "alpha"][: len(strengths)]):
        bad = [*strengths]
        bad[i] = bad[i][:, :, 1:]
        with pytest.raises(ValueError, match=rf"{name} \(2, 7, 2\)"):
            rule(q, k, v, *bad)
        bad[i] = strengths[i].double()
        with pytest.raises(ValueError, match=f"k and {name} must share dtype"):
            rule(q, k, v, *bad)
        bad[i] = strengths[i][..., None]
        with pytest.raises(ValueError, match=rf"{name} must have shape \(B, T, H\)"):
            rule(q, k, v, *bad)


@RULES
@BOTH
def test_empty_sequences_are_refused_and_empty_batches_are_not(rule, inputs, backend):
    with pytest.raises(ValueError, match=r"is empty: .* got k \(2, 0, 3, 4\), V = 5"):
        rule(*inputs(T=0), backend=backend)
    assert rule(*inputs(B=0), backend=backend)[0].shape == (0, 7, 3, 5)


GATED = pytest.mark.parametrize("gated", [False, True])


@GATED
def test_the_layer_programs_the_memory_and_reads_it(gated):
    net, x = DeltaNet(8, 2, gated=gated), torch.randn(2, 6, 8)
    q, k, v, *strengths = net.program(x)
    assert q.shape == k.shape == v.shape == (2, 6, 2, 4)
    assert [s.shape for s in strengths] == [(2, 6, 2)] * (1 + gated)
    assert all(((s > 0) & (s < 1)).all() for s in strengths)
    torch.testing.assert_close(k.sum(dim=-1), torch.ones(2, 6, 2))
    rule = gated_delta_rule if gated else delta_rule
    expected, last = rule(q, k, v, *strengths, backend="loop")
    y, W = net(x)
    torch.testing.assert_close(y, net.out(expected.flatten(2)))
    torch.testing.assert_close(W, last)


@GATED
def test_the_state_of_the_layer_carries_on_and_the_switch_stops_the_writing(gated):
    net, x = DeltaNet(8, 2, gated=gated), torch.randn(2, 6, 8)
    y, _ = net(x)
    first, W = net(x[:, :2])
    torch.testing.assert_close(torch.cat([first, net(x[:, 2:], W)[0]], dim=1), y)
    net.writes = False
    assert not net(x)[0].any()


def test_the_layer_takes_other_maps_and_strengths():
    net = DeltaNet(8, 2, feature_map=unit_norm, beta_max=2.0)
    _, k, _, beta = net.program(5 * torch.randn(2, 50, 8))
    torch.testing.assert_close(k.norm(dim=-1), torch.ones(2, 50, 2))
    assert 1 < beta.max() <= 2
    assert "feature_map=unit_norm, beta_max=2.0" in repr(net)


def test_positive_sum_one_is_positive_and_sums_to_one():
    x = positive_sum_one(3 * torch.randn(20, 5))
    assert (x > 0).all()
    torch.testing.assert_close(x.sum(dim=-1), torch.ones(20))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="num_heads=3 does not divide d_model=8"):
        DeltaNet(8, 3)
