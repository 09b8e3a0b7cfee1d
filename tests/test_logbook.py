import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from srwm_lite.logbook import Logbook, entries
from srwm_lite.training import fit, warmup_cosine

STEPS, EVERY, SAVED = 11, 2, 3  # lines and checkpoints at other steps


def sample(generator):
    return (torch.randn(4, 3, generator=generator),)


def loss(model, x):
    return model(x).square().mean()


def run(folder):
    """Train with a log and a checkpoint; return all that must be the same bits."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)

    def accuracy():
        return float(model.bias.detach().sum())

    log = Logbook(folder / "log", steps=STEPS, every=EVERY, accuracy=accuracy)
    options = {"checkpoint": folder / "run.pt", "every": SAVED, "watch": log}
    schedule = warmup_cosine(STEPS, 3)
    history = fit(model, sample, loss, steps=STEPS, schedule=schedule, **options)
    lines = [{**line, "seconds": 0} for line in entries(folder / "log")]
    return lines, history.losses.tolist(), model.weight.tolist()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def test_a_line_is_written_now_and_then(whole):
    lines, losses, _ = whole
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 11]
    means = [sum(losses[i : i + 2]) / 2 for i in range(0, 10, 2)]
    assert [x["loss"] for x in lines] == pytest.approx([*means, losses[10]], abs=1e-6)
    schedule = warmup_cosine(STEPS, 3)
    rates = [1e-3 * schedule(line["step"] - 1) for line in lines]
    assert [line["lr"] for line in lines] == pytest.approx(rates)
    assert len({line["accuracy"] for line in lines}) == 6


@pytest.mark.parametrize("when", [2, 9])
def test_a_run_that_is_killed_ends_with_the_same_bits(whole, tmp_path, when):
    program = f"""
import os, signal, torch, test_logbook as t
from pathlib import Path
backward = torch.Tensor.backward
def mortal(x, left=[{when}]):
    left[0] -= 1
    return backward(x) if left[0] else os.kill(os.getpid(), signal.SIGKILL)
torch.Tensor.backward = mortal
t.run(Path({str(tmp_path)!r}))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = subprocess.run([sys.executable, "-c", program], env=env, check=False)
    assert killed.returncode == -9
    assert run(tmp_path) == whole


def test_a_torn_line_is_dropped_and_written_again(whole, tmp_path):
    run(tmp_path)
    path = tmp_path / "log"
    path.write_text(path.read_text()[:-9])
    assert len(entries(path)) == 5
    assert run(tmp_path) == whole


def test_a_new_run_begins_a_new_log(whole, tmp_path):
    (tmp_path / "log").write_text(json.dumps({"step": 8}) + "\n")
    assert run(tmp_path) == whole


def test_an_interrupt_while_a_line_is_written_loses_none(whole, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("srwm_lite.logbook.json.dumps", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert entries(tmp_path / "log") == []
    assert run(tmp_path) == whole
