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

ROW = {
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
    assert rows[1].split() == ["16", "32", "256", "forward", "0.5", "1.25", "80", "2.5"]
    assert rows[2].split()[-3:] == ["-", "80", "-"]


def test_cost_of_one_step_by_hand():
    words = (4 + 4 + 4 + 1) + 16 + 4 + 16  # q k v beta W y W_T
    assert gpu.cost(1, 1, 4, both=False) == (4 * words, 3 * 2 * 16)
    words += 4 + (4 + 4 + 4 + 1 + 4) + 16 + (4 + 4 + 4 + 1) + 16  # and the gradients
    moved, operations = gpu.cost(1, 1, 4, both=True)
    assert operations == 10 * 2 * 16
    assert moved == 4 * words
    small, large = gpu.cost(2, 10, 8, both=True), gpu.cost(4, 10, 8, both=True)
    assert large == (2 * small[0], 2 * small[1])


def test_all_asked_sizes_are_measured_where_they_fit():
    sizes = set(gpu.cases(quick=False, room=140e9))
    assert {(16, 32, 256), (64, 2048, 1024), (16, 2048, 4096)} <= sizes
    assert len(set(gpu.cases(quick=True, room=140e9))) == 4
    assert all(T < 4096 for D, BH, T in gpu.cases(False, 1e9) if BH > 512)


@pytest.mark.gpu
def test_every_competitor_computes_the_delta_rule():
    x = gpu.inputs(4, 64, 16)
    wanted = gpu.delta_rule(*x, backend="loop")[0]
    for run in gpu.competitors(64).values():
        assert gpu.agrees(run, x, wanted)
