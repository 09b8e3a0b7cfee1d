"""Two processes on one batch: the same gradients and losses as one process alone."""

import functools
import os
import subprocess
import sys

import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch.nn import functional

from srwm_lite import distributed
from srwm_lite.training import fit

STEPS, ROWS = 3, 5  # rows that two processes cannot share evenly


class Net(nn.Module):
    """A net with batch norms of both kinds, which see the whole batch."""

    def __init__(self):
        super().__init__()
        self.norms = nn.BatchNorm1d(4), nn.BatchNorm2d(1, affine=False)
        self.seen, self.scaled = self.norms
        self.rows = nn.Linear(6, 4, bias=False), nn.Linear(4, 3)
        self.first, self.last = self.rows

    def forward(self, x):
        h = self.scaled(x[:, None]).flatten(1)
        return self.last(self.seen(self.first(h)).relu())


def sample(generator):
    x = torch.randn(ROWS, 2, 3, generator=generator)
    target = torch.randint(3, (ROWS,), generator=generator)
    return 3 + x, target.masked_fill(torch.arange(ROWS) == 1, distributed.IGNORED)


def loss(model, x, target):
    return functional.cross_entropy(model(x), target)


def trained(path):
    """Train, and let the first process write what came out."""
    torch.manual_seed(0)
    net = Net()
    with distributed.joined():
        rows = []
        counted = functools.partial(_counted, rows=rows)
        losses = fit(net, sample, counted, steps=STEPS, clip=0.5, lr=1e-2).losses
        state = net.state_dict(), [p.grad for p in net.parameters()], losses, rows
        if distributed.first():
            torch.save(state, path)
    return state


def _counted(model, x, target, rows):
    rows.append(len(x))
    return loss(model, x, target)


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
def test_two_processes_are_as_one(tmp_path, free_port):
    path = tmp_path / "two.pt"
    program = f"import test_distributed as t; t.trained({str(path)!r})"
    folder = os.path.dirname(__file__)
    env = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port}
    env |= {"WORLD_SIZE": "2", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", program]
    both = [subprocess.Popen(command, env=env | {"RANK": r}, cwd=folder) for r in "01"]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    state, grads, losses, rows = torch.load(path)
    alone, wanted, expected, whole = trained(tmp_path / "one.pt")
    assert (rows, whole) == ([3] * STEPS, [ROWS] * STEPS)
    torch.testing.assert_close(losses, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(grads, wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(state["scaled.running_var"], alone["scaled.running_var"])
    torch.testing.assert_close(state["seen.running_mean"], alone["seen.running_mean"])


@pytest.fixture
def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def test_one_process_sends_nothing():
    batch = torch.ones(2), torch.zeros(2)
    assert distributed.share(batch) == (batch, 1.0)
    assert (distributed.world(), distributed.first()) == (1, True)
    distributed.wait()
    x = torch.ones(2)
    distributed.add_up([x])
    assert x.tolist() == [1, 1]


@pytest.mark.parametrize(("rank", "weight"), [(0, 2 / 4), (1, 2 / 4)])
def test_weights_count_the_targets_that_are_not_ignored(monkeypatch, rank, weight):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "get_rank", lambda: rank)
    x, target = sample(torch.Generator().manual_seed(0))
    (ours, asked), found = distributed.share((x, target))
    assert found == weight
    assert torch.equal(torch.stack([*ours]), x[:3] if rank == 0 else x[3:])
    assert len(asked) == len(ours)
    assert distributed.first() == (rank == 0)
    with pytest.raises(ValueError, match="a row for each of 2 processes: got 1; use"):
        distributed.share((x[:1], target[:1]))
