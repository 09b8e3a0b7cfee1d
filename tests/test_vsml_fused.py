"""The C++ of a layer that learns online equals the readable loop in every gradient."""

import threading

import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks
from vsml_rules import PARTS, all_results, by_hand, door, errors, parts, problem, run

from srwm_lite.kernels import launch, vsml
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import ERROR, LABEL, OUT

SIZES = [(1, 1, 1, 2), (1, 5, 3, 2), (5, 1, 16, 8), (7, 5, 16, 8), (5, 7, 3, 8)]
SIZES += [(3, 16, 16, 2), (16, 3, 1, 8), (2, 33, 16, 8), (33, 2, 17, 5)]  # I, O, N, M
LENGTHS = [(1, 1), (7, 2), (40, 2), (7, 3)]  # T, ticks


@pytest.fixture
def _poisoned():
    """Let torch fill new tensors with NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


def same(ours, loop):
    for a, b in zip(ours, loop, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("T", "ticks"), LENGTHS)
@pytest.mark.parametrize("sizes", SIZES)
def test_equals_the_loop_to_the_last_digits(sizes, T, ticks):
    found = errors(*problem(*sizes, T=T, ticks=ticks))
    assert max(found.values()) <= 1e-13, found


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize(("T", "ticks"), LENGTHS[:2])
@pytest.mark.parametrize("sizes", SIZES)
def test_float32_is_near_float64(sizes, T, ticks):
    found = errors(*problem(*sizes, T=T, ticks=ticks, dtype=torch.float32))
    assert max(found.values()) <= 1e-5, found


def test_a_long_stream_with_gates_as_they_are_drawn():
    net, x = problem(16, 5, 16, 8, T=200, dtype=torch.float32)
    net.cell = SubRNN()
    found = errors(net, x)
    assert max(found.values()) <= 1e-5, found


@pytest.mark.usefixtures("_poisoned")
@pytest.mark.parametrize("feed_label", [False, True])
@pytest.mark.parametrize("writes", [False, True])
def test_what_is_told_is_told_as_in_the_loop(writes, feed_label):
    net, x = problem(feed_label=feed_label)
    net.writes = writes
    ours = all_results(net, x)
    same(ours, all_results(net, x, "loop"))
    back, of_targets = ours[3], ours[5]
    assert back[..., ERROR].any() == of_targets.any() == writes
    assert back[..., LABEL].any() == (writes and feed_label)


def test_factors_and_shifts_may_be_any_numbers():
    net, x = problem()
    ours = all_results(net, x, run=lambda net, x, _: door(*parts(net, x)))
    same(ours, all_results(net, x, run=by_hand))


@pytest.mark.parametrize("part", range(4))
def test_one_output_may_be_used_alone(part):
    net, x = problem()
    same(*(all_results(net, x, backend, [part]) for backend in ("fused", "loop")))


def test_gradcheck():
    x = parts(*problem(2, 2, 2, 2, B=1, T=3))
    assert gradcheck(door, [t.detach().requires_grad_() for t in x])


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_a_stream_can_be_cut_anywhere(cut):
    def in_two(net, x, backend):
        first, *state = run(net, [x[0][:, :cut], x[1][:, :cut], *x[2:]], backend)
        rest, *state = run(net, [x[0][:, cut:], x[1][:, cut:], *state], backend)
        return torch.cat([first, rest], dim=1), *state

    net, x = problem()
    same(all_results(net, x, run=in_two), all_results(net, x))
    assert all(map(torch.equal, in_two(net, x, "fused"), run(net, x)))


def answers_only(results):
    """Leave out what makes slots of messages that nobody reads: the loop has 0 NaN."""
    return [*results[:-2], results[-2][OUT], results[-1][OUT]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("feed_label", [False, True])
def test_nan_and_infinity_travel_as_in_the_loop(feed_label, part, value):
    net, x = problem(5, 3, 17, 4, feed_label=feed_label)
    spoiled = x[PARTS.index(part)]
    spoiled.view(2, -1)[0, 7] = value
    ours, loop = (all_results(net, x, backend) for backend in ("fused", "loop"))
    for a, b in zip(answers_only(ours), answers_only(loop), strict=True):
        torch.testing.assert_close(a, b, equal_nan=True, rtol=1e-9, atol=1e-9)
    assert not all(t.isfinite().all() for t in ours)
    assert all(t[1].isfinite().all() for t in ours[:9])  # the other entry of the batch


def test_a_weight_that_nothing_reaches_spoils_all_as_in_the_loop():
    net, x = problem()
    with torch.no_grad():
        net.cell.weight[0, 1] = float("inf")
    for backend in ("fused", "loop"):
        assert all_results(net, x, backend)[0].isnan().all()


def test_views_are_computed_as_what_they_show():
    net, x = problem()
    views = [t.transpose(1, -1).contiguous().transpose(1, -1) for t in x]
    assert not any(view.is_contiguous() for view in views)
    assert all(map(torch.equal, all_results(net, views), all_results(net, x)))


def test_inputs_are_left_alone_and_a_second_backward_agrees():
    net, x = problem()
    before = [t.clone() for t in x]
    x = [t.requires_grad_() for t in x]
    loss = sum(t.square().sum() for t in run(net, x))
    first = torch.autograd.grad(loss, x, retain_graph=True)
    second = torch.autograd.grad(loss, x)
    assert all(map(torch.equal, x, before))
    assert all(map(torch.equal, first, second))


def test_second_derivatives_are_refused_with_the_remedy():
    net, x = problem()
    logits = run(net, x)[0]
    (first,) = torch.autograd.grad(
        logits.square().sum(), net.cell.weight, create_graph=True
    )
    with pytest.raises(RuntimeError, match="no second derivatives: use backend='loop'"):
        first.sum().backward()


def test_threads_change_no_bit(monkeypatch):
    net, x = problem(5, 4, 16, 8, B=3, dtype=torch.float32)
    started, thread, found = [], threading.Thread, []
    monkeypatch.setattr(
        launch, "Thread", lambda **how: started.append(how) or thread(**how)
    )
    monkeypatch.setattr(launch, "WORTH_A_THREAD", 1)
    for n in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=n: n)
        found.append(all_results(net, x))
    assert len(started) == 2  # one more thread forward, one more backward
    assert all(map(torch.equal, *found))


def test_an_example_keeps_its_states_and_nothing_without_gradients():
    net, x = problem(5, 4, 3, 6, B=2, T=50)
    kept = []
    with saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        run(net, x)
        wanted = (2, 50, 2, 5, 4, 3)
        assert max(kept, key=lambda shape: shape.numel()) == wanted
        kept.clear()
        with torch.no_grad():
            run(net, x)
    assert not kept


WRONG = {  # B = 2, T = 7, I = 4, O = 3, N = 5, M = 4
    "x": ((2, 7), r"x must have shape \(B, T, I\): got \(2, 7\)"),
    "targets": ((2, 6, 3), r"targets .* \(B = 2, T = 7, O\): got \(2, 6, 3\)"),
    "h": ((2, 4, 1, 5), r"h .* \(B = 2, I = 4, O = 3, N\): got \(2, 4, 1, 5\)"),
    "c": ((2, 4, 3, 6), r"c .* \(B = 2, I = 4, O = 3, N = 5\): got \(2, 4, 3, 6\)"),
    "back": ((2, 3, 1), r"M at least 2: got .* M = 1"),
    "weight": ((20, 14), r"weight .* \(20, 13\) for N = 5 and M = 4: got \(20, 14\)"),
    "bias": ((4, 5), r"bias .* \(20,\)"),
    "out_weight": ((4,), r"out_weight .* \(5,\)"),
    "out_bias": ((1,), r"out_bias .* \(\)"),
}


@pytest.mark.parametrize("part", WRONG)
def test_what_does_not_fit_is_refused_with_what_would(part):
    x, (shape, says) = parts(*problem()), WRONG[part]
    place = [*PARTS, *vsml.WEIGHTS].index(part)
    with pytest.raises(ValueError, match=says):
        door(*x[:place], torch.zeros(shape).double(), *x[place + 1 :])
    if place:
        with pytest.raises(ValueError, match=rf"{part} torch.float32; use {part}.to"):
            door(*x[:place], x[place].float(), *x[place + 1 :])
    with pytest.raises(ValueError, match="float32 and float64"):
        door(*x[:place], x[place].half(), *x[place + 1 :])


def test_an_empty_stream_and_no_tick_are_refused_but_not_an_empty_batch():
    x = parts(*problem())
    for wrong, options in ((x[0][:, :0], {}), (x[0], {"ticks": 0})):
        with pytest.raises(ValueError, match=r"positive.*(T|ticks) = 0"):
            door(wrong, x[1][:, : wrong.shape[1]], *x[2:], **options)
    assert door(*(t[:0] for t in x[:5]), *x[5:])[0].shape == (0, 7, 3)
