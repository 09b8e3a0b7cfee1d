from functools import partial

import pytest
import torch
from torch import nn

from srwm_lite import cloning, experiments, sweeps
from srwm_lite.data import DataUnavailable
from srwm_lite.experiments import vsml_cloning
from srwm_lite.training import fit
from srwm_lite.vsml import step_by_cell, vsml_step

B, T, SIZES = 2, 5, (4, 3, 2)
TINY = {"state_size": 6, "ticks": 2}


class ByHand(nn.Module):
    """The cell that is imitated, as if it were a clone."""

    rate = 0.1

    def forward(self, state, x, e):
        return sweeps.backprop_cell(self.rate)(state, x, e)


def drawn(n=1000):
    return cloning.situations(torch.Generator().manual_seed(0), n)


def stream(sizes=SIZES):
    x = torch.randn(B, T, sizes[0])
    return x, torch.eye(sizes[-1])[torch.randint(sizes[-1], (B, T))]


def test_what_is_imitated_does_not_deviate():
    situation = [x.double() for x in drawn()]
    off = cloning.deviations(sweeps.backprop_cell(0.1), 0.1, *situation)
    torch.testing.assert_close(off, torch.zeros(1000, 4).double(), rtol=0, atol=1e-9)


def test_deviations_by_hand():
    def cell(state, x, e):
        (w, b), nothing = state, torch.zeros_like(x)
        return (w + 1, b + 2), nothing, nothing

    w, b, x, e = torch.tensor([[2.0], [3.0], [0.5], [4.0]]).double()
    x = x.atanh()
    off = cloning.deviations(cell, 0.5, w, b, x, e)
    wanted = [-4 / 5.05, -6 / (2.05 * 4.02), (2 + 2) / 4.02, (4 + 4) / 4.02]
    torch.testing.assert_close(off[0], torch.tensor(wanted).double())


def test_each_part_of_the_imitation_is_a_root_mean_square():
    clone, situation = cloning.Clone(**TINY), drawn()
    off = cloning.deviations(clone, clone.rate, *situation)
    parts = cloning.imitation(clone, *situation)
    torch.testing.assert_close(parts[2], off[:, 2].pow(2).mean().sqrt())
    torch.testing.assert_close(
        cloning.cloning_loss(clone, *situation), parts.pow(2).mean()
    )


def test_situations_are_of_all_sizes_and_often_silent():
    w, b, x, e = drawn(20_000)
    assert (e == 0).float().mean() == pytest.approx(cloning.SILENT, abs=0.02)
    heard = e[e != 0].abs()
    assert heard.min() < 1e-4
    assert heard.max() > 1
    assert x.abs().max() > 3
    assert (w.abs() < 0.01).float().mean() > 0.1
    assert abs((w * e).mean()) < 0.01
    torch.testing.assert_close(drawn(20_000)[1], b)


def test_a_clone_is_an_lstm_that_begins_with_w_and_b_alone():
    clone = cloning.Clone(**TINY)
    w, b, x, e = (u[:5] for u in drawn())
    c = torch.zeros(5, 6)
    c[:, 0], c[:, 1] = 0.25 * w, 0.25 * b
    (_, c), y, d = clone.cell((torch.zeros(5, 6), c), x[:, None], e[:, None])
    found = clone((w, b), x[:, None], e[:, None])
    torch.testing.assert_close(found, ((4 * c[:, 0], 4 * c[:, 1]), y, d))


def test_open_forget_gates_keep_every_bit():
    clone = cloning.Clone(forget_shift=50.0, input_shift=-150.0)
    w, b, x, e = (u.reshape(1, 10, 100) for u in drawn())
    for _ in range(3):
        (w2, b2), _ = vsml_step(clone, (w, b), x[:, :, :1], e[:, 0, :, None])
    assert torch.equal(w2, w)
    assert torch.equal(b2, b)


def test_a_grid_of_clones_is_clones_one_by_one():
    clone, states = cloning.Clone(**TINY), sweeps.start(B, (4, 3))
    fwd, bwd = torch.randn(B, 4, 1), torch.randn(B, 3, 1)
    torch.testing.assert_close(
        vsml_step(clone, states[0], fwd, bwd), step_by_cell(clone, states[0], fwd, bwd)
    )


def test_what_moves_in_silence_is_drift():
    def cell(state, x, e):
        (w, b), heard = state, x[:, 0]
        return (w + heard + e[:, 0], 2 * b), x, e

    situation = torch.tensor([[5.0, 5.0], [3.0, 4.0], [1.0, 7.0], [9.0, 9.0]])
    w, b = cloning.drift(cell, *situation, steps=2)
    assert w == 8
    torch.testing.assert_close(b, 3 * torch.tensor(12.5).sqrt())


def test_a_clone_that_does_not_write_hears_no_error():
    clone = cloning.Clone(**TINY)
    w, b, x, e = (u[:, None] for u in drawn())
    silent, heard = clone((w, b), x, 0 * e), clone((w, b), x, e)
    assert not torch.equal(silent[2], heard[2])
    clone.writes = False
    torch.testing.assert_close(clone((w, b), x, e), silent)


def test_who_races_with_himself_is_not_ahead():
    start = sweeps.start(B, SIZES)
    ran = cloning.race(ByHand(), start, *stream())
    assert torch.equal(ran.answers, ran.exact_answers)
    apart = cloning.distance(ran.states, ran.exact_states, start)
    assert apart.tolist() == [0, 0]
    still = cloning.distance(start, ran.exact_states, start)
    assert still.tolist() == [1, 1]


def test_a_race_starts_with_the_same_answer_and_drifts_apart():
    start, given = sweeps.start(B, (4, 2)), stream((4, 2))
    clone = ByHand()
    clone.forward = partial(sweeps.backprop_cell(0.2))
    ran = cloning.race(clone, start, *given)
    assert torch.equal(ran.answers[:, 0], ran.exact_answers[:, 0])
    assert not torch.equal(ran.answers[:, 1], ran.exact_answers[:, 1])
    first = [x[:, :1] for x in given]
    ran = cloning.race(clone, start, *first)
    apart = cloning.distance(ran.states, ran.exact_states, start)
    torch.testing.assert_close(apart, torch.ones(1))


def test_answers_are_those_of_the_network():
    states, x = sweeps.start(1, SIZES), torch.randn(2 * cloning.CHUNK + 1, 4)
    y = cloning.answers(ByHand(), states, x)
    for i in (0, 2 * cloning.CHUNK):
        h = x[i]
        for w, b in states:
            h = h.tanh() @ w[0] + b[0].sum(0)
        torch.testing.assert_close(y[i], h)


def test_imitation_gets_better_by_training():
    clone = cloning.Clone(state_size=8, ticks=2)
    before = cloning.cloning_loss(clone, *drawn())
    sample = partial(cloning.situations, n=128)
    fit(clone, sample, cloning.cloning_loss, steps=40, lr=1e-2, clip=1.0)
    assert cloning.cloning_loss(clone, *drawn()) < 0.5 * before


def test_gradients_of_the_imitation_match_finite_differences():
    clone = cloning.Clone(state_size=3, ticks=2, rate=1.0).double()
    situation = [x[:4].double() for x in drawn()]
    bias = torch.randn(12, dtype=torch.float64, requires_grad=True)

    def loss(bias):
        def cell(*heard):
            return torch.func.functional_call(clone, {"cell.bias": bias}, heard)

        return cloning.deviations(cell, 1.0, *situation).square().mean()

    assert torch.autograd.gradcheck(loss, bias)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"state_size must be .* 2 or more: got 1"):
        cloning.Clone(state_size=1)
    with pytest.raises(ValueError, match=r"rate must be from 0 .* got -1"):
        cloning.Clone(-1)


def test_no_picture_of_the_test_is_learned():
    case = vsml_cloning.Case("digits", 8, examples=300, part="train")
    x, targets, test, labels = case.sample(torch.Generator().manual_seed(0))
    assert x.shape == (1, 300, 64)
    assert test.shape == (259, 64)
    assert targets.sum(dim=-1).eq(1).all()
    assert len(labels) == 259
    assert torch.cdist(x[0], test).min() > 0
    assert x.mean().abs() < 0.05
    assert abs(x.std() - 1) < 0.05


def test_files_in_the_order_of_the_classes_are_mixed(monkeypatch):
    labels = torch.arange(10).repeat_interleave(30)
    sorted_by_class = torch.randn(300, 2, 2), labels
    monkeypatch.setattr(vsml_cloning, "images", lambda *which: sorted_by_class)
    case = vsml_cloning.Case("fashion", 2, examples=200)
    _, targets, _, held = case.sample(torch.Generator().manual_seed(0))
    assert len(held.unique()) == 10
    assert targets.sum(dim=(0, 1)).min() > 0
    assert torch.equal(case.sample(torch.Generator().manual_seed(1))[3], held)


def test_a_case_measures_both_networks():
    case = vsml_cloning.Case("digits", 4, (3,), examples=30, tested=20)
    clone = ByHand()
    clone.rate = vsml_cloning.RATE
    mine, theirs, same, apart = case.measured(clone, *case.sample(torch.Generator()))
    assert (same, apart) == (1, 0)
    assert mine == theirs


def test_the_experiment_runs(tmp_path):
    found = experiments.run(
        vsml_cloning.EXPERIMENT, "quick", seeds=(0,), folder=tmp_path
    )
    (run,) = found["runs"]
    assert run["parameters"] == sum(p.numel() for p in cloning.Clone().parameters())
    for name in ("digits, one layer", "digits, two layers"):
        for what in vsml_cloning.SHOWN:
            assert f"{name}: {what}" in run["scores"]
    assert "writes off" in run
    head, _, one, two = vsml_cloning.side_by_side(found, "digits").split("\n")
    assert head == "| network | clone | backprop | same answers | apart |"
    right = run["scores"]["digits, one layer: clone"]
    assert one.startswith(f"| digits, one layer | {100 * right:.1f} % |")
    assert two.startswith("| digits, two layers |")


def test_missing_pictures_stop_it_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("SRWM_LITE_DATA", str(tmp_path / "data"))

    def refused(*args, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr("srwm_lite.data.pooch.retrieve", refused)
    with pytest.raises(DataUnavailable, match="mnist"):
        experiments.run(vsml_cloning.EXPERIMENT, "laptop", folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
