"""Learning while running: order of what is heard, causality, switches, sizes."""

import pytest
import torch
from torch import nn

from srwm_lite import training
from srwm_lite.backends import BackendUnavailableError
from srwm_lite.vsml import SubRNN, vsml_step
from srwm_lite.vsml_learner import (
    VSML,
    Memory,
    message,
    online_accuracy,
    online_curve,
    online_loss,
    squash,
)


def stream(B=2, T=6, inputs=3, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(B, T, inputs, generator=generator).double()
    labels = torch.randint(classes, (B, T), generator=generator)
    return x, torch.eye(classes).double()[labels]


def net(strong=True, seed=0, **options):
    """Return a net whose cells take in enough for anything to be seen."""
    torch.manual_seed(seed)
    shift = {"input_shift": 0.0} if strong else {}
    cell = SubRNN(5, 3, grid=options.pop("grid", ()), **shift)
    return VSML(cell, **options).double()


def test_one_example_by_hand():
    learner, (x, targets) = net(), stream()
    memory = learner.start(2, 3, 4)
    (state,), (back,) = memory
    assert back.count_nonzero() == 0
    after, logits = learner.example(memory, x[:, 0], targets[:, 0])
    fwd = torch.zeros(2, 3, 3).double()
    fwd[:, :, 0] = x[:, 0]
    state, (out, _) = vsml_step(learner.cell, state, fwd, back)
    torch.testing.assert_close(logits, 100 * (out[:, :, 1] / 100).tanh())
    torch.testing.assert_close(after.states[0], state)
    error = logits.softmax(dim=-1) - targets[:, 0]
    torch.testing.assert_close(after.backs[0][..., 0], error)
    assert after.backs[0][..., 1:].count_nonzero() == 0


def test_a_label_is_told_if_it_shall():
    learner, (x, targets) = net(feed_label=True), stream()
    after, _ = learner.example(learner.start(2, 3, 4), x[:, 0], targets[:, 0])
    assert torch.equal(after.backs[0][..., 1], targets[:, 0])


def test_layers_hear_forward_now_and_backward_one_example_late():
    learner, (x, targets) = net(hidden=(6,)), stream()
    memory = learner.start(2, 3, 4)
    memory = memory._replace(backs=tuple(torch.randn_like(b) for b in memory.backs))
    after, logits = learner.example(memory, x[:, 0], targets[:, 0])
    fwd = message(3, {0: x[:, 0]})
    _, (between, _) = vsml_step(learner.cell, memory.states[0], fwd, memory.backs[0])
    top = vsml_step(learner.cell, memory.states[1], between, memory.backs[1])
    torch.testing.assert_close(logits, squash(top[1][0][..., 1]))
    torch.testing.assert_close(after.backs[0], top[1][1])


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_an_answer_hears_of_no_later_example_and_not_of_its_own_target(hidden):
    learner, (x, targets) = net(hidden=hidden), stream()
    start = learner.start(2, 3, 4)
    logits, _ = learner(x, targets, start)
    other = targets.clone()
    other[:, 2] = targets[:, 2].roll(1, dims=-1)
    changed, _ = learner(x, other, start)
    torch.testing.assert_close(changed[:, :3], logits[:, :3], rtol=0, atol=0)
    moved = (changed - logits).abs().amax(dim=(0, 2))
    assert moved[3 + len(hidden) :].min() > 1e-9


def test_without_errors_nothing_is_learned_of_targets():
    learner, (x, targets) = net(feed_label=True), stream()
    start = learner.start(2, 3, 4)
    learner.writes = False
    a, memory = learner(x, targets, start)
    b, _ = learner(x, targets.roll(1, dims=-1), start)
    assert torch.equal(a, b)
    assert memory.backs[0].count_nonzero() == 0
    learner.writes = True
    assert not torch.equal(learner(x, targets, start)[0], a)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_a_stream_can_be_cut_anywhere(hidden):
    learner, (x, targets) = net(hidden=hidden), stream()
    start = learner.start(2, 3, 4)
    whole, last = learner(x, targets, start)
    for t in range(1, 6):
        first, memory = learner(x[:, :t], targets[:, :t], start)
        second, end = learner(x[:, t:], targets[:, t:], memory)
        torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
        torch.testing.assert_close(end, last)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_permuted_pixels_and_classes_are_the_same_task(hidden):
    learner, (x, targets) = net(hidden=hidden), stream()
    start = learner.start(2, 3, 4)
    logits, _ = learner(x, targets, start)
    rows, columns = torch.tensor([2, 0, 1]), torch.tensor([3, 1, 0, 2])
    states = [[part.clone() for part in state] for state in start.states]
    states[0] = [part[:, rows] for part in states[0]]
    states[-1] = [part[:, :, columns] for part in states[-1]]
    turned = Memory(tuple(map(tuple, states)), start.backs)
    again, _ = learner(x[..., rows], targets[..., columns], turned)
    torch.testing.assert_close(again, logits[..., columns])


def test_the_same_numbers_serve_every_size():
    learner = net()
    for sizes in ((1, 1), (7, 2), (2, 7)):
        x, targets = stream(2, 3, *sizes)
        logits, memory = learner(x, targets)
        assert logits.shape == targets.shape
        assert memory.states[0][0].shape == (2, *sizes, 5)


def test_no_answer_is_surer_than_a_hundred():
    x = torch.tensor([-1e9, 0.0, 1e-3, 1e9])
    assert squash(x).tolist() == pytest.approx([-100, 0, 1e-3, 100])


def test_scores_by_hand():
    x, targets = stream(2, 3, 3, 2)
    right = targets.clone()
    right[0, 1] = 1 - right[0, 1]

    def learner(x, targets):
        return 9 * right, None

    assert online_curve(learner, x, targets).tolist() == [1, 0.5, 1]
    assert online_accuracy(learner, x, targets).item() == pytest.approx(5 / 6)
    sure = torch.log(1 + torch.exp(torch.tensor(-9.0)))
    assert online_loss(learner, x, targets).item() == pytest.approx(
        ((5 * sure + sure + 9) / 6).item(), abs=1e-6
    )


def test_training_reaches_every_number_that_is_heard():
    learner, (x, targets) = net(hidden=(4,)), stream()
    online_loss(learner, x, targets).backward()
    for name, p in learner.named_parameters():
        assert p.grad.abs().max() > 0, name


def test_fit_descends_and_repeats():
    x, targets = stream(2, 3)
    losses = []
    for _ in range(2):
        learner, batch = net(), (x, targets)
        options = {"steps": 5, "lr": 1e-2}
        history = training.fit(learner, lambda g, b=batch: b, online_loss, **options)
        losses.append(history.losses)
    assert torch.equal(*losses)
    assert losses[0][-1] < losses[0][0]


def test_every_cell_may_have_weights_of_its_own():
    learner = net(grid=(3, 4))
    x, targets = stream()
    assert learner(x, targets)[0].shape == targets.shape
    with pytest.raises(ValueError, match=r"grid of \(3, 4\) and no other"):
        learner(*stream(inputs=5))


def test_bad_input_is_named():
    learner, (x, targets) = net(), stream()
    with pytest.raises(ValueError, match=r"agree in \(B, T\)"):
        learner(x, targets[:, :2])
    with pytest.raises(ValueError, match="stream is empty"):
        learner(x[:, :0], targets[:, :0])
    with pytest.raises(ValueError, match="share dtype"):
        learner(x.float(), targets.float())
    with pytest.raises(ValueError, match=r"got .*\(2, 3, 4, 5\)"):
        learner(x[..., :2], targets, learner.start(2, 3, 4))
    with pytest.raises(BackendUnavailableError, match="backend='loop'"):
        net(hidden=(4,))(x, targets, backend="fused")
    with pytest.raises(ValueError, match="message_size"):
        VSML(SubRNN(5, 1))
    with pytest.raises(ValueError, match="hidden_0"):
        VSML(hidden=(0,))
    with pytest.raises(TypeError, match="feed_label"):
        VSML(feed_label=1)
    assert isinstance(learner.cell, nn.Module)
