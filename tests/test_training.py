import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from srwm_lite import training
from srwm_lite.feature_maps import dpfp
from srwm_lite.models import AssociativeMemory
from srwm_lite.tasks import AssociativeRetrieval, retrieval_accuracy, retrieval_loss
from srwm_lite.training import (
    DivergedError,
    evaluate,
    fit,
    over_seeds,
    warmup_cosine,
    warmup_linear,
)

TASK = AssociativeRetrieval(4)


class Noisy(nn.Module):
    """A model with dropout, so that its own randomness matters."""

    def __init__(self, size=3):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, size), nn.Dropout(0.5), nn.Linear(size, 1)
        )

    def forward(self, x):
        return self.net(x)[:, 0]


def model(size=3):
    torch.manual_seed(7)
    return Noisy(size)


def sample(generator):
    return (torch.randn(8, 3, generator=generator),)


def loss(net, x):
    return (net(x) - x.sum(dim=-1)).square().mean()


def run(net=None, **options):
    net = net or model()
    history = fit(net, sample, loss, **{"steps": 20, "lr": 0.01, **options})
    return history, net.state_dict()


def assert_same_bits(one, other):
    (history, weights), (history2, weights2) = one, other
    assert torch.equal(history.losses, history2.losses)
    assert all(torch.equal(weights[name], weights2[name]) for name in weights)


class Interrupt:
    """Raise an error in the call number `when` of a function."""

    def __init__(self, function, when, error=KeyboardInterrupt):
        self.function, self.when, self.error = function, when, error

    def __call__(self, *args, **options):
        self.when -= 1
        if self.when == 0:
            raise self.error
        return self.function(*args, **options)


def test_training_learns():
    memory = AssociativeMemory(4, d_key=8)
    history = fit(
        memory, lambda g: TASK.sample(32, g), retrieval_loss, steps=300, lr=1e-2
    )
    assert history.losses[-20:].mean() < 0.1 < history.losses[:20].mean()
    assert history.steps == len(history.losses) == 300
    assert history.seconds > 0


def test_one_step_is_a_step_of_adam():
    net, twin = nn.Linear(3, 1), nn.Linear(3, 1)
    twin.load_state_dict(net.state_dict())
    fit(net, sample, loss, steps=1, lr=0.1, seed=5)
    optimiser = torch.optim.Adam(twin.parameters(), lr=0.1)
    loss(twin, *sample(torch.Generator().manual_seed(5))).backward()
    optimiser.step()
    assert torch.equal(net.weight, twin.weight)


def test_copies_learn_as_if_alone():
    def batches(pick):
        def draw(generator):
            return [x[pick] for x in TASK.sample((3, 8), generator)]

        return draw

    options = {"steps": 30, "lr": 0.01}
    together = AssociativeMemory(4, d_key=3, copies=3)
    start = {name: p.clone() for name, p in together.state_dict().items()}
    losses = fit(together, batches(slice(None)), retrieval_loss, **options).losses
    assert losses.shape == (30, 3)
    for i in range(3):
        alone = AssociativeMemory(4, d_key=3)
        alone.load_state_dict({name: p[i : i + 1] for name, p in start.items()})
        history = fit(alone, batches(i), retrieval_loss, **options)
        torch.testing.assert_close(history.losses, losses[:, i], rtol=1e-3, atol=1e-4)


def test_the_seed_decides_batches_and_noise():
    assert_same_bits(run(seed=3), run(seed=3))
    assert not torch.equal(run(seed=3)[0].losses, run(seed=4)[0].losses)


def test_the_randomness_outside_is_left_alone():
    net, before = model(), torch.get_rng_state()
    run(net)
    evaluate(net, sample, loss)
    over_seeds(lambda seed: torch.rand(1), [1, 2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("when", [1, 5, 13, 20])
@pytest.mark.parametrize("where", ["sample", "loss", "backward", "optimiser", "save"])
def test_an_interrupted_run_ends_with_the_same_bits(
    tmp_path, monkeypatch, capsys, where, when
):
    whole, path = run(), tmp_path / "run.pt"
    with monkeypatch.context() as patch:
        if where == "sample":
            patch.setattr(torch, "randn", Interrupt(torch.randn, when))
        elif where in ("loss", "backward"):
            name = {"loss": "square"}.get(where, where)
            broken = Interrupt(getattr(torch.Tensor, name), when)
            patch.setattr(torch.Tensor, name, lambda x: broken(x))
        elif where == "optimiser":
            adam = torch.optim.Adam.step
            torn = Interrupt(lambda: None, when)
            patch.setattr(torch.optim.Adam, "step", lambda x: (adam(x), torn())[0])
        else:
            patch.setattr(torch, "save", Interrupt(torch.save, -(-when // 5)))
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint=path, every=5)
    kept = path.exists()
    assert_same_bits(run(checkpoint=path, every=5), whole)
    assert ("goes on from" in capsys.readouterr().out) == kept
    assert kept or when == 1 or (where, when) == ("optimiser", 5)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_loses_no_whole_step(tmp_path, capsys, monkeypatch, error):
    path = tmp_path / "run.pt"
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", Interrupt(torch.randn, 14, error))
        with pytest.raises(error):
            run(checkpoint=path)
    run(checkpoint=path)
    assert f"goes on from {path} at step 13 of 20" in capsys.readouterr().out


def test_a_killed_process_leaves_a_whole_checkpoint(tmp_path):
    program = f"""
import os, torch, test_training as t
backward = torch.Tensor.backward
def mortal(x, left=[9]):
    left[0] -= 1
    return backward(x) if left[0] else os._exit(9)
torch.Tensor.backward = mortal
t.run(checkpoint={str(tmp_path / "x")!r}, every=3)
"""
    env = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    killed = subprocess.run([sys.executable, "-c", program], env=env, check=False)
    assert killed.returncode == 9
    assert_same_bits(run(checkpoint=tmp_path / "x", every=3), run())


def test_a_finished_run_is_read_and_may_be_prolonged(tmp_path):
    path = tmp_path / "new folder" / "run.pt"
    assert_same_bits(run(checkpoint=path, steps=12), run(steps=12))
    again = run(checkpoint=path, steps=12)
    assert_same_bits(again, run(steps=12))
    assert again[0].seconds > 0
    assert_same_bits(run(checkpoint=path), run())


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    run(checkpoint=path)
    with pytest.raises(ValueError, match=r"(?s)run\.pt belongs .*lr=0.01.*lr=0.02"):
        run(checkpoint=path, lr=0.02)
    with pytest.raises(ValueError, match=r"(?s)seed=0.*wanted.*seed=1.*another path"):
        run(checkpoint=path, seed=1)
    with pytest.raises(ValueError, match=r"(?s)features=3.*wanted.*features=4"):
        run(model(4), checkpoint=path)
    with pytest.raises(ValueError, match="step 20; wanted at most step 19; give"):
        run(checkpoint=path, steps=19)


def test_models_that_differ_only_in_their_feature_map_are_kept_apart(tmp_path):
    def train(**options):
        return fit(
            AssociativeMemory(4, d_key=4, **options),
            lambda g: TASK.sample(8, g),
            retrieval_loss,
            steps=2,
            checkpoint=tmp_path / "run.pt",
        )

    train()
    train()
    with pytest.raises(ValueError, match=r"=elu_plus_one,.* wanted .*=dpfp,"):
        train(feature_map=dpfp)
    with pytest.raises(ValueError, match=r"rule='sum'.* wanted .*rule='softmax'"):
        train(rule="softmax")


def test_a_run_stops_when_the_loss_is_low_enough(tmp_path):
    path, net = tmp_path / "run.pt", nn.Linear(3, 1)
    options = {"lr": 0.1, "every": 10, "stop": 0.05, "checkpoint": path}

    def error(net, x):
        return (net(x)[:, 0] - x.sum(dim=-1)).square().mean()

    history = fit(net, sample, error, steps=1000, **options)
    assert history.steps < 1000
    assert history.steps % 10 == 0
    assert history.losses[-10:].mean() < 0.05 <= history.losses[-20:-10].mean()
    assert fit(net, sample, error, steps=1000, **options).steps == history.steps


def test_a_loss_that_is_not_finite_stops_the_run():
    net = nn.Linear(3, 1)

    def explode(net, x, left=[4]):  # noqa: B006
        left[0] -= 1
        return loss(net, x) if left[0] else loss(net, x) * torch.nan

    with pytest.raises(
        DivergedError, match=r"nan at step 3: lower lr \(0.5\), or norma"
    ):
        fit(net, sample, explode, steps=20, lr=0.5)
    assert net.weight.isfinite().all()


def test_the_delta_rule_without_normalised_keys_diverges():
    memory = AssociativeMemory(8, d_key=64, rule="delta", normalise=False)
    task = AssociativeRetrieval(8, replace=True, length=200)
    with pytest.raises(DivergedError, match=r"at step 0: .* normalise the keys"):
        fit(memory, lambda g: task.sample(8, g), retrieval_loss, steps=5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"steps": 0}, "steps must be a whole number, positive: got 0"),
        ({"steps": 2.5}, "steps must be a whole number, positive: got 2.5"),
        ({"every": 0}, "every must be a whole number, positive: got 0"),
        ({"sample": TASK}, r"sample must be .* got AssociativeRetrieval.*lambda gen"),
        ({"loss": lambda net, x: None}, "loss must return a tensor: got NoneType; "),
        ({"loss": lambda net, x: torch.ones(2, requires_grad=True)}, "loss has no gra"),
        ({"loss": lambda net, x: x.mean()}, "loss has no gradient: compute it from"),
    ],
)
def test_bad_arguments_are_named(bad, message):
    options = {"sample": sample, "loss": loss, "steps": 2, **bad}
    with pytest.raises((TypeError, ValueError), match=message):
        fit(model(), **options)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda net, x: net(0 * x).sqrt().sum(), "gradient is (nan|inf)"),
        (lambda net, x: (1e30 * net(x)).sum(), "gradient is inf at step 0: lower"),
    ],
)
def test_a_gradient_that_is_not_finite_changes_nothing(loss, message):
    net = nn.Linear(3, 1, bias=False)
    before = net.weight.detach().clone()
    with pytest.raises(DivergedError, match=message):
        fit(net, sample, loss, steps=2)
    assert torch.equal(net.weight, before)


def test_averages_over_nothing_are_refused():
    with pytest.raises(ValueError, match="batches must be a whole number, positive"):
        evaluate(model(), sample, loss, batches=0)
    with pytest.raises(ValueError, match="seeds is empty: give at least one"):
        over_seeds(torch.tensor, [])


@pytest.mark.parametrize("mode", [True, False])
def test_evaluation_leaves_no_trace(mode):
    net = model().train(mode)
    modes = []

    def metric(net, x):
        modes.append(net.training)
        out = net(x)
        assert not out.requires_grad
        return out.mean()

    score = evaluate(net, sample, metric, batches=3)
    assert torch.equal(evaluate(net, sample, metric, batches=3), score)
    assert modes == [False] * 6
    assert net.training is mode


def test_evaluation_gives_the_mode_back_after_an_error():
    net = model()
    with pytest.raises(ZeroDivisionError):
        evaluate(net, sample, lambda net, x: 1 / 0)
    assert net.training


def test_evaluation_sees_other_batches_than_training():
    seen = []

    def keep(net, x):
        seen.append(x)
        return loss(net, x)

    fit(model(), sample, keep, steps=1, seed=1)
    evaluate(model(), sample, keep, batches=2, seed=1)
    assert not any(torch.equal(seen[0], x) for x in seen[1:])
    assert not torch.equal(seen[1], seen[2])


def test_evaluation_averages_over_batches_for_each_copy():
    memory = AssociativeMemory(4, copies=3)
    score = evaluate(
        memory, lambda g: TASK.queries(5, g), retrieval_accuracy, batches=2
    )
    assert score.shape == (3,)


def test_over_seeds_stacks_what_each_seed_gives():
    assert over_seeds(lambda seed: [seed, 10 * seed], [1, 2]).tolist() == [
        [1, 10],
        [2, 20],
    ]
    draws = over_seeds(lambda seed: torch.rand(3), [1, 2, 1])
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])


@pytest.mark.parametrize("shown", ["0", "1"])
def test_the_bar_can_be_switched_off(monkeypatch, capsys, shown):
    monkeypatch.setenv("SRWM_LITE_PROGRESS", shown)
    for _ in training.progress(range(3)):
        pass
    assert bool(capsys.readouterr().err) == (shown == "1")


def by_hand(clip, schedule, steps):
    """Train as `fit` does, with torch's own clipping and its own scheduler."""
    net, generator = model(), torch.Generator().manual_seed(0)
    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, schedule)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.MODEL)
        for _ in range(steps):
            optimiser.zero_grad()
            loss(net, *sample(generator)).backward()
            nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimiser.step()
            rate.step()
    return net


@pytest.mark.parametrize("shape", [warmup_cosine, warmup_linear])
def test_clipping_and_schedule_are_those_of_torch(shape):
    schedule = shape(12, warmup=3, last=0.1)
    _, weights = run(steps=12, clip=0.5, schedule=schedule)
    wanted = by_hand(0.5, schedule, 12).state_dict()
    for name, w in wanted.items():
        torch.testing.assert_close(weights[name], w, rtol=1e-4, atol=1e-6)
    plain = run(steps=12)[1]
    assert not any(torch.equal(weights[name], plain[name]) for name in plain)


def test_an_interrupt_keeps_clip_and_schedule(tmp_path, monkeypatch):
    options = {"clip": 0.3, "schedule": warmup_cosine(20, 5)}
    whole, path = run(**options), tmp_path / "run.pt"
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", Interrupt(torch.randn, 9))
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint=path, **options)
    assert_same_bits(run(checkpoint=path, **options), whole)
    for other in ({"clip": 0.4}, {"schedule": warmup_cosine(21, 5)}, {"clip": None}):
        with pytest.raises(ValueError, match=r"(?s)belongs to another run: .*wanted"):
            run(checkpoint=path, **options | other)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"clip": 0}, "clip must be positive: got 0; leave it out"),
        ({"schedule": 0.5}, "schedule must be a function of the step: got 0.5; use"),
    ],
)
def test_bad_clips_and_schedules_are_named(bad, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run(**bad)
