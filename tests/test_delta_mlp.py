import pytest
import torch
from sequences import assert_cut_anywhere
from torch import nn

from srwm_lite.delta_mlp import DeltaMLP, delta_mlp
from srwm_lite.delta_rule import delta_step, positive_sum_one
from srwm_lite.trace import record


def same(x):
    return x


def inputs(depth=1, B=2, T=5, H=3, K=4, F=6, **options):
    """Return x, and two writes for each block."""
    x, writes = torch.randn(B, T, H, K, **options), []
    for _ in range(depth):
        for key, value in ((K, F), (F, K)):
            k = torch.randn(B, T, H, key, **options).softmax(dim=-1)
            v = torch.randn(B, T, H, value, **options)
            writes.append((k, v, torch.rand(B, T, H, **options)))
    return x, writes


@pytest.mark.equation("eq:delta-mlp")
def test_a_step_by_hand():
    # one head, K = F = 1: phi of a number is 1, so W1 and W2 become 2 and 3 and the
    # block adds W2 phi(W1 phi(x)) = 3
    one = torch.ones(1, 1, 1, 1)
    writes = [(one, 2 * one, one[..., 0]), (one, 3 * one, one[..., 0])]
    y, (W1, W2) = delta_mlp(5 * one, writes, [same])
    assert (y.item(), W1.item(), W2.item()) == (8, 2, 3)


def test_two_blocks_follow_the_equations_step_by_step():
    x, writes = inputs(depth=2, dtype=torch.float64)
    norms = [nn.LayerNorm(4).double(), nn.LayerNorm(4).double()]
    nn.init.normal_(norms[1].weight)
    y, state = delta_mlp(x, writes, norms, backend="loop")
    W = [x.new_zeros(2, 3, v.shape[-1], k.shape[-1]) for k, v, _ in writes]
    for t in range(5):
        h = x[:, t]
        for i, norm in enumerate(norms):
            a = positive_sum_one(norm(h))
            W[2 * i], a = delta_step(W[2 * i], a, *(u[:, t] for u in writes[2 * i]))
            a, last = positive_sum_one(a), 2 * i + 1
            W[last], a = delta_step(W[last], a, *(u[:, t] for u in writes[last]))
            h = h + a
        torch.testing.assert_close(y[:, t], h)
    torch.testing.assert_close(state, tuple(W))


def test_every_backend_gives_the_same():
    x, writes = inputs(depth=2, dtype=torch.float64)
    loop = delta_mlp(x, writes, [same, same], backend="loop")
    for backend in ("chunk", "auto"):
        torch.testing.assert_close(
            delta_mlp(x, writes, [same, same], backend=backend), loop
        )


def test_a_sequence_can_be_cut_anywhere():
    x, writes = inputs(dtype=torch.float64)

    def run(x, *parts):
        writes, state = [parts[:3], parts[3:6]], parts[6] if parts[6:] else None
        return delta_mlp(x, writes, [same], state)

    assert_cut_anywhere(run, [x, *writes[0], *writes[1]])


def test_gradients_match_finite_differences():
    x, writes = inputs(B=1, T=2, H=1, K=2, F=3, dtype=torch.float64)
    leaves = [u.requires_grad_() for u in (x, *writes[0], *writes[1])]

    def run(x, *u):
        y, state = delta_mlp(x, [u[:3], u[3:]], [same], backend="loop")
        return y, *state

    assert torch.autograd.gradcheck(run, leaves)


def test_what_does_not_fit_is_named():
    x, writes = inputs()
    with pytest.raises(ValueError, match="twice as many: got 1 writes, 1 norms"):
        delta_mlp(x, writes[:1], [same])
    with pytest.raises(ValueError, match="got 0 writes, 0 norms"):
        delta_mlp(x, [], [])
    with pytest.raises(ValueError, match=r"tuple of the 2 fast matrices, .* got 1"):
        delta_mlp(x, writes, [same], (torch.zeros(2, 3, 6, 4),))
    with pytest.raises(
        ValueError, match=r"tuple of the 2 fast matrices, .* got Tensor"
    ):
        delta_mlp(x, writes, [same], torch.zeros(2, 3, 6, 4))
    with pytest.raises(ValueError, match=r"k \(2, 5, 3, 6\), q \(2, 5, 3, 4\)"):
        delta_mlp(x, writes[::-1], [same])


@pytest.mark.parametrize("depth", [1, 2])
def test_the_layer_programs_a_network_of_its_depth(depth):
    net, x = DeltaMLP(8, 2, depth=depth), torch.randn(2, 5, 8)
    q, writes = net.program(x)
    assert net.slow.out_features == 2 * (4 + depth * (4 + 16 + 16 + 4 + 2))
    assert q.shape == (2, 5, 2, 4)
    assert [k.shape[-1] for k, _, _ in writes] == [4, 16] * depth
    for k, _, beta in writes:
        torch.testing.assert_close(k.sum(dim=-1), torch.ones(2, 5, 2))
        assert ((beta > 0) & (beta < 1)).all()
    with record(net) as rec:
        y, state = net(x)
    expected, _ = delta_mlp(q, writes, list(net.norms), backend="loop")
    torch.testing.assert_close(y, net.out(expected.flatten(2)))
    assert len(rec) == len(state) == 2 * depth
    assert f"depth={depth}" in repr(net)


def test_without_writes_only_the_query_is_left():
    net, x = DeltaMLP(8, 2, depth=2), torch.randn(2, 5, 8)
    net.writes = False
    q, _ = net.program(x)
    torch.testing.assert_close(net(x)[0], net.out(q.flatten(2)))


def test_the_depth_is_a_positive_number():
    with pytest.raises(ValueError, match="depth must be a whole number, positive"):
        DeltaMLP(8, depth=0)
