import pytest
import torch
from sequences import assert_cut_anywhere
from torch.nn import functional

from srwm_lite import training
from srwm_lite.models import LSTM, writes_off
from srwm_lite.online_learners import (
    ClassMeans,
    FastWeightLearner,
    HebbianNet,
    MetaRNN,
    OnlineAdam,
    OnlineSGD,
)
from srwm_lite.online_nets import Plastic
from srwm_lite.online_tasks import Gaussian, ideal_gaussian
from srwm_lite.vsml_learner import VSML, online_accuracy, online_loss

F64 = {"dtype": torch.float64}
FIXED = {
    "meta rnn": lambda *size: MetaRNN(*size, 8),
    "hebb": lambda *size: HebbianNet(*size, 8),
    "oja": lambda *size: HebbianNet(*size, 8, oja=True),
    "fast weights": lambda *size: FastWeightLearner(*size, 8, num_layers=2),
}
each = pytest.mark.parametrize("make", FIXED.values(), ids=FIXED)


def stream(B=2, T=7, inputs=4, classes=3):
    labels = torch.randint(classes, (B, T))
    targets = functional.one_hot(labels, classes).double()
    return torch.randn(B, T, inputs, **F64), targets


def prototypes(generator, B=8, T=15, inputs=6, classes=3):
    means = 2 * torch.randn(B, classes, inputs, generator=generator)
    labels = torch.randint(classes, (B, T), generator=generator)
    noise = torch.randn(B, T, inputs, generator=generator)
    x = means.gather(1, labels[..., None].expand_as(noise)) + 0.3 * noise
    return x, functional.one_hot(labels, classes).float()


@each
def test_an_answer_is_made_before_its_label_is_known(make):
    (x, targets), learner = stream(), make(4, 3).double()
    logits, _ = learner(x, targets)
    other = targets.clone()
    other[:, 3] = targets[:, 3].roll(1, dims=-1)
    changed = learner(x, other)[0]
    assert torch.equal(changed[:, :4], logits[:, :4])
    assert changed[:, 4:].ne(logits[:, 4:]).any(dim=-1).all()
    other = x.clone()
    other[:, 3] += 1
    changed = learner(other, targets)[0]
    assert torch.equal(changed[:, :3], logits[:, :3])
    assert changed[:, 3:].ne(logits[:, 3:]).any(dim=-1).all()


@each
def test_a_stream_can_be_cut_anywhere(make):
    learner, (x, targets) = make(4, 3).double(), stream()

    assert_cut_anywhere(learner, (x, targets))


@each
def test_without_writes_the_labels_do_not_matter(make):
    learner, (x, targets) = make(4, 3).double(), stream()
    with writes_off(learner):
        logits, _ = learner(x, targets)
        assert torch.equal(learner(x, targets.flip(1))[0], logits)
    assert not torch.allclose(learner(x, targets)[0], logits)


@each
def test_a_small_stream_is_filled_up_and_its_answer_cut(make):
    # two more classes that never come may not change an answer but by their logits
    learner, (x, targets) = make(6, 5).double(), stream()
    logits, _ = learner(x, targets)
    assert logits.shape == (2, 7, 3)
    wide = functional.pad(x, (0, 2))
    assert torch.equal(learner(wide, targets)[0], logits)
    assert not torch.allclose(learner(wide + 1, targets)[0], logits)


def test_absent_classes_cause_no_error():
    learner, (x, targets) = MetaRNN(4, 5, 8).double(), stream()
    logits, (_, _, told) = learner(x, targets)
    error, label = told.chunk(2, dim=-1)
    torch.testing.assert_close(error[:, :3], logits[:, -1].softmax(-1) - targets[:, -1])
    assert torch.equal(label[:, :3], targets[:, -1])
    assert not error[:, 3:].any()
    assert not label[:, 3:].any()


@each
def test_every_parameter_has_a_slope(make):
    learner, (x, targets) = make(4, 3).double(), stream()
    online_loss(learner, x, targets).backward()
    for name, p in learner.named_parameters():
        assert p.grad.any(), name


@each
def test_a_larger_stream_is_refused(make):
    learner = make(4, 3).double()
    name = type(learner).__name__
    words = rf"a {name} cannot change its size: .* \(4, 3\), got a stream of \(5, 3\)"
    with pytest.raises(ValueError, match=words):
        learner(*stream(inputs=5))
    with pytest.raises(ValueError, match=r"got a stream of \(4, 6\); make a larger"):
        learner(*stream(classes=6))
    with pytest.raises(ValueError, match=r"agree in \(B, T\)"):
        learner(stream()[0], stream(T=8)[1])
    with pytest.raises(ValueError, match="weight and x must share dtype"):
        learner(*(x.float() for x in stream()))
    with pytest.raises(ValueError, match="classes must be a whole number, positive"):
        make(4, 0)


def test_the_meta_rnn_is_the_lstm_of_torch():
    (x, targets), learner = stream(), MetaRNN(4, 3, 8, ticks=1).double()
    logits, _ = learner(x, targets)
    error = logits.softmax(dim=-1) - targets
    late = functional.pad(torch.cat([error, targets], dim=-1), (0, 0, 1, 0))[:, :-1]
    lstm = torch.nn.LSTM(10, 8, batch_first=True).double()
    for name, p in learner.cell.named_parameters():
        getattr(lstm, f"{name}_l0").data.copy_(p)
    h, _ = lstm(torch.cat([x, late], dim=-1))
    torch.testing.assert_close(learner.read_out(h), logits)


def test_hebb_and_oja_by_hand():
    # eta = sigmoid(0) = 1/2, P = (4, 0), x = (1, 2), y = 2:
    # Hebb (2, 0) + 1/2 * 2 * (1, 2); Oja (4, 0) + 1/2 * 2 * ((1, 2) - 2 * (4, 0))
    P, x, y = (
        torch.tensor([[[4.0, 0]]]),
        torch.tensor([[1.0, 2]]),
        torch.tensor([[2.0]]),
    )
    for oja, wanted in ((False, [3, 2]), (True, [-3, 2])):
        layer = Plastic(2, 1, oja=oja)
        layer.rate.data.zero_()
        assert layer.change(P, x, y).tolist() == [[wanted]]
        assert torch.equal(layer.change(P, x, y, False), P)
    assert Plastic(2, 1).rate.sigmoid().item() == pytest.approx(0.011, abs=1e-4)


def test_a_plastic_layer_is_dense_with_the_sum_of_both_weights():
    layer, P, x = Plastic(3, 2), torch.randn(4, 2, 3), torch.randn(4, 3)
    layer.alpha.data.normal_()
    for i, y in enumerate(layer(P, x)):
        W = layer.fixed.weight + layer.alpha * P[i]
        torch.testing.assert_close(y, W @ x[i] + layer.fixed.bias)


def test_with_oja_a_row_of_the_readout_is_the_mean_of_its_class():
    (x, targets), learner = stream(B=1, T=1), HebbianNet(4, 3, 8, oja=True).double()
    learner.read_out.rate.data.fill_(50)  # eta is 1: the last h of a class
    _, (_, Q, h, _) = learner(x, targets)
    label = targets[0, 0].argmax()
    torch.testing.assert_close(Q[0, label], h[0])
    assert Q[0].any(dim=-1).sum() == 1


def test_fast_weights_take_any_layer_of_the_book():
    learner = FastWeightLearner(4, 3, 8, layer=LSTM, num_heads=1).double()
    logits, _ = learner(*stream())
    assert logits.shape == (2, 7, 3)


def test_a_hebbian_net_learns_to_learn():
    def score():
        return training.evaluate(learner, prototypes, online_accuracy, batches=10)

    learner = HebbianNet(6, 3, 16, oja=True)
    before = score()
    training.fit(learner, prototypes, online_loss, steps=40, lr=2e-2, clip=1.0)
    assert before < 0.43
    assert score() > 0.6
    with writes_off(learner):
        assert score() < 0.43


def test_all_learners_have_the_same_door():
    x, targets = stream()
    learners = OnlineSGD(), OnlineAdam(5), VSML(), *(f(4, 3) for f in FIXED.values())
    for learner in learners:
        logits, state = learner.double()(x, targets)
        more, _ = learner(x, targets, state)
        assert logits.shape == more.shape == targets.shape
        assert learner.writes is True
        assert logits.requires_grad


def test_class_means_are_the_best_learner_of_gaussian_problems():
    x, targets = Gaussian(4, 3, 12, noise=0.5).sample(5)
    means = ClassMeans(0.5)
    torch.testing.assert_close(means(x, targets), ideal_gaussian(x, targets, 0.5))
    online_loss(means, x, targets).backward()
    assert means.log_noise.grad.abs() > 0
    means.writes = False
    assert means(x, targets)[0].std(dim=-1).max() < 1e-5
    with pytest.raises(ValueError, match="leave out state"):
        means(x, targets, x)
    with pytest.raises(ValueError, match="noise must be from"):
        ClassMeans(0.0)
