import json
from functools import partial

import pytest
import torch

from srwm_lite import experiments
from srwm_lite.data import DataUnavailable
from srwm_lite.experiments import __main__ as line
from srwm_lite.experiments import few_shot, pictures, task_switch
from srwm_lite.experiments.pictures import Pictures, Sight, episodes
from srwm_lite.models import LSTM

TINY = Pictures("curved", 7, (8, 6, 5))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Let there be no data, and no way to them."""
    monkeypatch.setenv("SRWM_LITE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "*")

    def refused(*args, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr("srwm_lite.data.pooch.retrieve", refused)
    pictures._drawn.cache_clear()
    return tmp_path


def test_parts_are_other_characters():
    parts = [TINY.part(part) for part in ("train", "val", "test")]
    assert [len(part) for part in parts] == [8, 6, 5]
    assert not torch.equal(parts[0][:5], parts[2])
    assert TINY.part("train") is parts[0]
    straight = Pictures("straight", 7, (8, 6, 5)).part("train")
    assert not torch.equal(straight, parts[0])


@pytest.mark.parametrize(
    ("name", "preset"), [("omniglot", "quick"), ("task_switch", "omniglot")]
)
def test_missing_data_stop_an_experiment_before_it_begins(
    nowhere, name, preset, capsys
):
    out = nowhere / "results"
    with pytest.raises(DataUnavailable, match="images_background"):
        experiments.run(experiments.find(name), preset, folder=out)
    assert not out.exists()
    with pytest.raises(SystemExit):
        line.main([name, "--preset", preset, "--out", str(out)])
    assert "Put it there by hand" in capsys.readouterr().err


def test_the_interval_is_over_episodes():
    right = torch.tensor([[1, 1], [1, 0], [0, 0], [1, 1]])

    def model(support, labels, queries):
        return torch.nn.functional.one_hot(1 - right, 2)

    targets = torch.zeros(4, 2, dtype=torch.long)
    mean, half = few_shot.mean_and_interval(model, None, None, None, targets)
    expected = 1.96 * torch.tensor([1, 0.5, 0, 1]).std() / 2
    assert (float(mean), float(half)) == (0.625, pytest.approx(float(expected)))


def test_every_number_of_shots_is_tested():
    made = few_shot.setting(TINY, "x", shots=3, tested=2, ways=4)
    assert list(made.told()["tests"])[:3] == [
        "4-way 3-shot",
        "4-way 3-shot, ±",
        "4-way 1-shot",
    ]
    sample = made.tests["4-way 2-shot"].sample
    support, *_ = sample(torch.Generator().manual_seed(0))
    assert support.shape == (2, 8, 7, 7)
    with pytest.raises(ValueError, match="an episode needs 6 classes"):
        episodes(torch.Generator(), pictures=TINY, part="test", batch=1, ways=6)


def test_turned_characters_are_for_training_only():
    made = few_shot.setting(TINY, "x", tested=2)
    assert made.sample.keywords["rotations"]
    asked = [made.valid, *made.tests.values()]
    assert not any(test.sample.keywords.get("rotations") for test in asked)


def test_names_of_a_switch_fit_its_numbers():
    [made] = task_switch.quick().values()
    for order, test in made.tests.items():
        stream = test.sample(torch.Generator().manual_seed(0))
        model = made.frame(LSTM)
        assert len(test.metric(model, *stream)) == len(test.parts)
        assert test.parts[0] == f"{order}: all"
        assert test.parts[1:3] == (
            f"{order}: before, appearance 1",
            f"{order}: before, appearance 2",
        )
        assert test.parts[-1] == f"{order}: step +2"
    assert list(made.tests) == ["curved then straight", "straight then curved"]


def test_laptop_tests_ask_many_episodes():
    for name in ("few_shot", "omniglot"):
        for made in experiments.find(name).settings("laptop").values():
            assert "SRWM" in made.lr
            assert all(t.sample.keywords["batch"] >= 600 for t in made.tests.values())
            assert json.loads(json.dumps(made.told())) == made.told()


def test_a_sight_has_the_stem_that_is_named():
    sizes = {"features": 8, "d_model": 8, "num_heads": 2, "d_hidden": 8}
    convolved = Sight(7, 3, stem="conv", **sizes)(partial(LSTM))
    assert any(isinstance(part, torch.nn.Conv2d) for part in convolved.modules())
    assert convolved(
        torch.rand(2, 3, 7, 7),
        torch.zeros(2, 3, dtype=torch.long),
        torch.rand(2, 1, 7, 7),
    ).shape == (2, 1, 3)
