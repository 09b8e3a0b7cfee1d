"""The grid of cells: one formula for all cells at once, and what sharing implies."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from srwm_lite.vsml import SubRNN, VSMLLayer, step_by_cell, times, vsml_step


def hebb(w, x, e):
    """Send ``w x`` forward and ``w e`` back, then add ``x e``."""
    return w + x * e, w * x, w * e


def grid(B=2, inputs=3, outputs=4, **options):
    cell = SubRNN(5, 3, **options).double()
    state = cell.start(B, inputs, outputs)
    fwd, bwd = torch.randn(B, inputs, 3), torch.randn(B, outputs, 3)
    return cell, state, fwd.double(), bwd.double()


def test_known_answer_by_hand():
    w = torch.tensor([[2.0], [3.0]])[None, ..., None]  # two inputs, one output
    fwd, bwd = torch.tensor([[[1.0], [4.0]]]), torch.tensor([[[10.0]]])
    state, (out, back) = vsml_step(hebb, w, fwd, bwd, reduce="sum")
    assert out.item() == 2 * 1 + 3 * 4
    assert back.flatten().tolist() == [20, 30]
    assert state.flatten().tolist() == [12, 43]
    _, (mean, _) = vsml_step(hebb, w, fwd, bwd)
    assert mean.item() == 7


@pytest.mark.equation("eq:vsml")
@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("own", [False, True])
def test_all_cells_at_once_equal_one_after_the_other(reduce, own):
    torch.manual_seed(0)
    x = grid(grid=(3, 4)) if own else grid()
    cell, state, fwd, bwd = x
    at_once = vsml_step(*x, reduce=reduce)
    if own:  # each cell has weights of its own: pick them by hand
        return _check_own(cell, state, fwd, bwd, at_once, reduce)
    by_cell = step_by_cell(*x, reduce=reduce)
    torch.testing.assert_close(at_once, by_cell, rtol=1e-13, atol=1e-13)


def _check_own(cell, state, fwd, bwd, at_once, reduce):
    (h, c), (out, back) = at_once
    for a in range(3):
        for b in range(4):
            one = SubRNN(5, 3).double()
            own = {name: p[a, b] for name, p in cell.state_dict().items()}
            one.load_state_dict(own)
            alone, _, _ = one(tuple(s[:, a, b] for s in state), fwd[:, a], bwd[:, b])
            torch.testing.assert_close((h[:, a, b], c[:, a, b]), alone)
    assert out.shape == (2, 4, 3)
    assert back.shape == (2, 3, 3)


def test_a_state_without_a_tuple_serves_too():
    w, fwd, bwd = torch.randn(2, 3, 4, 1), torch.randn(2, 3, 1), torch.randn(2, 4, 1)
    at_once, by_cell = vsml_step(hebb, w, fwd, bwd), step_by_cell(hebb, w, fwd, bwd)
    torch.testing.assert_close(at_once, by_cell)


@pytest.mark.equation("eq:sub-rnn")
def test_one_cell_is_an_lstm():
    cell = SubRNN(5, 3, ticks=1, forget_shift=0, input_shift=0).double()
    lstm = nn.LSTMCell(6, 5).double()
    with torch.no_grad():
        lstm.weight_ih.copy_(cell.weight[:, :6])
        lstm.weight_hh.copy_(cell.weight[:, 6:])
        lstm.bias_ih.copy_(cell.bias.normal_())
        lstm.bias_hh.zero_()
    x, e = torch.randn(2, 7, 3).double()
    h, c = torch.randn(2, 7, 5).double()
    state, forward, backward = cell((h, c), x, e)
    torch.testing.assert_close(state, lstm(torch.cat([x, e], dim=-1), (h, c)))
    torch.testing.assert_close(forward, state[0] @ cell.forward_weight.T)
    torch.testing.assert_close(backward, state[0] @ cell.backward_weight.T)


def test_shifts_hold_the_state_at_first():
    cell = SubRNN(5, 3, ticks=1).double()
    with torch.no_grad():
        cell.weight.zero_()
    c = torch.ones(1, 5).double()
    (_, after), _, _ = cell(
        (0 * c, c), torch.zeros(1, 3).double(), torch.zeros(1, 3).double()
    )
    keep = 1 / (1 + torch.exp(torch.tensor(-5.0).double()))
    torch.testing.assert_close(after, keep * c)


def test_two_ticks_are_one_tick_twice():
    once, state, fwd, bwd = grid(ticks=1)
    twice = SubRNN(5, 3, ticks=2).double()
    twice.load_state_dict(once.state_dict())
    half, _ = vsml_step(once, state, fwd, bwd)
    expected = vsml_step(once, half, fwd, bwd)
    torch.testing.assert_close(vsml_step(twice, state, fwd, bwd), expected)


def test_the_published_cell_has_2384_numbers():
    assert sum(p.numel() for p in SubRNN().parameters()) == 2384


def test_permuted_inputs_and_outputs_are_the_same_grid():
    cell, state, fwd, bwd = grid(2, 4, 5)
    rows, columns = torch.randperm(4), torch.randperm(5)
    _, (out, back) = vsml_step(cell, state, fwd, bwd)
    turned = tuple(s[:, rows][:, :, columns] for s in state)
    _, (out2, back2) = vsml_step(cell, turned, fwd[:, rows], bwd[:, columns])
    torch.testing.assert_close(out2, out[:, columns])
    torch.testing.assert_close(back2, back[:, rows])


def test_without_sharing_a_permutation_is_another_grid():
    cell, state, fwd, bwd = grid(2, 3, 4, grid=(3, 4))
    rows = torch.tensor([1, 2, 0])
    _, (out, _) = vsml_step(cell, state, fwd, bwd)
    _, (out2, _) = vsml_step(cell, tuple(s[:, rows] for s in state), fwd[:, rows], bwd)
    assert (out2 - out).abs().max() > 1e-3


def test_start_is_half_random_and_half_zero():
    torch.manual_seed(0)
    h, c = SubRNN().start(3, 100, 50)
    assert h.count_nonzero() == c[..., 8:].count_nonzero() == 0
    assert c.abs().max() <= 0.2
    assert 0.085 < c[..., :8].std() < 0.092  # 0.1, cut off at two deviations


def test_gradcheck():
    torch.manual_seed(0)
    cell, (h, c), fwd, bwd = grid(1, 2, 2)
    x = [t.requires_grad_() for t in (h, c, fwd, bwd)]
    assert gradcheck(lambda h, c, *m: vsml_step(cell, (h, c), *m)[1], x)


def test_layer_serves_every_size_with_the_same_cell():
    layer = VSMLLayer()
    for inputs, outputs in ((3, 2), (7, 11)):
        fwd, bwd = torch.randn(2, inputs, 8), torch.randn(2, outputs, 8)
        (out, back), state = layer(fwd, bwd)
        assert out.shape == bwd.shape
        assert back.shape == fwd.shape
        again, _ = layer(fwd, bwd, state)
        assert not torch.equal(again[0], out)


def test_times_takes_one_matrix_or_many():
    W, x = torch.randn(3, 4, 5, 2), torch.randn(6, 3, 4, 2)
    torch.testing.assert_close(times(W, x), torch.einsum("abij,Babj->Babi", W, x))
    torch.testing.assert_close(times(W[0, 0], x), x @ W[0, 0].T)


def test_bad_shapes_are_named():
    cell, state, fwd, bwd = grid()
    with pytest.raises(ValueError, match=r"state \(2, 3, 4, 5\), fwd \(2, 2, 3\)"):
        vsml_step(cell, state, fwd[:, :2], bwd)
    with pytest.raises(ValueError, match=r"bwd must have shape \(B, O, M\)"):
        vsml_step(cell, state, fwd, bwd[0])
    with pytest.raises(ValueError, match="share dtype"):
        vsml_step(cell, state, fwd, bwd.float())
    with pytest.raises(ValueError, match="'mean' or 'sum': got 'max'"):
        vsml_step(cell, state, fwd, bwd, reduce="max")
    with pytest.raises(ValueError, match="reduce"):
        VSMLLayer(reduce="max")
    with pytest.raises(ValueError, match="ticks must be a whole number"):
        SubRNN(ticks=0)
    with pytest.raises(TypeError, match="state must be a torch"):
        vsml_step(cell, (1, 2), fwd, bwd)
