import json
import math
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch.nn import functional

from srwm_lite import experiments
from srwm_lite.carried_state import Carried
from srwm_lite.experiments import __main__ as line
from srwm_lite.experiments import pictures, store
from srwm_lite.experiments.jobs import Job
from srwm_lite.experiments.layers import LAYERS
from srwm_lite.experiments.run import switches, train
from srwm_lite.experiments.setting import Experiment, Frame, Setting, Test
from srwm_lite.models import SequenceModel
from srwm_lite.tasks import RetrievalSequence

TASK = RetrievalSequence(2, num_keys=4, num_values=4)
RUN = sys.modules["srwm_lite.experiments.run"]  # the function has the same name
FEW = ("LSTM", "Linear Transformer", "RDN")
SEEING = dict.fromkeys(("few_shot", "omniglot", "task_switch"), ("SRWM", "LSTM"))
SEEING |= {"vsml": ("VSML", "Meta RNN, reminded"), "vsml_cloning": ("VSML clone",)}
HEARING = {"RDN", "LSTM", "Meta RNN, reminded"}  # what it said before


class Vectors(Frame):
    """A frame for a task whose inputs are vectors."""

    def __call__(self, layer):
        return SequenceModel(layer=layer, tokens=False, **vars(self))


def setting(**changes):
    frame = Vectors(TASK.num_in, 4, d_model=8, d_hidden=8)
    sample = partial(TASK.sample, 4)
    tests = {"answers": Test(sample, batches=2), "the same": Test(sample, batches=1)}
    given = {"tests": tests, "lr": dict.fromkeys(FEW, 1e-2), "steps": 6, **changes}
    return Setting("pairs", **{"frame": frame, "sample": sample, **given})


def experiment(**changes):
    return Experiment("pairs", "a toy", {"laptop": lambda: {"two": setting(**changes)}})


def measured(result):
    """Return what must be the same bits in every run."""
    told = ("setting", "model", "seed", "lr", "steps", "curve", "scores", "writes off")
    return [[run.get(key) for key in told] for run in result["runs"]]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Run the toy with two seeds, once for all tests that only read."""
    folder = tmp_path_factory.mktemp("results")
    return experiments.run(experiment(), seeds=(0, 1), folder=folder), folder


@pytest.mark.parametrize("name", experiments.NAMES)
def test_every_experiment_runs_in_seconds(name, tmp_path, monkeypatch):
    pretend = torch.rand(12, 20, 7, 7)
    monkeypatch.setattr(pictures, "omniglot", lambda part, size: pretend)
    monkeypatch.setattr(pictures, "_drawn", pictures._drawn.__wrapped__)
    found = experiments.find(name)
    models = SEEING.get(name, ("DeltaNet", "RDN"))
    result = experiments.run(found, "quick", seeds=(0,), models=models, folder=tmp_path)
    assert found.name == result["experiment"] == name
    assert [path.name for path in tmp_path.glob("*.json")] == [f"{name}-quick.json"]
    for run in result["runs"]:
        tests = result["settings"][run["setting"]]["tests"]
        assert list(run["scores"]) == list(tests)
        assert list(run.get("writes off", tests)) == list(tests)
        assert ("recurrence off" in run) == (run["model"] in HEARING)
        assert run["steps"] == 3
        assert len(run["curve"]) == 3
    assert {run["model"] for run in result["runs"]} == set(models)


@pytest.mark.parametrize("name", experiments.NAMES)
def test_every_preset_names_known_models(name):
    found = experiments.find(name)
    for preset in ("quick", "laptop"):
        for one in found.settings(preset).values():
            assert set(one.lr) <= set(one.layers)
            assert json.loads(json.dumps(one.told())) == one.told()


def test_the_file_has_all_that_a_reader_asks_for(stored):
    result, folder = stored
    assert result == json.loads((folder / "pairs.json").read_text())
    told = ("kind", "experiment", "about", "preset", "device", "date", "commit")
    for key in (*told, "torch", "seconds", "chosen", "settings", "summary", "runs"):
        assert key in result
    for run in result["runs"]:
        for key in ("parameters", "device", "date", "commit", "torch"):
            assert run[key]
        assert run["seconds"] >= 0
    assert len(result["runs"]) == 6
    two = result["settings"]["two"]
    assert two["tests"]["answers"] == {"unit": "%", "batches": 2}
    assert (two["steps"], two["lr"]["RDN"], two["about"]) == (6, 0.01, "pairs")
    assert not list((folder / ".unfinished").glob("*.pt"))


@pytest.mark.parametrize("after", [1, 5, 7, 9])
def test_a_run_goes_on_with_the_same_bits(stored, tmp_path, monkeypatch, capsys, after):
    backward, left = torch.Tensor.backward, [after]

    def mortal(x):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return backward(x)

    options = {"seeds": (0, 1), "folder": tmp_path}
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", mortal)
        with pytest.raises(KeyboardInterrupt):
            experiments.run(experiment(), **options)
    kept = list((tmp_path / ".unfinished").glob("*.pt"))
    assert len(kept) == (after % 6 != 1)
    result = experiments.run(experiment(), **options)
    assert ("goes on from" in capsys.readouterr().out) == bool(kept)
    assert measured(result) == measured(stored[0])


def test_a_killed_run_keeps_what_was_finished(stored, tmp_path):
    program = f"""
import os, test_experiments as t
whole, left = t.RUN.train, [3]
def train(*args):
    left[0] -= 1
    return whole(*args) if left[0] else os._exit(9)
t.RUN.train = train
t.RUN.run(t.experiment(), seeds=(0, 1), folder={str(tmp_path)!r})
"""
    folder = {"cwd": str(store.ROOT / "tests")}
    killed = subprocess.run([sys.executable, "-c", program], **folder, check=False)
    assert killed.returncode == 9
    assert len(experiments.results("pairs", folder=tmp_path)["runs"]) == 2
    result = experiments.run(experiment(), seeds=(0, 1), folder=tmp_path)
    assert measured(result) == measured(stored[0])


def test_what_is_stored_is_not_run_again(stored, tmp_path, monkeypatch):
    result, _ = stored
    store.save(tmp_path / "pairs.json", result)
    trained = []

    def count(setting, job, checkpoint):
        trained.append((job.model, job.seed))
        return train(setting, job, checkpoint)

    monkeypatch.setattr(RUN, "train", count)
    options = {"folder": tmp_path, "models": ("RDN",)}
    assert experiments.run(experiment(), seeds=(0, 1), **options) == result
    assert trained == []
    more = experiments.run(experiment(), seeds=(2, 1), **options)
    assert trained == [("RDN", 2)]
    assert [run["seed"] for run in more["runs"] if run["model"] == "RDN"] == [0, 1, 2]
    experiments.run(experiment(), seeds=(1,), again=True, **options)
    assert trained == [("RDN", 2), ("RDN", 1)]


def test_runs_of_other_settings_are_not_mixed(stored, tmp_path):
    store.save(tmp_path / "pairs.json", stored[0])
    options = {"seeds": (0, 1), "folder": tmp_path}
    with pytest.raises(ValueError, match="holds runs of 'two' with another steps: use"):
        experiments.run(experiment(steps=7), **options)
    other = experiment(lr={**dict.fromkeys(FEW, 1e-2), "RDN": 1e-3})
    with pytest.raises(ValueError, match="with another lr of RDN: use --again"):
        experiments.run(other, **options)
    result = experiments.run(other, models=("RDN",), again=True, **options)
    assert {r["lr"] for r in result["runs"] if r["model"] == "RDN"} == {1e-3}


def test_learning_rates_are_tried_in_a_file_of_their_own(tmp_path):
    options = {"rates": (1e-3, 1e-2), "folder": tmp_path, "models": ("LSTM",)}
    result = experiments.run(experiment(), seeds=(7,), steps=2, **options)
    assert [run["steps"] for run in result["runs"]] == [2, 2]
    assert [run["lr"] for run in result["runs"]] == [1e-3, 1e-2]
    assert [path.name for path in tmp_path.glob("*.json")] == ["pairs-rates.json"]


def test_a_run_that_diverges_is_stored_and_the_others_go_on(tmp_path):
    left = [2]

    def loss(model, x, target):
        left[0] -= 1
        return model(x)[0].mean() * (torch.nan if left[0] == 0 else 1)

    result = experiments.run(experiment(loss=loss), seeds=(0,), folder=tmp_path)
    first, *others = result["runs"]
    assert "nan" in first["diverged"]
    assert first["steps"] is None
    assert first["scores"]
    assert others[0]["steps"] == 6
    total = sum(run["seconds"] for run in others)
    assert result["seconds"] == pytest.approx(total, abs=0.06)


def test_switches_are_those_of_the_model():
    def found(name):
        return list(switches(setting().frame(LAYERS[name])))

    assert found("DeltaNet") == ["scores", "writes off"]
    assert found("RDN") == ["scores", "recurrence off", "writes off"]
    assert found("RDN, deaf") == ["scores", "writes off"]


def test_the_switch_is_pressed(tmp_path):
    def pressed(model, x, target):
        return torch.tensor([float(model.blocks[0].layer.writes)])

    tests = {"writes": Test(partial(TASK.sample, 4), pressed, 1)}
    result = experiments.run(experiment(tests=tests), seeds=(0,), folder=tmp_path)
    for run in result["runs"]:
        assert (run["scores"], run["writes off"]) == ({"writes": 1}, {"writes": 0})


def test_schedule_clip_and_stop_are_used(tmp_path):
    job = Job("two", "LSTM", 0, 1e-2)
    plain = train(setting(), job, tmp_path / "plain.pt")
    for name, change in {"clip": 1e-3, "warmup": 0.5}.items():
        other = train(setting(**{name: change}), job, tmp_path / f"{name}.pt")
        assert other["curve"] != plain["curve"]
    short = train(setting(steps=200, stop=99.0), job, tmp_path / "stop.pt")
    assert short["steps"] == 100


def test_a_reader_is_trained_in_the_place_of_the_model(tmp_path):
    ids = torch.arange(40) % 5
    parts = {"frame": Frame(5, 5, 8, d_hidden=8), "sample": None, "tests": {}}
    job = Job("two", "LSTM", 0, 1e-2)
    losses = []

    def loss(reader, x, target):
        losses.append(x[:, 0].tolist())
        return functional.cross_entropy(reader(x)[0].flatten(0, 1), target.flatten())

    reader = partial(Carried, ids=ids, num=1, length=7)
    train(setting(**parts, loss=loss, reader=reader), job, tmp_path / "a.pt")
    assert losses == [[0], [2], [4], [1], [3], [0]]
    with pytest.raises(ValueError, match="needs a sample or a reader: got neither"):
        train(setting(**parts), job, tmp_path / "b.pt")


def test_spread_by_hand():
    runs = [
        {"setting": "s", "model": "m", "scores": {"t": x}, "writes off": {"t": 0.5}}
        for x in (1.0, 0.5, 0.6)
    ]
    scores, off = store.summary(runs)
    assert scores == {
        **{"setting": "s", "model": "m", "switch": "scores", "test": "t"},
        **{"seeds": 3, "mean": 0.7, "sd": 0.26458, "lowest": 0.5, "highest": 1.0},
    }
    assert (off["switch"], off["sd"], off["mean"]) == ("writes off", 0.0, 0.5)
    assert store.spread([math.nan])["mean"] is None


def test_results_are_shown(stored):
    result, _ = stored
    groups = experiments.groups(result, "two")
    assert list(groups) == list(FEW)
    assert groups["RDN"] == [
        run["scores"]["answers"] for run in result["runs"] if run["model"] == "RDN"
    ]
    series = experiments.series(result, "two", ["the same", "answers"], models=["RDN"])
    assert [row[1] for row in series["RDN"]] == groups["RDN"]
    off = experiments.groups(result, "two", switch="recurrence off")
    assert list(off) == ["LSTM", "RDN"]
    rows = experiments.table(result, "two").split("\n")
    assert len(rows) == 2 + len(FEW)
    assert len({row.count("|") for row in rows}) == 1
    assert "answers, recurrence off | answers, writes off |" in rows[0]
    assert "–" in rows[3]
    assert "6 trainings with 2 seeds" in experiments.origin(result)
    words = experiments.words(result, "two")
    assert words.startswith("two. 3 rows of answers: ")
    assert "With recurrence off: LSTM " in words
    ax = experiments.points(result, "two").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(FEW)
    circles = ax.get_lines()[0].get_xdata()
    assert sorted(circles) == sorted(x for scores in groups.values() for x in scores)


def test_cells_of_a_table_by_hand(stored):
    result = json.loads(json.dumps(stored[0]))
    for run in result["runs"]:
        run["scores"] = {"answers": 0.5 + run["seed"] / 4, "the same": 0.25}
    row = experiments.table(result, "two").split("\n")[2]
    assert row.startswith("| LSTM | 2 | 62.5 % (50.0 % to 75.0 %) | 25.0 % |")
    result["settings"]["two"]["tests"]["answers"]["unit"] = "bits"
    assert "| 0.625 (0.500 to 0.750) |" in experiments.table(result, "two")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: experiments.find("parity"), "no experiment 'parity': use code_exe"),
        (lambda r: experiment().settings("big"), "pairs has no preset 'big': use lapt"),
        (
            lambda r: experiments.run(experiment(), models=["GRU"], folder="x"),
            "no model 'GRU': use LSTM, Linear Transformer, RDN",
        ),
        (
            lambda r: experiments.run(experiment(), settings=["3"], folder="x"),
            "there is no setting '3': use two",
        ),
        (lambda r: experiments.run(experiment(), steps=2), "name the rates to try"),
        (lambda r: experiments.groups(r, "3"), "there is no setting '3': use two"),
        (lambda r: experiments.groups(r, "two", "x"), "two has no test 'x': use answ"),
        (
            lambda r: experiments.results("pairs", folder="nowhere"),
            r"no results in nowhere.*: run python -m srwm_lite.experiments pairs",
        ),
    ],
)
def test_wrong_names_are_named(stored, call, message):
    with pytest.raises(ValueError, match=message):
        call(stored[0])


def test_a_folder_must_be_named_outside_the_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(RUN, "RESULTS", tmp_path / "benchmarks" / "results")
    with pytest.raises(ValueError, match="name one for the results, with --out"):
        experiments.run(experiment())


def test_the_command_line_lists_and_refuses(capsys):
    assert line.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in experiments.NAMES)
    for words in (["parity"], ["state_tracking", "--preset", "big"]):
        with pytest.raises(SystemExit) as left:
            line.main(words)
        assert left.value.code == 2
        assert " use " in capsys.readouterr().err


def test_the_command_line_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    words = "state_tracking --preset quick --seeds 3 --models LSTM --out".split()
    assert line.main([*words, str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "| LSTM | 1 | " in out
    assert "1 trainings with 1 seeds" in out
    [run] = experiments.results("state_tracking", "quick", tmp_path)["runs"]
    assert (run["model"], run["seed"]) == ("LSTM", 3)


def test_the_stored_results_of_the_repository_are_whole():
    for name in experiments.NAMES:
        path = store.RESULTS / f"{name}.json"
        if path.exists():
            result = experiments.results(name)
            runs = json.loads(json.dumps(result["runs"]))
            assert result["summary"] == store.summary(runs)
            told = result["settings"]
            assert all(
                run["scores"].keys() == told[run["setting"]]["tests"].keys()
                for run in runs
            )
            assert all(run["commit"].rstrip("+").isalnum() for run in runs)


def test_weights_are_kept_where_wanted_and_a_log_always(stored, tmp_path):
    options = {"seeds": (0,), "folder": tmp_path, "models": ("RDN",), "keep": True}
    result = experiments.run(experiment(), **options)
    [run], [path] = result["runs"], (tmp_path / ".kept").iterdir()
    model = setting().frame(LAYERS["RDN"])
    model.load_state_dict(torch.load(path))
    assert RUN.test(model, setting()) == run["scores"]
    [log] = (tmp_path / ".unfinished").iterdir()
    [line] = map(json.loads, log.read_text().splitlines())
    assert (line["step"], log.suffix) == (6, ".jsonl")
    assert 0 <= line["accuracy"] <= 1
    assert not (stored[1] / ".kept").exists()


def test_a_memory_that_is_carried_cannot_be_shared(tmp_path, monkeypatch):
    monkeypatch.setattr("srwm_lite.distributed.world", lambda: 2)
    monkeypatch.setattr("srwm_lite.distributed.wait", lambda: None)
    reader = partial(Carried, ids=torch.arange(9), num=1, length=7)
    with pytest.raises(ValueError, match="cannot be shared by 2 processes: use one"):
        experiments.run(experiment(reader=reader), folder=tmp_path)
