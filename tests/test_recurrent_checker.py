"""The checker finds every bug planted into the kernels of recurrent rules."""

import pytest
import torch
from planted_bugs import line_of, planted
from planted_recurrent_bugs import BUGS, BY_RULE, ONLY_NUMBERS
from recurrent_rules import FILES, all_results, sequence
from rules import needs_gcc

from srwm_lite.kernels.cuda import emulation, source

pytestmark = needs_gcc
T = 10  # two turns of eight steps for dR
KERNELS = {
    "recurrent_delta": {"forward", "backward", "backward_R"},
    "delta_rnn": {"forward", "backward", "backward_rows", "backward_columns"},
}


def check(rule, *sizes, text=None, **how):
    """Run a rule forward and backward under the checker; return the reports."""
    run, x = sequence(rule, *sizes, dtype=torch.float32)
    with emulation(text=text, file=FILES[rule], check=True, **how) as reports:
        all_results(run, x, backend="emulated")
    return reports


def findings(reports):
    return [line for _, report in reports for line in report.findings]


@pytest.mark.parametrize(
    ("rule", "K", "V"),
    [("recurrent_delta", 8, 40), ("recurrent_delta", 40, 8), ("delta_rnn", 8, 40)],
)
@pytest.mark.parametrize("order", ["forward", "random"])
def test_there_is_no_complaint_about_our_kernels(rule, K, V, order):
    reports = check(rule, 2, T, 2, K, V, order=order)
    assert {name for name, _ in reports} == KERNELS[rule]
    assert findings(reports) == []


@pytest.mark.parametrize("rule", FILES)
def test_what_a_step_reads_is_free_of_bank_conflicts(rule):
    reports = check(rule, 1, 2, 1, 8, 40)
    ours = [report for name, report in reports if name in KERNELS["recurrent_delta"]]
    waves = [c.per_request for r in ours for c in r.costs if c.space == "shared"]
    assert max(waves) == 1


@pytest.mark.parametrize(("rule", "name"), BUGS)
def test_a_planted_bug_is_named_with_its_line(rule, name):
    bug = BY_RULE[rule][name]
    text = planted(bug, FILES[rule])
    reports = check(rule, 2, T, 2, 8, 40, text=text)
    line = line_of(text, bug.within or bug.kernel, bug.place)
    found = [f for f in findings(reports) if f"{bug.kind}:" in f]
    assert any(
        f"{FILES[rule]}:{line}" in f or f"at line {line}," in f for f in found
    ), (line, findings(reports))


@pytest.mark.parametrize("name", ONLY_NUMBERS)
def test_what_changes_only_numbers_is_found_by_the_comparison(name):
    rule, old, new = ONLY_NUMBERS[name]
    text = source(FILES[rule])
    assert text.count(old) == 1
    run, x = sequence(rule, 2, T, 2, 8, 40)
    ours = all_results(run, x, backend="loop")
    with emulation(text=text.replace(old, new), file=FILES[rule]):
        wrong = all_results(run, x, backend="emulated")
    gaps = [((a - b).norm() / b.norm()) for a, b in zip(wrong, ours, strict=True)]
    assert max(gaps) > 1e-2
