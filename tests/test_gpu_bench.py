import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from srwm_lite.plots import gpu_numbers

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import gpu  # noqa: E402
import gpu_rules  # noqa: E402

ROW = {
    "rule": "delta_rule",
    "D": 16,
    "BH": 32,
    "T": 256,
    "pass": "forward",
    "floor_ms": 0.5,
    "ms": {"cuda": 1.25, "loop": 80.0},
}
RESULT = {
    "kind": "gpu",
    "device": "A Card",
    "date": "2026-11-20",
    "commit": "abc",
    "versions": {"torch": "2"},
    "copy_gb_s": 4000.0,
    "product_tflop_s": 50.0,
    "rows": [ROW, ROW | {"ms": {"loop": 80.0}}],
}


def test_without_a_gpu_it_says_so_and_writes_nothing():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    before = set((ROOT / "benchmarks" / "results").iterdir())
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no CUDA device" in done.stderr
    assert set((ROOT / "benchmarks" / "results").iterdir()) == before


def test_no_numbers_are_no_error(tmp_path):
    (tmp_path / "chapters.json").write_text('{"01": {"seconds": 3}}')
    (tmp_path / "list.json").write_text("[1, 2]")
    assert gpu_numbers.results(tmp_path) == []
    assert gpu_numbers.table(tmp_path) == gpu_numbers.NONE


def test_numbers_are_printed(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(RESULT))
    first, second, *rows = gpu_numbers.table(tmp_path).split("\n")
    assert first == "A Card, 2026-11-20, commit abc, torch 2"
    assert "4000 GB/s" in second
    name, *cells = rows[1].split()
    assert name == "delta_rule"
    assert cells == ["16", "32", "256", "forward", "0.5", "1.25", "80", "2.5"]
    assert rows[2].split()[-3:] == ["-", "80", "-"]


def test_cost_of_one_step_by_hand():
    cost = gpu_rules.delta_cost
    words = (4 + 4 + 4 + 1) + 16 + 4 + 16  # q k v beta W y W_T
    assert cost(1, 1, 4, both=False) == (4 * words, 3 * 2 * 16)
    words += 4 + (4 + 4 + 4 + 1 + 4) + 16 + (4 + 4 + 4 + 1) + 16  # and the gradients
    moved, operations = cost(1, 1, 4, both=True)
    assert operations == 10 * 2 * 16
    assert moved == 4 * words


def test_cost_of_one_step_that_hears_the_last_output_by_hand():
    R, W, x = 13 * 4, 16, 4 + 4 + 4 + 1
    words = (x + R + W + 4) + (4 + W)  # x R W y_0, y W_T
    expected = 4 * words, 2 * R + 3 * 2 * W
    assert gpu_rules.recurrent_delta_cost(1, 1, 4, both=False) == expected
    words += x + (x + 4 + 4 + 4 + R + W) + (x + R + W + 4)  # x kept; x y y_0 dy R W
    expected = 4 * words, 3 * 2 * R + 10 * 2 * W
    assert gpu_rules.recurrent_delta_cost(1, 1, 4, both=True) == expected
    x = 4 + 4 + 4 + 4 + 4 + 2
    words = (x + 2 * W + 4) + (4 + 2 * W)  # x W R y_0, y W_T R_T
    assert gpu_rules.delta_rnn_cost(1, 1, 4, both=False) == (4 * words, 6 * 2 * W)
    words += 8 + (3 * 4 + 2 + 8 + 4 + 4 + 4 + 2 * W) + (x + 2 * W + 4)  # e e; q k k ...
    assert gpu_rules.delta_rnn_cost(1, 1, 4, both=True) == (4 * words, 20 * 2 * W)


def test_cost_of_one_step_of_a_matrix_that_reads_and_writes_itself_by_hand():
    W = (3 * 4 + 4) * 4  # rows y | q | k | beta
    words = (4 + W) + (4 + W)  # u W, y W_T
    assert gpu_rules.srwm_cost(1, 1, 4, both=False) == (4 * words, 3 * 2 * W)
    words += 2 * (4 + 4 + 4 + 16) + (4 + 4 + W) + (4 + W)  # q k b w; u dy W; du dW
    assert gpu_rules.srwm_cost(1, 1, 4, both=True) == (4 * words, 10 * 2 * W)


@pytest.mark.parametrize("rule", gpu_rules.RULES, ids=lambda rule: rule.name)
def test_all_asked_sizes_are_measured_where_they_fit(rule):
    small, large = rule.cost(2, 10, 8, True), rule.cost(4, 20, 8, True)
    assert 2 < large[0] / small[0] < 4 == large[1] / small[1]
    sizes = set(gpu.cases(rule, quick=False, room=140e9))
    assert {(16, 32, 256), (64, 512, 1024), (16, 2048, 4096)} <= sizes
    assert len(set(gpu.cases(rule, quick=True, room=140e9))) == 4
    assert all(T < 4096 for D, BH, T in gpu.cases(rule, False, 1e9) if BH > 512)


def test_inputs_fit_their_rules(monkeypatch):
    for name in ("randn", "rand", "zeros"):
        make = getattr(torch, name)
        there = lambda *size, device, make=make: make(*size)  # noqa: E731
        monkeypatch.setattr(gpu_rules.torch, name, there)
    for rule in gpu_rules.RULES:
        x = rule.inputs(2, 5, 4)
        y = rule.run(*x, backend=rule.reference)[0]
        assert gpu.agrees(lambda *x, run=rule.run: run(*x, backend="loop"), x, y)
        gpu.passes(lambda *x, run=rule.run: run(*x, backend="loop"), x, True)()


@pytest.mark.gpu
@pytest.mark.parametrize("rule", gpu_rules.RULES, ids=lambda rule: rule.name)
def test_every_competitor_computes_the_rule(rule):
    x = rule.inputs(4, 64, 16)
    wanted = rule.run(*x, backend="loop")[0]
    for run in gpu.competitors(rule, 64).values():
        assert gpu.agrees(run, x, wanted)
