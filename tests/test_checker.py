"""The checker has no complaint about our kernels and finds every planted bug."""

import numpy as np
import pytest
import torch
from planted_bugs import BUGS, ONLY_NUMBERS, bug_sizes, line_of, planted
from rules import RULES, needs_gcc, sequence
from sequences import results

from srwm_lite.kernels.cpu.emulate import Module
from srwm_lite.kernels.cuda import emulation, source

pytestmark = needs_gcc
T = 11  # two turns of eight steps, the second one shorter
ORDERS = ("forward", "backward", "random")


def check(rule, *sizes, text=None, **how):
    """Run a rule forward and backward under the checker; return results and reports."""
    torch.manual_seed(0)
    run, x, W = sequence(rule, *sizes)
    with emulation(text=text, check=True, **how) as reports:
        found = results(run, x, W, backend="emulated")
    return found, dict(reports)


def findings(reports):
    return [line for report in reports.values() for line in report.findings]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sizes", [(8, 40), (40, 8), (64, 64)])
def test_there_is_no_complaint_about_our_kernels(rule, sizes):
    _, reports = check(rule, 2, T, 2, *sizes)
    names = {"forward", "backward_rows", "backward_columns"}
    gated = {"decay_gradient"} if rule == "gated_delta_rule" else set()
    assert set(reports) == names | gated
    assert findings(reports) == []


@pytest.mark.parametrize("order", ORDERS)
def test_nor_in_another_order(order):
    _, reports = check("gated_delta_rule", 2, T, 2, 8, 40, order=order)
    assert findings(reports) == []


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_named_with_its_line(name):
    bug = BUGS[name]
    text = planted(bug)
    _, reports = check("gated_delta_rule", 2, T, 2, *bug_sizes(bug), text=text)
    line = line_of(text, bug.within or bug.kernel, bug.place)
    found = [f for f in findings(reports) if f"{bug.kind}:" in f]
    assert any(
        f"delta_rule.cu:{line}" in f or f"at line {line}," in f for f in found
    ), (
        line,
        findings(reports),
    )


@pytest.mark.parametrize("name", ONLY_NUMBERS)
def test_what_changes_only_numbers_is_found_by_the_comparison(name):
    text = source("delta_rule.cu")
    assert text.count(ONLY_NUMBERS[name][0]) == 1
    found = []
    for changed in (text, text.replace(*ONLY_NUMBERS[name])):
        torch.manual_seed(0)
        run, x, W = sequence("gated_delta_rule", 2, T, 2, 8, 40)
        with emulation(text=changed):
            found.append(results(run, x, W, backend="emulated"))
    assert not all(map(torch.equal, *found))


TOYS = """
extern "C" __global__ void mixed(int* x)
{
    if (threadIdx.x == 3) x[0] = 1;
    else atomicAdd(x, 1);
}

extern "C" __global__ void shuffle_is_no_barrier(float* y)
{
    __shared__ float s[32];
    const int i = threadIdx.x;
    s[i] = i;
    const float a = __shfl_xor_sync(~0u, s[i], 1);
    y[i] = a + s[31 - i];
}

extern "C" __global__ void only_atomics(int* x) { atomicAdd(x + threadIdx.x % 2, 1); }

extern "C" __global__ void stride(const float* x, float* y, int step)
{
    __shared__ float s[32 * 33];
    const int i = threadIdx.x;
    s[i * step] = x[i * step];
    __syncthreads();
    y[i] = s[i * step];
}
"""


@pytest.fixture(scope="module")
def toys():
    return Module(TOYS, "toys.cu")


def test_an_atomic_and_a_plain_store_race(toys):
    report = toys.kernel("mixed").check((1,), (32,), (torch.zeros(1).int(),))
    assert report.findings[0] == (
        "race: thread (3,0,0) writes x[0] at toys.cu:4, which thread (2,0,0) writes at "
        "toys.cu:5, with no barrier between"
    )


def test_a_shuffle_orders_no_memory(toys):
    kernel = toys.kernel("shuffle_is_no_barrier")
    found = kernel.check((1,), (32,), (torch.zeros(32),)).findings
    assert any(f.startswith("race: ") and "toys.cu:14" in f for f in found)


def test_atomics_do_not_race(toys):
    report = toys.kernel("only_atomics").check((3,), (64,), (torch.zeros(2).int(),))
    assert str(report) == "no complaint"


@pytest.mark.parametrize(
    ("step", "sectors", "waves"), [(1, 4, 1), (2, 8, 2), (32, 32, 32), (33, 32, 1)]
)
def test_sectors_and_bank_conflicts_are_counted(toys, step, sectors, waves):
    x, y = torch.zeros(32 * 33), torch.zeros(32)
    report = toys.kernel("stride").check((1,), (32,), (x, y, np.int32(step)))
    costs = {(c.line, c.array, c.access): c for c in report.costs}
    assert costs[23, "x", "read"].per_request == sectors
    assert costs[23, "s", "write"].per_request == waves
    assert costs[25, "s", "read"].per_request == waves
    assert costs[25, "y", "write"].per_request == 4


def test_events_tell_who_did_what_and_when(toys):
    kernel = Module(
        'extern "C" __global__ void f(const float* x, float* y)\n'
        "{\n"
        "    __shared__ float a[4], b[4];\n"
        "    const int i = threadIdx.x;\n"
        "    b[i] = x[i];\n"
        "    __syncthreads();\n"
        "    y[i] = b[3 - i];\n"
        "}\n"
    ).kernel("f")
    report = kernel.check((2,), (4,), (torch.ones(4), torch.zeros(4)), events=100)
    assert len(report.events) == 2 * 4 * 4
    second = [e for e in report.events if e.block == 1 and e.thread == 1]
    assert [
        (e.barrier, e.space, e.array, e.index, e.access, e.line) for e in second
    ] == [
        (0, "global", "x", 1, "read", 5),
        (0, "shared", "b", 1, "write", 5),
        (1, "shared", "b", 2, "read", 7),
        (1, "global", "y", 1, "write", 7),
    ]
    few = kernel.check((2,), (4,), (torch.ones(4), torch.zeros(4)), events=3)
    assert few.events == report.events[:3]
