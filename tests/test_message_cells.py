from functools import partial

import pytest
import torch
from torch.nn import functional

from srwm_lite import message_cells as cells
from srwm_lite import sweeps
from srwm_lite.delta_rule import delta_rule, delta_step
from srwm_lite.outer_product import read, write
from srwm_lite.scan import scan
from srwm_lite.vsml import SubRNN, step_by_cell, vsml_step

close = partial(torch.testing.assert_close, rtol=0, atol=1e-12)
B, T, I, O = 3, 6, 4, 5  # noqa: E741
ERRORS = {
    sweeps.squared_error: lambda y, t: (y - t).square().sum() / 2,
    sweeps.softmax_error: partial(functional.cross_entropy, reduction="sum"),
}


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def heard(*slots):
    return torch.stack(slots, dim=-1)


def test_the_outer_product_cell_writes_and_then_reads():
    W, k, q, v = (torch.randn(B, *n) for n in ((O, I), (I,), (I,), (O,)))
    fwd, bwd = heard(k, q), heard(v, torch.randn(B, O))
    w, (y, down) = vsml_step(
        cells.outer_product_cell, W.mT.clone(), fwd, bwd, reduce="sum"
    )
    close(w.mT, write(W, k, v))
    close(y[..., 0], read(write(W, k, v), q))
    assert not down.any()


def test_what_comes_back_is_the_error_and_the_cell_follows_the_delta_rule():
    W, q, k, v = (torch.randn(B, *n) for n in ((O, I), (I,), (I,), (O,)))
    beta = torch.rand(B)
    w, y = cells.delta_by_messages(W.mT, q, k, v, beta)
    wanted, answer = delta_step(W, q, k, v, beta)
    close(w.mT, wanted)
    close(y, answer)


def test_the_delta_rule_over_a_sequence_is_sweeps_of_messages():
    q, k, v, beta = *torch.randn(3, B, T, I).unbind(), torch.rand(B, T)
    ys, w = scan(cells.delta_by_messages, torch.zeros(B, I, I), q, k, v, beta)
    one_head = (x[:, :, None] for x in (q, k, v, beta))
    wanted, W = delta_rule(*one_head, backend="loop")
    close(ys, wanted[:, :, 0])
    close(w.mT, W[:, 0])


def test_without_the_answer_in_it_the_same_cell_only_adds():
    W, q, k, v = torch.zeros(1, 2, 2), *torch.eye(2)[None, [0, 0, 1]].unbind(1)
    once, _ = cells.delta_by_messages(W, q, k, v, torch.ones(1))
    twice, y = cells.delta_by_messages(once, q, k, v, torch.ones(1))
    assert y.tolist() == [[0, 1]]
    close(twice, once)
    bwd, fwd = heard(v, v), heard(k, q)
    for n in (1, 2):
        W, (y, _) = vsml_step(cells.outer_product_cell, W, fwd, bwd, reduce="sum")
        assert y[..., 0].tolist() == [[0, n]]


@pytest.mark.parametrize("decay", [0, 0.1], ids=["Hebb", "Oja"])
def test_two_numbers_make_hebbs_rule_or_ojas(decay):
    rule = cells.LearnedRule(torch.tensor([0, 0, 0, 0.1, 0, -decay]))
    W, x = torch.randn(B, O, I), torch.randn(B, I)
    w, y = rule.learn(W.mT, x)
    wanted = torch.einsum("boi,bi->bo", W, x)
    close(y, wanted)
    hebb = torch.einsum("bo,bi->boi", y, x)
    close(w.mT, W + 0.1 * hebb - decay * wanted[..., None] ** 2 * W)


def test_ojas_rule_finds_the_main_direction_of_its_inputs():
    rule = cells.LearnedRule(torch.tensor([0, 0, 0, 0.05, 0, -0.05]))
    stream = torch.randn(1, 400, 3) * torch.tensor([3, 1, 0.3])
    _, w = scan(rule.learn, torch.ones(1, 3, 1) / 3**0.5, stream)
    close(w[0, :, 0].abs(), torch.tensor([1.0, 0, 0]), atol=0.2)


def test_every_term_of_a_learned_rule_by_hand():
    state = torch.full((1, 1, 1), 2.0)
    fwd, bwd = torch.tensor([[[3.0, 7.0]]]), torch.tensor([[[5.0, 1.0]]])
    terms = [1, 3, 5, 15, 2, 50]
    for theta, term in zip(torch.eye(6), terms, strict=True):
        w, (y, _) = vsml_step(cells.LearnedRule(theta), state, fwd, bwd)
        assert (w.item(), y.tolist()) == (2 + term, [[[7 * (2 + term), 0]]])
    w, _ = vsml_step(cells.LearnedRule(torch.ones(6)), state, fwd, bwd * 0)
    assert w.item() == 2


def test_gradients_reach_the_numbers_of_a_learned_rule():
    rule, w = cells.LearnedRule(torch.zeros(6)), torch.randn(1, I, O)
    fwd, bwd = torch.randn(1, I, 2), torch.randn(1, O, 2)

    def said(theta):
        call = partial(torch.func.functional_call, rule, {"theta": theta})
        return vsml_step(lambda *heard: call(heard), w, fwd, bwd)[1][0]

    assert torch.autograd.gradcheck(said, torch.randn(6, requires_grad=True))


@pytest.mark.parametrize("ticks", [1, 3])
def test_a_grid_of_one_cell_is_torchs_lstm(ticks):
    cell = SubRNN(7, 2, ticks=ticks, forget_shift=0, input_shift=0)
    torch.nn.init.normal_(cell.bias)
    lstm = cells.lstm_cell(cell)
    h, c, x, e = *torch.randn(2, B, 7), *torch.randn(2, B, 2)
    grid = h[:, None, None], c[:, None, None]
    after, (said, down) = vsml_step(cell, grid, x[:, None], e[:, None])
    for _ in range(ticks):
        h, c = lstm(torch.cat([x, e], dim=-1), (h, c))
    close(after[0][:, 0, 0], h)
    close(after[1][:, 0, 0], c)
    close(said[:, 0], h @ cell.forward_weight.T + cell.forward_bias)
    close(down[:, 0], h @ cell.backward_weight.T + cell.backward_bias)


def test_shifted_gates_are_not_torchs_lstm():
    with pytest.raises(ValueError, match=r"shifts 0 .* got 5\.0, -5\.0 and grid=\(\)"):
        cells.lstm_cell(SubRNN())


def test_a_grid_that_hears_itself_is_one_big_rnn():
    n, N = 4, 3
    cell = cells.VectorCell(N)
    R, U = cells.big_matrices(cell, n)
    s, u = torch.randn(B, n, n, N), torch.randn(T, B, n, N)
    big, fwd, bwd = s.flatten(1), s.mean(1), s.mean(2)
    for given in u:
        s, (fwd, bwd) = vsml_step(cell, s, fwd + given, bwd)
        big = (big @ R.T + given.flatten(1) @ U.T).tanh()
        close(big, s.flatten(1))


def test_the_big_matrix_is_zeros_and_copies():
    cell = cells.VectorCell(2)
    R, _ = cells.big_matrices(cell, 3)
    blocks = R.unflatten(0, (9, 2)).unflatten(2, (9, 2)).transpose(1, 2)
    some = blocks.abs().amax(dim=(2, 3)) > 0
    assert some.sum() == 2 * 3**3 - 3  # of n⁴ blocks
    assert len(torch.unique(blocks[some], dim=0)) == 5  # W, C, D, C + D and all
    assert cells.counts(cell, 3) == {
        "entries": 18**2,
        "zeros": (81 - 51) * 4,
        "free numbers": 12,
    }


CELLS = {
    "outer product": (cells.outer_product_cell, (torch.Size([]),), 2),
    "backprop": (sweeps.backprop_cell(0.1), (torch.Size([]), torch.Size([])), 1),
    "vector": (cells.VectorCell(3).double(), (torch.Size([3]),), 3),
    "learned": (cells.LearnedRule(torch.randn(6).double()), (torch.Size([]),), 2),
}


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_may_be_asked_alone(name):
    cell, sizes, M = CELLS[name]
    parts = tuple(torch.randn(B, I, O, *size) for size in sizes)
    state = parts if len(parts) > 1 else parts[0]
    fwd, bwd = torch.randn(B, I, M), torch.randn(B, O, M)
    torch.testing.assert_close(
        vsml_step(cell, state, fwd, bwd), step_by_cell(cell, state, fwd, bwd)
    )


@pytest.mark.equation("eq:backprop-cell")
def test_a_backprop_cell_by_hand():
    half = torch.tensor(0.5).atanh()
    state = tuple(torch.full((1, 1, 1), x) for x in (2.0, 3.0))
    fwd, bwd = half.reshape(1, 1, 1), torch.tensor([[[4.0]]])
    (w, b), (y, down) = vsml_step(sweeps.backprop_cell(0.1), state, fwd, bwd)
    close(torch.stack([w, b, y, down]).flatten(), torch.tensor([1.8, 2.6, 4.0, 6.0]))


def descend(states, x, targets, loss, rate, trained):
    """Descend with autograd, one example at a time."""
    states = [tuple(p.clone().requires_grad_() for p in pair) for pair in states]
    answers = []
    for given, target in zip(x.unbind(1), targets.unbind(1), strict=True):
        y = given
        for w, b in states:
            y = (y.tanh()[..., None] * w + b).sum(dim=1)
        answers.append(y.detach())
        known = [p for i in trained for p in states[i]]
        for p, slope in zip(
            known, torch.autograd.grad(loss(y, target), known), strict=True
        ):
            p.data -= rate * slope
    return torch.stack(answers, 1), [tuple(p.detach() for p in s) for s in states]


def stream(sizes, examples):
    x = torch.randn(B, examples, sizes[0])
    classes = torch.randint(sizes[-1], (B, examples))
    return x, functional.one_hot(classes, sizes[-1]).to(x)


@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (5, 6, 4, 3)], ids=len)
@pytest.mark.parametrize("error", ERRORS)
def test_sweeps_of_messages_are_gradient_descent(sizes, error):
    x, targets = stream(sizes, 50)
    states, layers = sweeps.start(B, sizes), range(len(sizes) - 1)
    wanted = descend(states, x, targets, ERRORS[error], 0.1, layers)
    found = sweeps.learn(sweeps.backprop_cell(0.1), states, x, targets, error=error)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)
    assert (found[1][0][0] - states[0][0]).abs().max() > 0.01


def test_the_error_at_the_input_is_the_gradient():
    states, x = sweeps.start(B, (5, 4, 3)), torch.randn(B, 5, requires_grad=True)
    cell, error = sweeps.backprop_cell(0.1), torch.randn(B, 3, 1)
    after, fwds = sweeps.forward_sweep(cell, states, x[..., None])
    (wanted,) = torch.autograd.grad(fwds[-1], x, error)
    close(sweeps.backward_sweep(cell, after, fwds, error)[1][..., 0], wanted)


def test_a_bias_in_every_cell_learns_as_fast_as_all_of_them():
    x, targets = torch.zeros(1, 1, 4), torch.ones(1, 1, 1)
    states = [(torch.zeros(1, 4, 1), torch.zeros(1, 4, 1))]
    _, ((_, b),) = sweeps.learn(
        sweeps.backprop_cell(0.1), states, x, targets, error=sweeps.squared_error
    )
    close(b.sum(), torch.tensor(4 * 0.1))


def test_with_nothing_coming_back_nothing_is_learned():
    x, targets = stream((5, 4, 3), 4)
    states = sweeps.start(B, (5, 4, 3))
    silent = lambda y, t: 0 * y  # noqa: E731
    _, after = sweeps.learn(sweeps.backprop_cell(1.0), states, x, targets, error=silent)
    assert all(
        torch.equal(p, q)
        for pair, same in zip(states, after, strict=True)
        for p, q in zip(pair, same, strict=True)
    )


def test_a_cut_message_leaves_only_the_top_layer_learning():
    x, targets = stream((5, 4, 3), 20)
    states = start = sweeps.start(B, (5, 4, 3))
    for t in range(20):
        states, _ = sweeps.example(
            sweeps.backprop_cell(0.1), states, x[:, t], targets[:, t], cut=(1,)
        )
    loss = ERRORS[sweeps.softmax_error]
    _, wanted = descend(start, x, targets, loss, 0.1, trained=(1,))
    torch.testing.assert_close(states, wanted, rtol=0, atol=1e-10)
    assert torch.equal(states[0][0], start[0][0])
    cell = sweeps.backprop_cell(0.1)
    _, learned = sweeps.learn(cell, start, x, targets, cut=(1,))
    torch.testing.assert_close(learned, states, rtol=0, atol=0)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"got theta \(3,\), wanted \(6,\)"):
        cells.LearnedRule(torch.zeros(3))
    with pytest.raises(ValueError, match=r"rate must be from 0"):
        sweeps.backprop_cell(-0.1)
    x, targets = stream((5, 3), 4)
    states = sweeps.start(B, (5, 3))
    with pytest.raises(ValueError, match=r"\(B, T\): got x \(3, 4, 5\), targets"):
        sweeps.learn(sweeps.backprop_cell(0.1), states, x, targets[:, 1:])
    with pytest.raises(ValueError, match=r"sizes_1 must be .* positive: got 0"):
        sweeps.start(1, (2, 0))
