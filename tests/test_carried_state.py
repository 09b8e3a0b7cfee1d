import pytest
import torch

from srwm_lite.carried_state import Carried, detached, streams
from srwm_lite.linear_attention import LinearAttention
from srwm_lite.models import SequenceModel
from srwm_lite.scores import sequence_loss
from srwm_lite.training import fit

IDS = torch.randint(7, (250,), generator=torch.Generator().manual_seed(0))


def net(**options):
    torch.manual_seed(3)
    return SequenceModel(7, 7, 8, layer=LinearAttention, **options)


def reader(model=None, **options):
    return Carried(model or net(), IDS, **{"num": 4, "length": 10, **options})


def train(carried, loss=sequence_loss, **options):
    history = fit(carried, carried.sample, loss, **{"steps": 9, "lr": 0.01, **options})
    return history.losses, carried.state_dict()


def test_streams_follow_each_other():
    x, target = streams(torch.arange(12), 3)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert torch.equal(target, x + 1)


@pytest.mark.parametrize("num", [1, 2, 5, 11])
def test_every_target_but_the_last_few_is_there_once(num):
    _, target = streams(torch.arange(12), num)
    assert target.flatten().tolist() == list(range(1, target.numel() + 1))
    assert 11 - num < target.numel() <= 11


def test_segments_come_in_order_and_start_anew():
    carried = reader(length=25)
    seen = []
    for _ in range(3):
        seen.append(carried.sample()[0])
        carried(seen[-1])
        carried.advance()
    assert torch.equal(torch.cat(seen[:2], dim=1), carried.x[:, :50])
    assert torch.equal(seen[2], seen[0])


def test_carrying_is_reading_without_a_cut():
    carried, parts = reader(length=20), []
    for _ in range(3):
        parts.append(carried(carried.sample()[0])[0])
        carried.advance()
    whole, _ = carried.model(carried.x[:, :60])
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


def test_without_carrying_each_segment_starts_empty():
    carried = reader(carry=False)
    carried(carried.sample()[0])
    carried.advance()
    x, _ = carried.sample()
    assert torch.equal(carried(x)[0], carried.model(x)[0])


def test_a_second_look_at_a_segment_changes_nothing():
    carried = reader()
    carried(carried.sample()[0])
    carried.advance()
    x, _ = carried.sample()
    assert torch.equal(carried(x)[0], carried(x)[0])


def test_the_gradient_stays_in_its_segment():
    state = (torch.ones(2, requires_grad=True) * 2, [torch.ones(1), None])
    cut = detached(state)
    assert not cut[0].requires_grad
    assert torch.equal(cut[0], state[0])
    assert cut[1][1] is None
    train(reader(), steps=3)  # a graph that is used twice would raise


def test_training_and_the_readable_loop_agree():
    carried, model = reader(), net()
    losses, _ = train(carried, steps=4)
    optimiser, states = torch.optim.Adam(model.parameters(), lr=0.01), None
    for i in range(4):
        x, target = (a[:, 10 * i : 10 * i + 10] for a in (carried.x, carried.target))
        y, states = model(x, states)
        states = detached(states)
        loss = torch.nn.functional.cross_entropy(y.flatten(0, 1), target.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        torch.testing.assert_close(losses[i], loss.detach())


class Interrupt:
    """Compute the loss, but stop in the call number `when`, after the forward pass."""

    def __init__(self, when=None):
        self.when, self.calls = when, 0

    def __repr__(self):
        return "sequence loss"

    def __call__(self, model, x, target):
        loss, self.calls = sequence_loss(model, x, target), self.calls + 1
        if self.calls == self.when:
            raise KeyboardInterrupt
        return loss


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("carry", [True, False])
def test_an_interrupted_run_goes_on_with_the_same_bits(tmp_path, layers, carry):
    def new():
        return reader(net(num_layers=layers), carry=carry)

    losses, weights = train(new(), Interrupt())
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train(new(), Interrupt(5), checkpoint=path)
    again, again_weights = train(new(), Interrupt(), checkpoint=path)
    assert torch.equal(losses, again)
    extra = weights.pop("_extra_state"), again_weights.pop("_extra_state")
    assert extra[0]["place"] == extra[1]["place"]
    assert all(torch.equal(weights[name], again_weights[name]) for name in weights)


@pytest.mark.parametrize("change", [{"carry": False}, {"length": 5}, {"num": 5}])
def test_a_checkpoint_knows_how_it_was_read(tmp_path, change):
    train(reader(), checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match="belongs to another run"):
        train(reader(**change), checkpoint=tmp_path / "run.pt")


def test_bad_arguments_are_named():
    with pytest.raises(
        ValueError, match="tokens_in_a_stream must be a whole number, 99"
    ):
        reader(length=99)
    with pytest.raises(ValueError, match="length must be a whole number, positive"):
        reader(length=0)
    with pytest.raises(
        ValueError, match="number_of_tokens must be a whole number, 251"
    ):
        reader(num=250)
    with pytest.raises(TypeError, match="carry must be True or False: got 1"):
        reader(carry=1)
