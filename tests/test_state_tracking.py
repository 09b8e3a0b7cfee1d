from functools import reduce
from operator import xor

import pytest
import torch

from srwm_lite.delta_rule import DeltaNet, delta_rule, delta_step
from srwm_lite.feature_maps import unit_norm
from srwm_lite.formal_languages import FormalLanguage
from srwm_lite.linear_attention import LinearAttention
from srwm_lite.models import (
    SequenceModel,
    SoftmaxAttention,
    recurrence_off,
    writes_off,
)
from srwm_lite.recurrent_delta import recurrent_delta
from srwm_lite.scores import sequence_accuracy, whole_accuracy
from srwm_lite.state_tracking import (
    count_brackets,
    eigenvalues,
    parity_by_recurrence,
    parity_by_reflection,
    recurrent_parity_model,
    reflecting_parity_model,
    remember_below_zero,
    reset_dyck_model,
    slope,
)

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
BACKENDS = pytest.mark.parametrize("backend", ["loop", "auto"])


def random_bits(B=4, T=1000):
    return torch.randint(2, (B, T))


def parities(bits):
    """Walk through the bits with the exclusive or of Python."""
    return torch.tensor(
        [[reduce(xor, row[: t + 1]) for t in range(len(row))] for row in bits.tolist()]
    )


def stack_machine(symbols):
    """Return the depth and whether a bracket closed nothing, after every symbol."""
    stack, dead, seen = [], False, []
    for symbol in symbols:
        if symbol == 2:
            stack, dead = [], False
        elif symbol == 0:
            stack.append("(")
        elif stack:
            stack.pop()
        else:
            dead = True
        seen.append((len(stack), dead))
    return seen


def number(y):
    return y[..., 0, 0]


@pytest.mark.equation("eq:eigenvalues")
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 1.7, 2.0])
def test_eigenvalues_are_those_of_the_matrix_that_a_step_applies(beta):
    k, W = torch.randn(1, 1, 5).double(), torch.randn(1, 1, 3, 5).double()
    strength = torch.full((1, 1), beta).double()
    P = torch.eye(5).double() - beta * torch.outer(k[0, 0], k[0, 0])
    after, _ = delta_step(W, k, k, torch.zeros(1, 1, 3).double(), strength)
    torch.testing.assert_close(after, W @ P)
    torch.testing.assert_close(eigenvalues(k, strength)[0, 0], torch.linalg.eigvalsh(P))


@DTYPES
@BACKENDS
@pytest.mark.parametrize("logit", [20.0, 200.0])
@pytest.mark.equation("eq:parity-recurrent")
def test_recurrence_holds_the_parity_of_long_strings(dtype, backend, logit):
    bits = random_bits()
    program = parity_by_recurrence(bits, logit=logit, dtype=dtype)
    y, _ = recurrent_delta(*program, backend=backend)
    assert y.dtype == dtype
    wanted = 2 * parities(bits).to(dtype)
    torch.testing.assert_close(number(y), wanted, atol=1e-6, rtol=0)


def test_a_hundred_thousand_bits_are_no_harder():
    bits = random_bits(1, 100_000)
    y, _ = recurrent_delta(*parity_by_recurrence(bits))
    odd, expected = number(y)[0] > 1, 0
    for bit, answer in zip(bits[0].tolist(), odd.tolist(), strict=True):
        expected ^= bit
        assert answer == expected


@pytest.mark.parametrize("logit", [20.0, 6.0])
def test_unsure_logits_hold_parity_as_long_as_runs_of_zeros_are_short(logit):
    bits = random_bits()
    y, _ = recurrent_delta(*parity_by_recurrence(bits, logit=logit))
    assert torch.equal((number(y) > 1).long(), parities(bits))
    one_and_zeros = torch.tensor([[1] + 2000 * [0]])
    y, _ = recurrent_delta(*parity_by_recurrence(one_and_zeros, logit=logit))
    assert (number(y)[0, -1] > 1) == (logit > 10)


@pytest.mark.equation("eq:parity-slope")
@pytest.mark.parametrize("high", [0.1, 1.0, 2.0, 5.0])
def test_two_ones_shrink_an_error_by_the_slope(high):
    high = float(high)
    program = parity_by_recurrence(torch.ones(1, 2).long(), high, dtype=torch.float64)
    start = torch.full((1, 1, 1), high, dtype=torch.float64, requires_grad=True)
    y, _ = recurrent_delta(*program, (start[..., None], start))
    torch.testing.assert_close(y[0, -1, 0, 0].item(), high)
    (found,) = torch.autograd.grad(y[0, -1, 0, 0], start)
    torch.testing.assert_close(found.item(), slope(high))
    assert 0 < slope(high) < 1


@DTYPES
@BACKENDS
def test_reflection_holds_the_parity_exactly(dtype, backend):
    bits = random_bits()
    y, _ = delta_rule(*parity_by_reflection(bits, dtype), backend=backend)
    assert torch.equal(number(y), parities(bits).to(dtype))


@DTYPES
@BACKENDS
def test_depth_is_counted_and_reset_exactly(dtype, backend):
    x, _ = FormalLanguage("reset Dyck-1", 1000, 1000).sample(3)
    program = count_brackets(x, dtype=dtype)
    assert 0 <= program[3].min() <= program[3].max() <= 1
    y, _ = delta_rule(*program, backend=backend)
    for row, symbols in zip(number(y).tolist(), x.tolist(), strict=True):
        assert row == [depth for depth, _ in stack_machine(symbols)]


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 26), (torch.float64, 55)])
def test_the_count_is_exact_from_a_power_on(dtype, least):
    mountain = torch.tensor([1000 * [0] + 1000 * [1]])
    depth = torch.cat([torch.arange(1, 1001), torch.arange(999, -1, -1)]).to(dtype)
    for power, exact in ((100, True), (least, True), (least - 2, False)):
        y, _ = delta_rule(*count_brackets(mountain, power, dtype), backend="loop")
        assert torch.equal(number(y)[0], depth) == exact
    # what is lost is the fraction 2^-power of the depth, at every step
    y, _ = delta_rule(*count_brackets(mountain, 24, torch.float64))
    lost = (depth - number(y)[0]).abs().max().item()
    torch.testing.assert_close(lost, 1000**2 / 2**24, rtol=0.01, atol=0)


def test_two_memories_know_when_a_bracket_closed_nothing():
    x = torch.randint(3, (8, 500))
    depth = number(delta_rule(*count_brackets(x))[0])
    program = remember_below_zero(x, depth)
    dead = number(delta_rule(*program)[0])
    assert set(program[3].unique().tolist()) == {0, 1}
    for b in range(8):
        for t, (height, stopped) in enumerate(stack_machine(x[b].tolist())):
            assert dead[b, t] == stopped
            assert stopped or depth[b, t] == height


@DTYPES
@pytest.mark.parametrize(
    ("build", "name"),
    [
        (recurrent_parity_model, "parity"),
        (reflecting_parity_model, "parity"),
        (reset_dyck_model, "reset Dyck-1"),
    ],
)
def test_whole_models_with_weights_set_by_hand_make_no_mistake(build, name, dtype):
    model, task = build().to(dtype), FormalLanguage(name, 1000, 1000)
    x, target = task.sample(4)
    assert whole_accuracy(model, x, target) == 1
    with writes_off(model):
        assert sequence_accuracy(model, x, target) < task.ceiling + 0.05


def test_without_recurrence_the_parity_model_is_lost():
    model, task = recurrent_parity_model(), FormalLanguage("parity", 500, 500)
    x, target = task.sample(8)
    with recurrence_off(model):
        assert sequence_accuracy(model, x, target) < 0.6
    assert sequence_accuracy(model, x, target) == 1


@pytest.mark.parametrize("kind", [LinearAttention, SoftmaxAttention, DeltaNet])
def test_a_sum_does_not_know_what_came_before_a_reset(kind):
    words = torch.eye(3)[torch.tensor([[0, 2, 0, 1], [2, 0, 0, 1]])]  # (#() and #(()
    layer = kind(6, 2).double()
    y, _ = layer(words.double() @ torch.randn(3, 6).double())
    same = torch.allclose(y[0, -1], y[1, -1], atol=1e-9)
    assert same == (kind is not DeltaNet)


@pytest.mark.parametrize("beta", [0.05, 0.5, 0.99])
def test_below_one_equal_inputs_move_the_answer_one_way_and_then_no_more(beta):
    q, k = unit_norm(torch.randn(2, 1, 1, 1, 4).double()).expand(2, 1, 2000, 1, 4)
    v = torch.randn(1, 1, 1, 3).double().expand(1, 2000, 1, 3)
    strength = torch.full((1, 2000, 1), beta).double()
    y, _ = delta_rule(q, k, v, strength, torch.randn(1, 1, 3, 4).double())
    step = y[0, :, 0].diff(dim=0)
    moving = step[step.abs().amax(dim=1) > 1e-9]
    assert len(moving) < 1000
    assert (moving.sign() == moving[0].sign()).all()
    torch.testing.assert_close(y[0, -1], y[0, -500])


@pytest.mark.parametrize("layer", [DeltaNet, LinearAttention, SoftmaxAttention])
def test_no_stack_of_such_layers_follows_ones_for_ever(layer):
    model = SequenceModel(2, 2, 8, layer=layer, num_layers=3, num_heads=2).double()
    y, _ = model(torch.ones(1, 1500).long())
    torch.testing.assert_close(y[:, -1], y[:, -2], atol=1e-6, rtol=0)
    swinging, _ = reflecting_parity_model()(torch.ones(1, 1500).long())
    assert (swinging[0, -1] - swinging[0, -2]).abs().max() > 1


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"from 0 to number of bits - 1 = 1"):
        parity_by_recurrence(torch.tensor([[2]]))
    with pytest.raises(ValueError, match=r"bits must hold integers, got torch.float32"):
        parity_by_reflection(torch.ones(1, 1))
    for bad in ({"high": 0}, {"logit": -1.0}, {"high": float("inf")}):
        with pytest.raises(ValueError, match="must be positive and finite"):
            parity_by_recurrence(torch.tensor([[1]]), **bad)
    with pytest.raises(ValueError, match="high must be positive and finite: got -2"):
        slope(-2)
    with pytest.raises(ValueError, match=r"number of symbols - 1 = 2: got 0 to 3"):
        count_brackets(torch.tensor([[0, 3]]))
    with pytest.raises(ValueError, match="power must be from 0 to 100: got 200"):
        count_brackets(torch.tensor([[0]]), 200)
    with pytest.raises(TypeError, match=r"depth must be a torch.Tensor"):
        remember_below_zero(torch.tensor([[0]]), 1)
    with pytest.raises(TypeError, match=r"beta must be a torch.Tensor"):
        eigenvalues(torch.ones(2), 1.0)
