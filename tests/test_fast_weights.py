import pytest
import torch
from sequences import assert_causal, assert_cut_anywhere, attention_inputs, start

from srwm_lite.fast_weights import FastWeightProgrammer, fast_weight_step, fast_weights
from srwm_lite.linear_attention import linear_attention


@pytest.mark.equation("eq:fwp")
def test_a_step_by_hand():
    W = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    x, k, v = (torch.tensor([[u]]) for u in ([1.0, 1.0], [0.0, 2.0], [1.0, -1.0]))
    W, y = fast_weight_step(W, x, k, v)
    assert W.tolist() == [[[[1, 2], [0, -1]]]]
    assert y.tolist() == [[[3, -1]]]
    _, y = fast_weight_step(W, x, k, v, squash=lambda W: W.clamp(-1, 1))
    assert y.tolist() == [[[2, -1]]]


def test_without_squash_it_is_linear_attention():
    x, k, v = attention_inputs(dtype=torch.float64)
    W = start(x, k, v)
    for a, b in zip(
        fast_weights(x, k, v, W), linear_attention(x, k, v, W), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_the_squash_keeps_every_weight_in_bounds():
    x, k, v = attention_inputs(T=50)
    _, free = fast_weights(x, k, 5 * v)
    _, W = fast_weights(x, k, 5 * v, squash=torch.tanh)
    assert free.abs().max() > 1 >= W.abs().max()


@pytest.mark.parametrize("squash", [None, torch.tanh])
def test_a_sequence_can_be_cut_anywhere(squash):
    inputs = attention_inputs(dtype=torch.float64)
    assert_cut_anywhere(fast_weights, inputs, squash=squash)


def test_outputs_do_not_see_the_future():
    assert_causal(fast_weights, attention_inputs(), t=4, squash=torch.tanh)


def test_gradients_match_finite_differences():
    x, k, v = attention_inputs(B=1, T=3, H=2, K=2, V=3, dtype=torch.float64)
    inputs = [u.requires_grad_() for u in (x, k, v, start(x, k, v))]
    assert torch.autograd.gradcheck(
        lambda *u: fast_weights(*u, squash=torch.tanh), inputs
    )


def test_bad_input_is_named():
    x, k, v = attention_inputs()
    with pytest.raises(ValueError, match=r"k \(2, 7, 3, 4\), x \(2, 7, 3, 3\)"):
        fast_weights(x[..., 1:], k, v)
    with pytest.raises(ValueError, match=r"k \(2, 7, 3, 4\), v \(2, 6, 3, 5\)"):
        fast_weights(x, k, v[:, 1:])
    with pytest.raises(ValueError, match="k and v must share dtype"):
        fast_weights(x, k, v.double())
    with pytest.raises(ValueError, match="sequence is empty"):
        fast_weights(x[:, :0], k[:, :0], v[:, :0])
    with pytest.raises(ValueError, match="cannot run as 'chunk': use 'loop'"):
        fast_weights(x, k, v, backend="chunk")


def test_the_slow_net_writes_patterns_and_the_fast_net_reads_the_input():
    net, x = FastWeightProgrammer(4, 3), torch.randn(2, 6, 4)
    y, W = net(x)
    a, b = net.slow.weight.split([3, 4])
    expected, memory = [], torch.zeros(2, 3, 4)
    for t in range(6):
        memory = memory + torch.einsum("bi,bj->bij", x[:, t] @ a.T, x[:, t] @ b.T)
        expected.append(torch.einsum("bij,bj->bi", memory, x[:, t]))
    torch.testing.assert_close(y, torch.stack(expected, dim=1))
    torch.testing.assert_close(W[:, 0], memory)


def test_the_state_carries_on_and_the_switch_stops_the_writing():
    net, x = FastWeightProgrammer(4, squash=torch.tanh), torch.randn(2, 6, 4)
    y, W = net(x)
    first, middle = net(x[:, :2])
    rest, end = net(x[:, 2:], middle)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), y)
    torch.testing.assert_close(end, W)
    net.writes = False
    assert not net(x)[0].any()


def test_it_says_what_it_is():
    net = FastWeightProgrammer(4, 3, squash=torch.tanh)
    assert "sizes=[3, 4], squash=tanh" in repr(net)


def test_without_a_squash_the_fastest_backend_equals_the_loop():
    x, k, v = (u.double() for u in attention_inputs())
    loop, fast = (fast_weights(x, k, v, backend=b) for b in ("loop", "auto"))
    torch.testing.assert_close(fast, loop)
