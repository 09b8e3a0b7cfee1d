import pytest
import torch
from torch import nn

from srwm_lite import backends
from srwm_lite.backends import BackendUnavailableError
from srwm_lite.delta_rule import DeltaNet, delta_rule, gated_delta_rule
from srwm_lite.fast_weights import FastWeightProgrammer, fast_weights
from srwm_lite.linear_attention import LinearAttention, linear_attention
from srwm_lite.trace import record

B, T, H, K, V = 3, 5, 2, 4, 3


def inputs(*strengths, requires_grad=False):
    generator = torch.Generator().manual_seed(0)
    shapes = [(B, T, H, K), (B, T, H, K), (B, T, H, V), *[(B, T, H)] * len(strengths)]
    xs = [torch.rand(s, generator=generator, dtype=torch.float64) for s in shapes]
    return [x.requires_grad_(requires_grad) for x in xs]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [DeltaNet(8, 2, gated=True), LinearAttention(8, 2)]
        self.blocks = nn.ModuleList([*layers, FastWeightProgrammer(8)])

    def forward(self, x):
        for block in self.blocks:
            x, _ = block(x)
        return x


RULES = {
    "sum": (lambda *x, **kw: linear_attention(*x, **kw), 0),
    "normalised": (lambda *x, **kw: linear_attention(*x, normalise=True, **kw), 0),
    "delta": (delta_rule, 1),
    "gated": (gated_delta_rule, 2),
}


@pytest.mark.parametrize("backend", ["loop", "chunk", "fused", "auto"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.filterwarnings("ignore:Plain torch computes")
def test_recording_changes_no_bit(rule, backend):
    run, strengths = RULES[rule]

    def outputs():
        xs = inputs(*range(strengths), requires_grad=True)
        y, W = run(*xs, backend=backend)
        return y, W, *torch.autograd.grad((y.sin().sum() + W.cos().sum()), xs)

    try:
        alone = outputs()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    with record() as rec:
        recorded = outputs()
    assert len(rec) == 1
    assert all(torch.equal(a, b) for a, b in zip(alone, recorded, strict=True))


def test_recording_leaves_the_random_state_and_the_model_alone():
    net, x = Net(), torch.randn(B, T, 8)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    with record(net):
        net(x)
    assert torch.equal(before, torch.random.get_rng_state())
    hooks = [m._forward_hooks or m._forward_pre_hooks for m in net.modules()]
    assert not any(hooks)
    assert not backends.recorders


@pytest.mark.parametrize("rule", RULES)
def test_film_ends_where_the_rule_ends(rule):
    run, strengths = RULES[rule]
    xs = inputs(*range(strengths))
    with record() as rec:
        y, W = run(*xs, backend="loop")
    film = rec.film(batch=2, head=1)
    torch.testing.assert_close(film.W[-1], W[2, 1, :V])
    torch.testing.assert_close(film.y, y[2, :, 1])
    assert film.W.shape == (T + 1, V, K)
    assert film.v.shape == film.error.shape == (T, V)
    assert torch.equal(film.k, xs[1][2, :, 1])
    assert not film.W[0].any()


def test_error_is_what_the_write_corrects():
    q, k, v, beta, alpha = inputs(1, 2)
    with record() as rec:
        gated_delta_rule(q, k, v, beta, alpha)
    film = rec.film()
    faded = film.alpha[:, None, None] * film.W[:-1]
    write = film.beta[:, None, None] * film.error[:, :, None] * film.k[:, None, :]
    torch.testing.assert_close(film.W[1:], faded + write)
    torch.testing.assert_close(film.changes, film.W[1:] - film.W[:-1])


def test_normaliser_is_kept_apart():
    q, k, v = inputs()
    with record() as rec:
        linear_attention(q, k, v, normalise=True)
        linear_attention(q, k, v)
    film, plain = rec.film(0), rec.film(1)
    torch.testing.assert_close(film.W, plain.W)
    torch.testing.assert_close(film.z[1:], film.k.cumsum(0))
    assert plain.z is None
    assert plain.beta is None
    assert plain.alpha is None


def test_film_starts_from_the_given_memory_and_keeps_the_squash():
    q, k, v = inputs()
    W = torch.rand(B, H, V, K, dtype=torch.float64)
    with record() as rec:
        _, end = fast_weights(q, k, v, W, squash=torch.tanh)
    film = rec.film(batch=1)
    assert torch.equal(film.W[0], W[1, 0])
    torch.testing.assert_close(film.W[-1], end[1, 0])


def test_recording_keeps_copies():
    q, k, v, beta = inputs(1)
    with record() as rec:
        delta_rule(q, k, v, beta)
    kept = rec.film().k.clone()
    k.zero_()
    assert torch.equal(rec.film().k, kept)
    assert not rec.film().W.requires_grad


def test_layers_carry_their_names():
    net, x = Net(), torch.randn(B, T, 8)
    with record(net) as rec:
        net(x)
        net(x)
    first = ["blocks.0", "blocks.1", "blocks.2"]
    assert rec.names == first + [f"{name}#2" for name in first]
    assert rec.film("blocks.1").idea == "linear_attention"
    assert torch.equal(rec.film("blocks.0#2").W, rec.film(3).W)
    assert "blocks.2" in repr(rec)
    assert "T=5" in repr(rec.film(-1))
    with record(net.blocks[0]) as rec:
        net.blocks[0](x)
    assert rec.names == ["DeltaNet"]


def test_hooks_are_removed_after_an_exception():
    net = Net()
    with pytest.raises(ValueError, match="D = 8"), record(net) as rec:
        net(torch.randn(B, T, 7))
    assert rec.running == []
    assert not backends.recorders
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_recordings_nest():
    xs = inputs(1)
    with record() as outside:
        delta_rule(*xs)
        with record() as inside:
            delta_rule(*xs)
        delta_rule(*xs)
    assert (len(outside), len(inside)) == (3, 1)
    assert outside.names == ["delta_rule", "delta_rule#2", "delta_rule#3"]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"layer": 4}, "no layer 4 was recorded: there are 0 'delta_rule'"),
        ({"layer": "x"}, "no layer 'x' was recorded"),
        ({"batch": 3}, "batch 3 does not exist: use 0 to 2"),
        ({"head": -3}, "head -3 does not exist: use 0 to 1"),
    ],
)
def test_missing_films_say_what_there_is(where, words):
    with record() as rec:
        delta_rule(*inputs(1))
    with pytest.raises(IndexError, match=words):
        rec.film(**where)


def test_an_empty_recording_says_so():
    with record() as rec:
        pass
    with pytest.raises(IndexError, match="nothing was recorded"):
        rec.film()


def test_measures_of_a_film():
    k = torch.eye(K, dtype=torch.float64)[None, :, None]
    v = 2 * torch.eye(K, dtype=torch.float64)[None, :, None]
    with record() as rec:
        linear_attention(k, k, v)
    film = rec.film()
    assert len(film) == K
    assert film.rank().tolist() == [0, 1, 2, 3, 4]
    torch.testing.assert_close(film.norms**2, 4 * torch.arange(K + 1).double())
    assert film.singular_values[-1].tolist() == [2, 2, 2, 2]
    assert film.singular_values.shape == (K + 1, K)


def test_infinity_in_a_film_is_not_hidden():
    q, k, v = inputs()
    v[0, 3, 0, 0] = torch.inf
    with record() as rec:
        linear_attention(q, k, v)
    values = rec.film().singular_values
    assert values[:4].isfinite().all()
    assert values[4:].isnan().all()
