"""The checker finds every bug planted into ``srwm.cu``."""

import pytest
import torch
from planted_bugs import line_of, planted
from planted_srwm_bugs import BUGS, ONLY_NUMBERS
from rules import needs_gcc
from srwm_rules import all_results, inputs

from srwm_lite.kernels import srwm
from srwm_lite.kernels.cuda import emulation, source

pytestmark = needs_gcc
FILE, T, EVERY = "srwm.cu", 8, 4
SIZES = 8, 20  # two warps forward, two backward, a last row that fills none


@pytest.fixture(autouse=True)
def _kept_more_often(monkeypatch):
    monkeypatch.setattr(srwm, "EVERY", EVERY)


def check(K, V, text=None, **how):
    """Run forward and backward under the checker; return the reports."""
    x = inputs(2, T, 2, K, V, dtype=torch.float32)
    with emulation(text=text, file=FILE, check=True, **how) as reports:
        all_results(x, backend="emulated")
    return reports


def findings(reports):
    return [line for _, report in reports for line in report.findings]


@pytest.mark.parametrize(("K", "V"), [SIZES, (33, 2), (1, 40)])
@pytest.mark.parametrize("order", ["forward", "random"])
def test_there_is_no_complaint_about_our_kernels(K, V, order):
    reports = check(K, V, order=order)
    assert [name for name, _ in reports] == ["forward", "backward"]
    assert findings(reports) == []


def test_what_a_step_reads_is_free_of_bank_conflicts():
    costs = [cost for _, report in check(16, 16) for cost in report.costs]
    assert max(c.per_request for c in costs if c.space == "shared") == 1


def test_kept_matrices_are_written_and_read_side_by_side():
    for _, report in check(16, 16):
        kept = [cost for cost in report.costs if cost.array == "kept"]
        assert kept
        assert all(cost.per_request <= 5 for cost in kept)  # sectors; by rows: 32


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_named_with_its_line(name):
    bug = BUGS[name]
    text = planted(bug, FILE)
    reports = check(*SIZES, text=text)
    line = line_of(text, bug.within or bug.kernel, bug.place)
    found = [f for f in findings(reports) if f"{bug.kind}:" in f]
    assert any(f"{FILE}:{line}" in f or f"at line {line}," in f for f in found), (
        line,
        findings(reports),
    )


@pytest.mark.parametrize("name", ONLY_NUMBERS)
def test_what_changes_only_numbers_is_found_by_the_comparison(name):
    old, new = ONLY_NUMBERS[name]
    text = source(FILE)
    assert text.count(old) == 1
    x = inputs(2, T + 2, 2, *SIZES)
    ours = all_results(x, backend="loop")
    with emulation(text=text.replace(old, new), file=FILE):
        wrong = all_results(x, backend="emulated")
    gaps = [((a - b).norm() / b.norm()) for a, b in zip(wrong, ours, strict=True)]
    assert max(gaps) > 1e-2
