import math

import pytest
import torch
from sequences import assert_cut_anywhere
from torch.autograd import gradcheck
from torch.nn import functional

from srwm_lite import training
from srwm_lite.models import writes_off
from srwm_lite.online_gradient import (
    OnlineAdam,
    OnlineSGD,
    backpropagate,
    predict,
    root,
)
from srwm_lite.vsml_learner import online_loss

LEARNERS = [OnlineSGD, OnlineAdam]
CASES = [(kind, hidden) for kind in LEARNERS for hidden in (0, 6)]


def stream(B=2, T=7, inputs=4, classes=3):
    x = torch.randn(B, T, inputs, dtype=torch.float64)
    labels = torch.randint(classes, (B, T))
    return x, functional.one_hot(labels, classes).double()


def made(kind, hidden=0, **options):
    return kind(hidden, **options).double()


def by_torch(learner, optimiser, x, targets, **options):
    """Train the same weights with autograd and an optimiser of torch, one task."""
    weights = [w[0].clone().requires_grad_() for w in learner.weights]
    steps, logits = optimiser(weights, **options), []
    for x_t, target in zip(x[0], targets[0], strict=True):
        y = x_t
        for i in range(0, len(weights), 2):
            y = weights[i] @ (y.tanh() if i else y) + weights[i + 1]
        logits.append(y.detach())
        steps.zero_grad()
        functional.cross_entropy(y, target).backward()
        steps.step()
    return torch.stack(logits), weights


def test_one_step_by_hand():
    # From zero weights all of 2 classes get 1/2. The error is (-1/2, 1/2), and with
    # rate 1/10 and x = (2, 0) the first column of W becomes (1/10, -1/10).
    x, target = torch.tensor([[[2.0, 0]]]), torch.tensor([[[1.0, 0]]])
    logits, (seen, (W, b), _) = OnlineSGD(rate=0.1)(x, target)
    assert logits.tolist() == [[[0, 0]]]
    assert seen == 1
    torch.testing.assert_close(W[0], torch.tensor([[0.1, 0], [-0.1, 0]]))
    torch.testing.assert_close(b[0], torch.tensor([0.05, -0.05]))


def test_the_second_step_is_as_long_as_decay_says():
    # Adam's first two steps on a gradient of one sign are as long as the rate.
    x, target = torch.ones(1, 2, 1), torch.tensor([[[1.0, 0]] * 2])
    learner = OnlineAdam(rate=0.001)
    lengths = []
    for decay in (0.0, 1.0):
        learner.decay.data.fill_(decay)
        _, one = learner(x[:, :1], target[:, :1])
        _, two = learner(x[:, 1:], target[:, 1:], one)
        lengths.append((two.weights[0] - one.weights[0])[0, 0, 0].item())
    assert lengths == [pytest.approx(1e-3, rel=1e-3), pytest.approx(5e-4, rel=1e-3)]


@pytest.mark.parametrize("hidden", [0, 6])
def test_the_gradient_is_that_of_autograd(hidden):
    x, targets = stream(T=1)
    weights = [
        torch.randn_like(w, requires_grad=True)
        for w in made(OnlineSGD, hidden).start(2, 4, 3).weights
    ]
    heard, logits = predict(weights, x[:, 0])
    loss = functional.cross_entropy(logits, targets[:, 0], reduction="sum")
    ours = backpropagate(weights, heard, logits.softmax(dim=-1) - targets[:, 0])
    for our, their in zip(ours, torch.autograd.grad(loss, weights), strict=True):
        torch.testing.assert_close(our, their, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "hidden"), CASES)
def test_it_does_what_the_optimiser_of_torch_does(kind, hidden):
    x, targets = stream(B=1, T=30)
    x[..., 0] = 0  # a pixel that is always black
    learner = made(kind, hidden, rate=0.07)
    start = learner.start(1, 4, 3)
    optimiser = torch.optim.Adam if kind is OnlineAdam else torch.optim.SGD
    wanted, weights = by_torch(start, optimiser, x, targets, lr=0.07)
    learner.log_rate.data.fill_(math.log(0.07))  # was rounded to float32
    logits, end = learner(x, targets, start)
    torch.testing.assert_close(logits[0], wanted, rtol=0, atol=1e-10)
    for w, their in zip(end.weights, weights, strict=True):
        torch.testing.assert_close(w[0], their.detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("kind", "hidden"), CASES)
def test_an_answer_is_made_before_its_label_is_known(kind, hidden):
    x, targets = stream()
    learner = made(kind, hidden)
    start = learner.start(2, 4, 3)
    logits, _ = learner(x, targets, start)
    other = targets.clone()
    other[:, 3] = targets[:, 3].roll(1, dims=-1)
    changed = learner(x, other, start)[0]
    assert torch.equal(changed[:, :4], logits[:, :4])
    assert changed[:, 4:].ne(logits[:, 4:]).any(dim=-1).all()
    other = x.clone()
    other[:, 3] += 1
    changed = learner(other, targets, start)[0]
    assert torch.equal(changed[:, :3], logits[:, :3])
    assert changed[:, 4:].ne(logits[:, 4:]).any(dim=-1).all()


@pytest.mark.parametrize(("kind", "hidden"), CASES)
def test_a_stream_can_be_cut_anywhere(kind, hidden):
    learner, inputs = made(kind, hidden), stream()
    start = learner.start(2, 4, 3)
    assert_cut_anywhere(lambda x, t, state=start: learner(x, t, state), inputs)


@pytest.mark.parametrize(("kind", "hidden"), CASES)
def test_tasks_do_not_hear_of_each_other(kind, hidden):
    learner, (x, targets) = made(kind, hidden), stream(B=3)
    start = learner.start(3, 4, 3)
    logits, _ = learner(x, targets, start)
    changed = learner(torch.cat([x[:1], x[1:] + 1]), targets, start)[0]
    torch.testing.assert_close(changed[0], logits[0], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(changed[1:], logits[1:])


@pytest.mark.parametrize(("kind", "hidden"), CASES)
def test_without_writes_the_labels_do_not_matter(kind, hidden):
    learner, (x, targets) = made(kind, hidden), stream()
    start = learner.start(2, 4, 3)
    with writes_off(learner):
        logits, end = learner(x, targets, start)
        assert torch.equal(learner(x, targets.flip(1), start)[0], logits)
    for before, after in zip(start.weights, end.weights, strict=True):
        assert torch.equal(before, after)
    assert not torch.allclose(learner(x, targets, start)[0], logits)


@pytest.mark.parametrize(("kind", "hidden"), CASES)
def test_the_gradient_of_the_rates(kind, hidden):
    # the first pixel is always black, and Adam must not divide by its zero
    learner, (x, targets) = made(kind, hidden), stream(T=4)
    x[..., 0] = 0
    start = learner.start(2, 4, 3)

    def loss(log_rate, decay):
        slow = {"log_rate": log_rate, "decay": decay}
        learn = torch.func.functional_call
        return online_loss(lambda *s: learn(learner, slow, (*s, start)), x, targets)

    rates = torch.tensor([-2.0, 0.3], dtype=torch.float64, requires_grad=True)
    assert gradcheck(loss, tuple(rates.unbind()))
    (slopes,) = torch.autograd.grad(loss(*rates.unbind()), rates)
    assert slopes.isfinite().all()
    assert slopes.all()


def test_root_has_a_slope_everywhere():
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    y = root(x)
    y.sum().backward()
    assert y.tolist() == [0, 2]
    assert x.grad.tolist() == [0, 0.25]


@pytest.mark.parametrize("kind", LEARNERS)
def test_training_finds_a_better_rate(kind):
    teacher = torch.randn(4, 5)

    def sample(generator):
        x = torch.randn(8, 15, 5, generator=generator)
        return x, functional.one_hot((x @ teacher.T).argmax(dim=-1), 4).float()

    learner = kind(rate=1e-3)
    history = training.fit(learner, sample, online_loss, steps=40, lr=0.1)
    assert history.losses[-5:].mean() < history.losses[:5].mean() - 0.1
    assert learner.log_rate > math.log(1e-3) + 1


def test_the_size_is_that_of_the_stream():
    learner = made(OnlineSGD, 5)
    for inputs, classes in ((4, 3), (9, 2)):
        logits, state = learner(*stream(inputs=inputs, classes=classes))
        assert logits.shape == (2, 7, classes)
        assert [tuple(w.shape[1:]) for w in state.weights] == [
            (5, inputs),
            (5,),
            (classes, 5),
            (classes,),
        ]


def test_hidden_weights_are_drawn_for_every_task():
    W, a, V, b = OnlineSGD(200).start(2, 50, 10).weights
    assert not torch.allclose(W[0], W[1])
    assert not a.any()
    assert not b.any()
    assert W.std() == pytest.approx(50**-0.5, rel=0.05)
    assert V.std() == pytest.approx(200**-0.5, rel=0.05)


@pytest.mark.parametrize("kind", LEARNERS)
def test_bad_arguments_are_refused(kind):
    with pytest.raises(ValueError, match="rate must be positive: got -1"):
        kind(rate=-1)
    with pytest.raises(ValueError, match="hidden must be a whole number, 0 or more"):
        kind(hidden=-1)
    learner, (x, targets) = made(kind), stream()
    with pytest.raises(ValueError, match=r"agree in \(B, T\): got x \(2, 7, 4\)"):
        learner(x, targets[:, 1:])
    with pytest.raises(ValueError, match="log_rate and x must share dtype"):
        kind()(x, targets)
    _, state = learner(x, targets)
    words = r"weights for \(B, I, O\) = \(2, 4, 3\), a stream of \(2, 5, 3\); begin"
    with pytest.raises(ValueError, match=words):
        learner(*stream(inputs=5), state)


def test_a_rate_by_inputs_is_the_rate_over_their_number():
    x, targets = stream()
    inputs = x.shape[2]
    shared = OnlineSGD(rate=0.1, per_input=True).to(x)
    plain = OnlineSGD(rate=0.1 / inputs).to(x)
    torch.testing.assert_close(shared(x, targets)[0], plain(x, targets)[0])
    with pytest.raises(TypeError, match="per_input"):
        OnlineSGD(per_input=1)
