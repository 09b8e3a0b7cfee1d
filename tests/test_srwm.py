import pytest
import torch
from sequences import assert_causal, assert_cut_anywhere
from torch.autograd import gradcheck

from srwm_lite import trace
from srwm_lite.models import SequenceModel, writes_off
from srwm_lite.outer_product import read
from srwm_lite.self_reference import (
    BLOCKS,
    block_sizes,
    generate,
    self_reference,
    self_reference_step,
    spread,
)
from srwm_lite.srwm import SRWM, FakeSR, SRDelta, start_matrix

F64 = {"dtype": torch.float64}


def matrix(B=2, H=3, V=5, K=4):
    return start_matrix(B * H, V, K).double().unflatten(0, (B, H))


def inputs(B=2, T=7, H=3, K=4):
    return torch.randn(B, T, H, K, **F64)


def by_block(W):
    return dict(zip(BLOCKS, W.split(block_sizes(W), dim=-2), strict=True))


def test_a_step_by_hand():
    # V = 1, K = 2. u picks the first column: y = 6; the softmax of (200, 0) is e1 = q,
    # that of (0, 200) is e2 = k, and all learning rates are sigmoid(0) = 1/2.
    # Half of the first column minus the second is added to the second.
    W = torch.tensor([[6, 2], [200, 0], [0, 4], [0, 8], [200, 2]] + 4 * [[0, 6.0]])
    after, y = self_reference_step(W[None, None], torch.tensor([[[1.0, 0.0]]]))
    assert y.tolist() == [[[6]]]
    wanted = [[6, 4], [200, 100], [0, 2], [0, 4], [200, 101]] + 4 * [[0, 3]]
    assert after[0, 0].tolist() == wanted


@pytest.mark.equation("eq:srwm")
def test_it_is_the_equation_of_the_paper_written_out():
    W, u = matrix(B=1, H=1)[0, 0], inputs(B=1, T=1, H=1)[0, 0, 0]
    Wy, Wq, Wk, Wb = by_block(W).values()
    q, k, b = (Wq @ u).softmax(0), (Wk @ u).softmax(0), (Wb @ u).sigmoid()
    wanted = [
        X + b[i] * torch.outer(X @ q - X @ k, k) for i, X in enumerate([Wy, Wq, Wk, Wb])
    ]
    after, y = self_reference_step(W[None, None], u[None, None])
    torch.testing.assert_close(after[0, 0], torch.cat(wanted))
    torch.testing.assert_close(y[0, 0], Wy @ u)


def test_each_block_is_multiplied_from_the_right():
    # X_t = X_0 prod (I + b_X (q - k) k^T)
    u, W = inputs(), matrix()
    state, products = W, {name: torch.eye(4, **F64) for name in BLOCKS}
    for u_t in u.unbind(dim=1):
        _, q, k, b = generate(state, u_t)
        turn = (q - k)[..., :, None] * k[..., None, :]
        for i, name in enumerate(BLOCKS):
            step = torch.eye(4, **F64) + b[..., i, None, None] * turn
            products[name] = products[name] @ step
        state, _ = self_reference_step(state, u_t)
    for name, X in by_block(W).items():
        torch.testing.assert_close(by_block(state)[name], X @ products[name])


def test_the_rank_never_grows():
    W = matrix(V=5)
    low = torch.randn(2, 3, 5, 2, **F64) @ torch.randn(2, 3, 2, 4, **F64)
    W = torch.cat([low, W[..., 5:, :]], dim=-2)
    _, after = self_reference(inputs(T=30), W)
    assert not torch.allclose(after[..., :5, :], low)
    assert (torch.linalg.matrix_rank(after[..., :5, :], rtol=1e-10) <= 2).all()


def test_a_block_of_zeros_stays_zero():
    W = matrix()
    W[..., 5:9, :] = 0
    _, after = self_reference(inputs(), W)
    assert not after[..., 5:9, :].any()
    assert after[..., :5, :].ne(W[..., :5, :]).any()


def test_from_zeros_only_the_output_rows_have_a_slope():
    # whatever is written is a combination of columns of the matrix itself, so from
    # zeros nothing is written and nothing that decides a write can be felt
    W = torch.zeros(2, 3, 17, 4, **F64, requires_grad=True)
    y, after = self_reference(inputs(), W)
    assert not y.any()
    assert not after.any()
    (slope,) = torch.autograd.grad(y.sum(), W)
    assert [name for name, X in by_block(slope).items() if X.any()] == ["y"]


def test_equal_query_and_key_write_nothing():
    W = matrix()
    W[..., 5 + 4 : 5 + 8, :] = W[..., 5 : 5 + 4, :]
    for u in inputs().unbind(dim=1):
        after, _ = self_reference_step(W, u)
        assert torch.equal(after, W)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_frozen_block_keeps_every_bit_and_the_others_change(name):
    u, W = inputs(), matrix()
    _, after = self_reference(u, W, frozen=[name], backend="loop")
    for other, X in by_block(after).items():
        assert torch.equal(X, by_block(W)[other]) == (other == name)


def test_with_everything_frozen_the_matrix_is_a_static_map():
    u, W = inputs(), matrix()
    y, after = self_reference(u, W, frozen=BLOCKS)
    assert torch.equal(after, W)
    torch.testing.assert_close(y, read(W[:, None], u)[..., :5])


def test_the_output_is_read_before_the_matrix_changes():
    u, W = inputs(T=1), matrix()
    y, _ = self_reference(u, W)
    torch.testing.assert_close(y, read(W[:, None], u)[..., :5])


def test_four_equal_learning_rates_are_one_product_for_the_whole_matrix():
    W = matrix()
    W[..., -4:, :] = W[..., -1:, :]
    u = inputs(T=1)[:, 0]
    _, q, k, b = generate(W, u)
    turn = (q - k)[..., :, None] * k[..., None, :]
    whole = torch.eye(4, **F64) + b[..., :1, None] * turn
    torch.testing.assert_close(self_reference_step(W, u)[0], W @ whole)


def test_a_step_leaves_d_minus_one_eigenvalues_at_one():
    W, u = matrix(B=1, H=1), inputs(B=1, T=1, H=1)[:, 0]
    _, q, k, b = (x[0, 0] for x in generate(W, u))
    step = torch.eye(4, **F64) + b[0] * torch.outer(q - k, k)
    values = torch.linalg.eigvals(step).real.sort().values
    wanted = torch.cat([torch.ones(3, **F64), (1 + b[0] * (q - k) @ k)[None]])
    torch.testing.assert_close(values, wanted.sort().values)


def test_every_row_gets_the_learning_rate_of_its_block():
    rows = spread(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.zeros(11, 2))
    assert rows.tolist() == [1] * 3 + [2] * 2 + [3] * 2 + [4] * 4


def test_a_sequence_can_be_cut_anywhere_and_is_causal():
    def run(u, W=None, **options):
        return self_reference(u, start if W is None else W, **options)

    start = matrix()
    assert_cut_anywhere(run, [inputs()], backend="loop")
    assert_causal(run, [inputs()], t=4, backend="loop")


def test_gradients_match_finite_differences():
    leaves = inputs(B=1, T=4, H=2, K=3), matrix(B=1, H=2, V=2, K=3)
    leaves = [x.requires_grad_() for x in leaves]
    assert gradcheck(lambda u, W: self_reference(u, W, backend="loop"), leaves)


def rows_that_learn(cut):
    """Return which blocks get a gradient, with the state cut between steps or not."""
    W = matrix().requires_grad_()
    state, outputs = W, []
    for u_t in inputs().split(1, dim=1):
        shift = state - W
        state = W + (shift.detach() if cut else shift)
        y, state = self_reference(u_t, state, backend="loop")
        outputs.append(y)
    (slope,) = torch.autograd.grad(torch.cat(outputs).square().sum(), W)
    return [name for name, X in by_block(slope).items() if X.any()]


def test_cutting_the_state_between_steps_leaves_only_the_output_rows_learning():
    # what the published reinforcement learning code does
    assert rows_that_learn(cut=True) == ["y"]
    assert rows_that_learn(cut=False) == list(BLOCKS)


def test_bad_arguments_are_named():
    u, W = inputs(), matrix()
    with pytest.raises(ValueError, match=r"\(2, 3, 13 or more, 4\).*got W \(2, 3, 12,"):
        self_reference(u, W[:, :, :12])
    with pytest.raises(ValueError, match=r"u must have shape \(B, T, H, K\)"):
        self_reference(u[0], W)
    with pytest.raises(ValueError, match="u and W must share dtype"):
        self_reference(u.float(), W)
    with pytest.raises(ValueError, match="of y, q, k, beta: got 'v'"):
        self_reference(u, W, frozen=["v"])
    with pytest.raises(ValueError, match=r"is empty: .* got u \(2, 0, 3, 4\)"):
        self_reference(u[:, :0], W)
    with pytest.raises(ValueError, match="norm_on must be one of"):
        SRWM(8, norm_on="output")


@pytest.mark.parametrize("layer", [SRWM, SRDelta])
def test_the_state_of_the_layer_carries_on(layer):
    net, x = layer(8, 2).double(), torch.randn(2, 6, 8, **F64)
    y, _ = net(x)
    first, state = net(x[:, :2])
    rest, _ = net(x[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), y)
    net.carry = False
    torch.testing.assert_close(net(x[:, 2:], state)[0], net(x[:, 2:])[0])


def test_the_layer_shifts_from_a_learned_start():
    net, x = SRWM(8, 2), torch.randn(3, 6, 8)
    y, shift = net(x)
    assert shift.shape == (3, 2, 4 + 8 + 4, 4)
    u, W = x.unflatten(-1, (2, 4)), net.W.expand(3, -1, -1, -1)
    expected, last = self_reference(u, W, backend="loop")
    torch.testing.assert_close(y, net.out(expected.flatten(2)))
    torch.testing.assert_close(shift, last - W)
    y.sum().backward()
    assert net.W.grad.flatten(1).any(dim=1).all()


def test_without_writes_the_layer_is_the_static_one():
    net, fake, x = SRWM(8, 2), FakeSR(8, 2), torch.randn(2, 6, 8)
    fake.load_state_dict({"W": net.W[:, :4], "out.weight": net.out.weight})
    assert not torch.allclose(net(x)[0], fake(x)[0])
    with writes_off(net):
        y, shift = net(x)
    torch.testing.assert_close(y, fake(x)[0])
    assert not shift.any()


def test_switched_off_a_delta_memory_answers_nothing():
    net, x = SRDelta(8, 2), torch.randn(2, 6, 8)
    assert net(x)[0].any()
    with writes_off(net):
        assert not net(x)[0].any()


def test_the_start_is_drawn_as_published():
    torch.manual_seed(0)
    W = start_matrix(64, 16, 16, query_std=0.01, beta_init=-1.0)
    y, q, k, b = W.split([16, 16, 16, 4], dim=1)
    stds = [x.std().item() for x in (y, q, k, b)]
    assert stds == pytest.approx([0.25, 0.0025, 0.25, 0.25], rel=0.05)
    assert b.mean().item() == pytest.approx(-1, abs=0.05)


@pytest.mark.parametrize("norm_on", ["residual", "none", "layer"])
def test_the_block_puts_the_norm_where_the_paper_has_it(norm_on):
    def layer(d_model, num_heads):
        return SRWM(d_model, num_heads, norm_on=norm_on)

    block = SequenceModel(4, 3, 8, layer=layer, num_heads=2).blocks[0]
    x = torch.randn(2, 5, 8)
    h = block.norm(x)
    y = block.layer(h if norm_on == "layer" else x)[0]
    middle = (h if norm_on == "residual" else x) + y
    expected = middle + block.feed_forward(middle)
    torch.testing.assert_close(block(x)[0], expected)


def test_the_four_blocks_can_be_watched():
    u, W = inputs(), matrix()
    with trace.record() as rec:
        y, last = self_reference(u, W, frozen=["k"])
    films = {rec.film(i, batch=1, head=2).idea: i for i in range(len(rec))}
    assert list(films) == [f"srwm.{name}" for name in BLOCKS]
    for name, i in zip(BLOCKS, films.values(), strict=True):
        film = rec.film(i, batch=1, head=2)
        torch.testing.assert_close(film.W[-1], by_block(last)[name][1, 2])
    torch.testing.assert_close(rec.film(0, 1, 2).y, y[1, :, 2])
    assert not rec.film("srwm.k").beta.any()
