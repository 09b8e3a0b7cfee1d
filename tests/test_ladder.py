"""Every step of the ladder computes the delta rule; the checker shows what it gains."""

import pytest
import torch
from rules import needs_gcc, sequence

from srwm_lite.kernels import ladder
from srwm_lite.kernels.cuda import emulation

pytestmark = needs_gcc
ORDERS = ("forward", "backward", "random")
STEP = pytest.mark.parametrize("step", ladder.STEPS)


@pytest.mark.parametrize(("K", "V"), [(4, 4), (20, 33), (64, 64)])
@STEP
def test_a_step_equals_the_loop_in_every_order(step, K, V):
    run, x, W = sequence("delta_rule", 2, 7, 3, K, V)
    loop = run(*(u.double() for u in x), W.double(), backend="loop")
    for order in ORDERS:
        with emulation(order=order):
            found = ladder.run(step, *x, W)
        for a, b in zip(found, loop, strict=True):
            torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5)


@STEP
def test_a_step_is_short_and_says_its_equation(step):
    text = ladder.text(step)
    assert len(text.splitlines()) < 60
    assert "W = W + beta (v - W k) ⊗ k\n//     y = W q" in text
    assert "#include" not in text


def costs(step, K, V):
    """Return what a step asks of each array, as units per request, and its findings."""
    _, x, W = sequence("delta_rule", 2, 5, 2, K, V)
    with emulation(check=True) as reports:
        ladder.run(step, *x, W)
    ((_, report),) = reports
    assert report.findings == []
    found = {}
    for cost in report.costs:
        key = cost.space, cost.array
        found[key] = max(found.get(key, 0), cost.per_request)
    return found


TABLE = {  # the most sectors (global) or wavefronts (shared) that a request takes
    "1_naive": {("global", "W_T"): 32, ("global", "q"): 1},
    "2_shared": {("global", "W_T"): 32, ("shared", "w"): 32, ("global", "q"): 4},
    "3_padded": {("global", "W_T"): 32, ("shared", "w"): 1, ("global", "q"): 4},
    "4_shuffles": {("global", "W_T"): 4, ("shared", "w"): 1, ("global", "q"): 4},
    "5_registers": {("global", "W_T"): 32, ("shared", "q_s"): 1, ("global", "q"): 4},
}


@STEP
def test_the_table_of_costs(step):
    found = costs(step, 32, 32)
    assert {key: found[key] for key in TABLE[step]} == TABLE[step]


def test_only_one_column_of_padding_lies_between_steps_two_and_three():
    def code(step):
        lines = ladder.text(step).splitlines()
        return [line for line in lines if not line.startswith("//")]

    pairs = zip(code("2_shared"), code("3_padded"), strict=True)
    ((old, new),) = [pair for pair in pairs if pair[0] != pair[1]]
    assert old.replace("w[V][K]", "w[V][K + 1]") == new


def test_w_leaves_the_chip_at_every_step_only_in_the_first():
    def traffic(step):
        _, x, W = sequence("delta_rule", 1, 9, 1, 32, 32)
        with emulation(check=True) as reports:
            ladder.run(step, *x, W)
        return sum(c.lanes for c in reports[0][1].costs if c.array in ("W", "W_T"))

    assert traffic("1_naive") == (2 + 9 * 4) * 32 * 32
    assert all(traffic(step) == 2 * 32 * 32 for step in ladder.STEPS[1:])


def test_a_missing_barrier_is_named_and_changes_the_result():
    text = ladder.text("2_shared")
    changed = text.replace("        __syncthreads();\n", "", 1)
    assert changed != text
    run, x, W = sequence("delta_rule", 1, 5, 1, 32, 32)
    with emulation(text=changed, check=True) as reports:
        ladder.run("2_shared", *x, W)
    line = text[: text.index("k_t[j] = k[now")].count("\n") + 1
    found = reports[0][1].findings
    assert any(f.startswith("race: ") and f"2_shared.cu:{line}" in f for f in found)
    with emulation(text=changed):
        y, _ = ladder.run("2_shared", *x, W)
    assert not torch.allclose(y, run(*x, W, backend="loop")[0], equal_nan=True)


def test_an_unknown_step_is_answered_with_the_names():
    x = sequence("delta_rule", 1, 1, 1, 4, 4)
    with pytest.raises(ValueError, match="no step '6_tensor': use one of 1_naive, 2"):
        ladder.run("6_tensor", *x[1], x[2])


def test_the_ladder_has_no_backward():
    _, x, W = sequence("delta_rule", 1, 1, 1, 4, 4)
    y, _ = ladder.run("5_registers", *x, W.requires_grad_())
    assert not y.requires_grad
