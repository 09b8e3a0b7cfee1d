"""The comparison of learned learning rules: tests, families, and what is refused."""

import math

import pytest
import torch

from srwm_lite import experiments
from srwm_lite.data import DataUnavailable
from srwm_lite.experiments import families, vsml


def test_pieces_of_a_curve_by_hand():
    targets = torch.eye(2)[torch.zeros(2, 6).long()]
    right = torch.tensor([[0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 0, 1.0]])

    def learner(x, targets):
        return torch.stack([right, 1 - right], dim=-1), None

    found = families.pieces(learner, targets, targets, ends=(1, 4, 6))
    torch.testing.assert_close(found, torch.tensor([6 / 12, 0, 5 / 6, 1 / 4]))
    names = ["digits", "digits, 1", "digits, 2 to 4", "digits, 5 to 6"]
    assert families.parts("digits", (1, 4, 6)) == names


@pytest.mark.parametrize("name", families.FAMILIES)
def test_families_fit_the_fixed_nets(name):
    x, targets = families.FAMILIES[name]().sample(2, torch.Generator().manual_seed(0))
    assert x.shape[2] <= vsml.MOST[0]
    assert targets.shape[2] <= vsml.MOST[1]
    assert (x.shape[2:] + targets.shape[2:] == (families.I, families.O)) == (
        name in families.SAME_SIZE
    )


def test_the_mixture_has_no_pictures_and_no_teacher():
    names = {type(task).__name__ for task in families.many().tasks}
    assert names == {"Gaussian", "Memorise", "SumSign"}


def test_a_quick_run_tests_every_learner_and_switches_it_off(tmp_path):
    result = experiments.run(
        experiments.find("vsml"),
        "quick",
        seeds=[0],
        models=["VSML", "DeltaNet", "SGD"],
        settings=["one family"],
        folder=tmp_path,
    )
    runs = {run["model"]: run for run in result["runs"]}
    assert list(runs) == ["VSML", "DeltaNet", "SGD"]
    assert runs["VSML"]["parameters"] == 2384
    assert runs["SGD"]["parameters"] == 2
    for run in runs.values():
        assert run["scores"].keys() == run["writes off"].keys()
        assert all(math.isfinite(x) for x in run["scores"].values())


def test_means_are_over_the_seeds():
    runs = [
        {"setting": "a", "model": "SGD", "scores": {"digits": x}} for x in (0.25, 0.75)
    ]
    runs += [{"setting": "b", "model": "VSML", "scores": {"digits": 1.0}}]
    tests = {"tests": {"digits": {"unit": "%"}}}
    result = {"settings": {"a": tests, "b": tests}, "runs": runs}
    assert experiments.means(result, "a", ["digits"]) == {"digits SGD": 0.5}
    both = experiments.means(result, ("a", "b"), ["digits"])
    assert both == {"digits SGD": 0.5, "digits VSML": 1}
    lines = experiments.series(result, ("a", "b"), ["digits"])
    assert lines == {"SGD": [[0.25], [0.75]], "VSML": [[1]]}
    assert len(experiments.table(result, ("a", "b"), ["digits"]).split("\n")) == 4


def test_missing_pictures_stop_a_run_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("SRWM_LITE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("srwm_lite.data.pooch.retrieve", _refused)
    with pytest.raises(DataUnavailable, match="mnist"):
        experiments.run(experiments.find("vsml"), folder=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def _refused(*args, **options):
    raise ConnectionError("no network")


def test_the_chapter_quotes_what_is_stored():
    stored = experiments.results("vsml")
    found = vsml.quoted(stored)
    assert all(0 < x < 1 for x in found.values())
    wanted = ("one digits VSML", "own Gaussian Meta RNN", "evo digits VSML")
    assert found.keys() >= set(wanted)
    ends, lines = vsml.rise(stored, vsml.ONE, "digits", ["VSML", "SGD"])
    assert ends == families.ENDS
    assert [len(row) for row in lines["VSML"]] == [len(ends)] * 8
    whole = experiments.groups(stored, vsml.ONE, "digits")["VSML"]
    pieces = torch.tensor(lines["VSML"], dtype=torch.float64)
    sizes = torch.tensor(ends).diff(prepend=torch.tensor([0])) / ends[-1]
    torch.testing.assert_close(
        (pieces * sizes).sum(dim=1), torch.tensor(whole).double(), rtol=0, atol=1e-4
    )


def test_the_stored_clones_learn_what_backpropagation_learns():
    cloned = experiments.results("vsml_cloning")
    found = experiments.means(
        cloned, "pictures", list(cloned["settings"]["pictures"]["tests"])
    )
    for name in ("digits", "mnist", "fashion", "kmnist"):
        for depth in ("one layer", "two layers"):
            clone, exact = (
                found[f"{name}, {depth}: {which} VSML clone"]
                for which in ("clone", "backprop")
            )
            assert clone > 0.3
            assert abs(clone - exact) < 0.05
