from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from srwm_lite import training
from srwm_lite.evolution import centred_ranks, evolution_loss
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import VSML, online_loss

F64 = {"dtype": torch.float64}


class Numbers(nn.Module):
    """A model of two parameters, (3,) and (1, 2), and one that does not learn."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor([1.0, -2, 0.5], **F64))
        self.b = nn.Parameter(torch.tensor([[3.0, 0.25]], **F64))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def all(self):
        return torch.cat([self.a, self.b[0]])


class Seen:
    """A loss that keeps the parameters of every member."""

    def __init__(self, loss):
        self.loss, self.members = loss, []

    def __call__(self, model, *batch):
        assert not torch.is_grad_enabled()
        self.members.append(model.all().clone())
        return self.loss(model.all(), *batch)


def slope(model, *batch, **options):
    """Return the value and the gradient that `evolution_loss` says."""
    weights = [p for p in model.parameters() if p.requires_grad]
    value = evolution_loss(model, *batch, **options)
    slopes = torch.autograd.grad(value, weights)
    return value.detach(), torch.cat([s.flatten() for s in slopes])


def linear(theta, c):
    return theta @ c


def bowl(theta, c):
    return theta @ (c * theta) / 2


@pytest.mark.equation("eq:evolution")
@pytest.mark.parametrize("loss", [linear, bowl])
def test_on_a_quadratic_the_estimate_is_mean_eps_eps_times_the_slope(loss):
    # (L+ - L-) / (2 sigma) = eps . slope, exactly, whatever sigma is
    model, c, seen = Numbers(), torch.arange(1, 6, **F64), Seen(loss)
    _, ours = slope(model, c, pairs=7, sigma=0.3, loss=seen)
    members = torch.stack(seen.members).view(7, 2, 5)
    eps = (members[:, 0] - model.all()) / 0.3
    torch.testing.assert_close(members[:, 1], model.all() - 0.3 * eps)
    true = c if loss is linear else c * model.all()
    torch.testing.assert_close(ours, eps.T @ eps @ true / 7)


def test_the_noise_is_normal_and_the_estimate_unbiased():
    # the error of one entry has variance (|slope|² + slope_i²) / pairs
    model, c, n = Numbers(), torch.arange(1, 6, **F64), 400
    seen = Seen(linear)
    _, ours = slope(model, c, pairs=n, sigma=0.1, loss=seen)
    eps = (torch.stack(seen.members)[::2] - model.all()) / 0.1
    assert eps.mean(dim=0).abs().max() < 4 / n**0.5
    assert (eps.T.cov() - torch.eye(5)).abs().max() < 6 / n**0.5
    bound = 4 * ((c @ c + c.square()) / n).sqrt()
    assert ((ours - c).abs() < bound).all()


def test_the_value_is_the_mean_of_the_losses():
    losses = []

    def loss(model, c):
        losses.append(bowl(model.all(), c))
        return losses[-1]

    value, _ = slope(Numbers(), torch.ones(5, **F64), pairs=5, loss=loss)
    assert len(losses) == 10
    assert torch.equal(value, torch.stack(losses).mean())


def test_parameters_are_put_back_to_the_bit_also_after_an_error():
    model = Numbers()
    before = [(p.data_ptr(), p.clone()) for p in model.parameters()]

    def check():
        for (address, was), p in zip(before, model.parameters(), strict=True):
            assert p.data_ptr() == address
            assert torch.equal(p, was)

    def broken(model):
        if not torch.equal(model.a, before[0][1]):
            raise ArithmeticError
        return model.a.sum()

    slope(model, torch.ones(5, **F64), pairs=3, loss=Seen(linear))
    check()
    with pytest.raises(ArithmeticError):
        evolution_loss(model, pairs=3, loss=broken)
    check()


def test_members_share_their_luck_and_calls_do_not():
    model, drawn = Numbers(), []

    def loss(model):
        drawn.append(torch.randn(()))
        return drawn[-1]

    for _ in range(2):
        _, flat = slope(model, pairs=3, loss=loss)
        assert not flat.any()
    assert len(set(map(float, drawn[:6]))) == len(set(map(float, drawn[6:]))) == 1
    assert drawn[0] != drawn[6]


def test_the_noise_comes_from_the_global_generator_and_is_new_each_time():
    def run():
        return slope(Numbers(), torch.ones(5, **F64), pairs=2, loss=Seen(linear))[1]

    state = torch.get_rng_state()
    first, second = run(), run()
    torch.set_rng_state(state)
    assert torch.equal(run(), first)
    assert not torch.allclose(first, second)


def test_the_way_is_that_of_the_gradient_of_a_vsml():
    net = VSML(SubRNN(4, 2, ticks=1)).double()
    with torch.no_grad():  # gates open, so that a short stream already matters
        net.cell.forget_shift = net.cell.input_shift = 1.0
    x, start = torch.randn(2, 4, 3, **F64), net.start(2, 3, 2)
    targets = functional.one_hot(torch.randint(2, (2, 4)), 2).double()

    def loss(net, x, targets):
        return online_loss(lambda *s: net(*s, start, backend="loop"), x, targets)

    weights = list(net.parameters())  # nobody hears the messages back of one layer
    true = torch.autograd.grad(loss(net, x, targets), weights, materialize_grads=True)
    true = torch.cat([s.flatten() for s in true])
    batch = {"pairs": 120, "sigma": 0.01, "loss": loss}
    value, ours = slope(net, x, targets, **batch)
    assert functional.cosine_similarity(ours, true, dim=0) > 0.5
    assert value == pytest.approx(loss(net, x, targets).item(), abs=1e-3)
    _, ranked = slope(net, x, targets, **batch, ranks=True)
    assert functional.cosine_similarity(ranked, true, dim=0) > 0.5


def test_ranks_by_hand():
    x = torch.tensor([[3.0, 1], [1, 100], [5, 7]])
    wanted = [[-0.1, -0.4], [-0.4, 0.5], [0.1, 0.3]]
    torch.testing.assert_close(centred_ranks(x), torch.tensor(wanted))
    assert centred_ranks(torch.tensor([4.0])).tolist() == [-0.5]


def test_ranks_do_not_hear_how_large_a_loss_is():
    model, c = Numbers(), torch.arange(1, 6, **F64)
    options = {"pairs": 4, "sigma": 0.1, "ranks": True}
    slopes = []
    for stretch in (lambda y: y, lambda y: 1000 * y**3):
        torch.manual_seed(1)
        loss = Seen(lambda theta, c, f=stretch: f(linear(theta, c)))
        slopes.append(slope(model, c, loss=loss, **options))
    assert torch.equal(slopes[0][1], slopes[1][1])
    assert slopes[0][0] != slopes[1][0]


def sample(generator):
    x = torch.randn(2, 4, 3, generator=generator)
    return x, functional.one_hot((x[..., 0] > 0).long(), 2).float()


def test_a_run_that_was_interrupted_ends_with_the_same_bits(tmp_path):
    loss = partial(evolution_loss, pairs=3, sigma=0.1)

    def run(steps, checkpoint=None):
        torch.manual_seed(0)
        net = VSML(SubRNN(4, 2, ticks=1))
        options = {"steps": steps, "lr": 0.025, "checkpoint": checkpoint}
        return net, training.fit(net, sample, loss, **options).losses

    net, losses = run(4)
    run(2, tmp_path / "run.pt")
    again, later = run(4, tmp_path / "run.pt")
    assert torch.equal(later, losses)
    for p, q in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q)


def test_it_goes_down():
    model, c = Numbers(), torch.ones(5, **F64)
    loss = partial(evolution_loss, pairs=4, sigma=0.1, loss=Seen(bowl))
    history = training.fit(model, lambda generator: (c,), loss, steps=60, lr=0.15)
    assert history.losses[0] > 5
    assert history.losses[-1] < 0.1
    assert model.frozen.tolist() == [1, 1]


def test_bad_arguments_are_refused():
    model, c = Numbers(), torch.ones(5, **F64)
    good = {"pairs": 2, "loss": Seen(linear)}
    for wrong, words in (
        ({"pairs": 0}, "pairs must be a whole number, positive: got 0"),
        ({"sigma": 0}, "sigma must be positive: got 0"),
        ({"loss": lambda model, c: c}, r"loss must return one number, .* got \(5,\)"),
        ({"loss": lambda model, c: 3.0}, "one number, .* got float"),
    ):
        with pytest.raises(ValueError, match=words):
            evolution_loss(model, c, **{**good, **wrong})
    with pytest.raises(ValueError, match="Tanh has no parameter that can change"):
        evolution_loss(nn.Tanh(), c, **good)
