import functools
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from srwm_lite.delta_rule import DeltaNet
from srwm_lite.identity import describe, identity
from srwm_lite.models import SequenceModel, SoftmaxAttention, writes_off
from srwm_lite.tasks import RetrievalSequence, sequence_loss
from srwm_lite.training import fit

TASK = RetrievalSequence(2, num_keys=4, num_values=4)


def net(layer=DeltaNet, **options):
    torch.manual_seed(0)
    layer = functools.partial(layer, **options)
    return SequenceModel(TASK.num_in, 4, 8, layer=layer, tokens=False)


def silent(model):
    model.blocks[0].layer.writes = False
    return model


def train(path, model=None, sample=None, loss=sequence_loss, steps=2):
    sample = sample or functools.partial(TASK.sample, 4)
    return fit(model or net(), sample, loss, steps=steps, checkpoint=path)


def squared(model, x, target):
    return model(x)[0].square().mean()


def heads(n):
    torch.manual_seed(0)
    return SequenceModel(
        TASK.num_in, 4, 8, layer=SoftmaxAttention, num_heads=n, tokens=False
    )


OTHERS = {
    "writes": ({}, {"model": silent(net())}, r"writes=True.* wanted .*writes=False"),
    "heads": ({"model": heads(1)}, {"model": heads(4)}, r"num_heads=1.* wanted .*=4"),
    "map": (
        {"model": net(feature_map=lambda x: x.exp())},
        {"model": net(feature_map=lambda x: x.square())},
        r"feature_map=<lambda>#\w+;? .*wanted.*feature_map=<lambda>#",
    ),
    "batch": ({}, {"sample": functools.partial(TASK.sample, 8)}, r"\(4\); wanted .*8"),
    "loss": ({}, {"loss": squared}, r"loss=sequence_loss#\w+; wanted .*loss=squared#"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_experiment_is_refused(tmp_path, capsys, name):
    one, other, message = OTHERS[name]
    path = tmp_path / "run.pt"
    train(path, **one)
    kept = path.read_bytes()
    with pytest.raises(ValueError, match=f"(?s)run.pt belongs to another .*{message}"):
        train(path, **other)
    assert path.read_bytes() == kept
    train(path, **one, steps=3)
    assert "goes on from" in capsys.readouterr().out


def test_a_run_without_memory_does_not_go_on_with_one(tmp_path):
    model = net()
    with writes_off(model):
        train(tmp_path / "x", model)
    with pytest.raises(ValueError, match=r"writes=False.* wanted .*writes=True"):
        train(tmp_path / "x", model)


ONES = torch.ones(2)


def maker(n, scale=ONES):
    return lambda x, *, power=2: scale * n * x**power


def notebook(n):
    """Return a function as a notebook has it: it reads a global."""
    room = {"__name__": "__main__", "n": n}
    exec("def f(x):\n    return n * g(x)\ndef g(x):\n    return x", room)
    return room["f"]


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (maker(1), maker(1), maker(2)),
        (maker(1), maker(1), maker(1, torch.zeros(2))),
        (notebook(1), notebook(1), notebook(2)),
        (TASK.sample, TASK.sample, RetrievalSequence(1).sample),
        (functools.partial(max, key=abs), functools.partial(max, key=abs), max),
        (lambda x: x + 1, lambda x: x + 1, lambda x: x + 2),
        (functional.relu, functional.relu, functional.elu),
        ([1, {"a": {2, 3}}], [1, {"a": {3, 2}}], [1, {"a": {2, 4}}]),
        (nn.ReLU(), nn.ReLU(), nn.Tanh()),
    ],
)
def test_what_computes_the_same_is_described_the_same(one, same, other):
    assert describe(one) == describe(same) != describe(other)
    assert "0x" not in describe(one)


def test_a_function_may_call_itself():
    def f(x):
        return f(x - 1) if x else 0

    assert describe(f).startswith("test_a_function_may_call_itself.<locals>.f#")


def among(x):
    return x in {"a", "b", "c", "d"}


def test_an_identity_is_the_same_in_another_process():
    program = """
import test_checkpoints as t
print(t.identity(t.net(), f=t.among, sample=t.TASK.sample))
"""
    env = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    other = subprocess.check_output([sys.executable, "-c", program], env=env, text=True)
    assert other.strip() == str(identity(net(), f=among, sample=TASK.sample))


def test_the_weights_do_not_belong_to_the_identity():
    one, two = DeltaNet(4), DeltaNet(4)
    assert identity(one, lr=1) == identity(two, lr=1) != identity(one, lr=2)


def whole(path):
    train(path)
    return path.read_bytes()


BROKEN = {
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "garbage": (lambda path: path.write_bytes(b"hello" * 99), "it is damaged"),
    "cut": (lambda path: path.write_bytes(whole(path)[:-99]), "it is damaged"),
    "dict": (lambda path: torch.save({"a": 1}, path), r"it holds \['a'\], not \['id"),
    "list": (lambda path: torch.save([1], path), "it holds <class 'list'>, not"),
    "model": (lambda path: torch.save(net(), path), "it is damaged"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_checkpoint_is_named_and_left_alone(tmp_path, name):
    make, message = BROKEN[name]
    path = tmp_path / "run.pt"
    make(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"run\.pt is no .*{message}.*; delete it, "):
        train(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("folder", [True, False])
def test_a_checkpoint_must_name_a_file(tmp_path, folder):
    with pytest.raises(ValueError, match=r"must name a file: got .*; use .*run\.pt"):
        train(tmp_path if folder else "")
