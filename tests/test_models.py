import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

from srwm_lite import backends
from srwm_lite.delta_rule import DeltaNet, delta_rule
from srwm_lite.feature_maps import (
    dpfp,
    elu_plus_one,
    favor_plus,
    orthogonal_projection,
    sum_normalise,
)
from srwm_lite.linear_attention import LinearAttention, linear_attention
from srwm_lite.models import (
    LSTM,
    AssociativeMemory,
    SequenceModel,
    SoftmaxAttention,
    recurrence_off,
    writes_off,
)
from srwm_lite.recurrent_fwp import (
    DeltaDelta,
    DeltaLSTM,
    DeltaMLP,
    DeltaRNN,
    RecurrentDeltaNet,
)
from srwm_lite.tasks import AssociativeRetrieval

LAYERS = pytest.mark.parametrize(
    "layer",
    [
        DeltaNet,
        LinearAttention,
        SoftmaxAttention,
        functools.partial(DeltaNet, gated=True),
        LSTM,
        DeltaRNN,
        functools.partial(DeltaRNN, version=1),
        RecurrentDeltaNet,
        DeltaLSTM,
        functools.partial(DeltaMLP, depth=2),
        DeltaDelta,
        functools.partial(DeltaDelta, learned_start=True),
    ],
)
HEARING = pytest.mark.parametrize(
    "layer", [LSTM, DeltaRNN, RecurrentDeltaNet, DeltaLSTM]
)
RULES = pytest.mark.parametrize("rule", ["sum", "delta", "softmax"])


def pairs(S=5, batch=7, replace=True):
    keys, values, query, _ = AssociativeRetrieval(S, replace=replace).sample(batch)
    return keys, values, query


def test_softmax_attention_by_definition():
    net, x = SoftmaxAttention(8, 2), torch.randn(3, 5, 8)
    h = net.slow(x).unflatten(-1, (2, 12))
    q, k, v = h.split(4, dim=-1)
    scores = torch.einsum("bthk,bshk->bhts", q, k) / 2
    hidden = torch.ones(5, 5).triu(1).bool()
    weights = scores.masked_fill(hidden, -torch.inf).softmax(dim=-1)
    expected = torch.einsum("bhts,bshv->bthv", weights, v).flatten(2)
    torch.testing.assert_close(net(x)[0], net.out(expected))


@LAYERS
@pytest.mark.parametrize("tokens", [True, False])
def test_a_sequence_can_be_cut_anywhere(layer, tokens):
    net = SequenceModel(6, 3, 8, layer=layer, num_layers=2, num_heads=2, tokens=tokens)
    x = torch.randint(6, (2, 5)) if tokens else torch.randn(2, 5, 6)
    y, end = net(x)
    assert y.shape == (2, 5, 3)
    assert len(end) == 2
    for t in range(1, 5):
        first, middle = net(x[:, :t])
        rest, _ = net(x[:, t:], middle)
        torch.testing.assert_close(torch.cat([first, rest], dim=1), y)


@LAYERS
def test_outputs_do_not_see_the_future(layer):
    net, x = SequenceModel(6, 3, 8, layer=layer), torch.randint(6, (2, 5))
    other = torch.cat([x[:, :3], (x[:, 3:] + 1) % 6], dim=1)
    torch.testing.assert_close(net(other)[0][:, :3], net(x)[0][:, :3], rtol=0, atol=0)


@LAYERS
def test_batch_elements_do_not_share_their_memory(layer):
    net, x = SequenceModel(6, 3, 8, layer=layer), torch.randint(6, (4, 5))
    together = net(x)[0]
    alone = torch.cat([net(row[None])[0] for row in x])
    torch.testing.assert_close(together, alone)


@LAYERS
def test_without_writes_only_the_present_step_counts(layer):
    net = SequenceModel(6, 3, 8, layer=layer, num_layers=2)
    x = torch.randint(6, (1, 5))
    with writes_off(net):
        blind = net(x)[0]
        torch.testing.assert_close(blind, net(x.flip(1))[0].flip(1))
    assert not torch.allclose(net(x)[0], blind)


@HEARING
def test_without_recurrence_the_outputs_are_others_and_the_switch_is_put_back(layer):
    net = SequenceModel(6, 3, 8, layer=layer, num_layers=2)
    x = torch.randint(6, (2, 5))
    y, _ = net(x)
    with recurrence_off(net):
        deaf, _ = net(x)
    assert not torch.allclose(deaf, y)
    torch.testing.assert_close(net(x)[0], y)


@LAYERS
def test_every_parameter_learns(layer):
    net = SequenceModel(6, 3, 8, layer=layer, num_layers=2)
    y, _ = net(torch.arange(6).expand(2, 6))
    y.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_block_is_residual():
    net = SequenceModel(6, 3, 8)
    for part in (net.blocks[0].layer.out, net.blocks[0].feed_forward[-1]):
        nn.init.zeros_(part.weight)
    nn.init.zeros_(net.blocks[0].feed_forward[-1].bias)
    x = torch.randint(6, (2, 5))
    torch.testing.assert_close(net(x)[0], net.read_out(net.embed(x)))


def test_bad_input_of_a_sequence_model_is_named():
    tokens, vectors = SequenceModel(6, 3, 8), SequenceModel(6, 3, 8, tokens=False)
    with pytest.raises(ValueError, match=r"from 0 to num_in - 1 = 5: got 0 to 6"):
        tokens(torch.tensor([[0, 6]]))
    with pytest.raises(ValueError, match=r"x must hold integers, got torch.float32"):
        tokens(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"x must have shape \(B, T\): got \(5,\)"):
        tokens(torch.zeros(5, dtype=torch.int64))
    for bad in (torch.zeros(2, 6), torch.zeros(2, 5, 7)):
        with pytest.raises(ValueError, match=r"x must have shape \(B, T, 6\): got \(2"):
            vectors(bad)
    with pytest.raises(ValueError, match=r"each of the 1 blocks, .*: got 2"):
        tokens(torch.zeros(2, 5, dtype=torch.int64), [None, None])
    with pytest.raises(ValueError, match="num_heads=3 does not divide"):
        SequenceModel(6, 3, 8, num_heads=3)
    with pytest.raises(ValueError, match="sequence is empty"):
        tokens(torch.zeros(2, 0, dtype=torch.int64))


def by_hand(net, keys, values, query):
    """Follow the equations of `AssociativeMemory`, one batch element and one copy."""
    E, S = net.key_embedding[0], net.num_keys
    v = functional.one_hot(values, S).float()
    slow_in = torch.cat([v, E[keys]], dim=-1)
    q, k = E[query] @ net.to_query[0], slow_in @ net.to_key[0]
    if net.rule == "softmax":
        return (k @ q / len(q) ** 0.5).softmax(dim=0) @ v
    q, k = net.feature_map(q), net.feature_map(k)
    if net.rule == "sum":
        y, _ = linear_attention(
            q.expand_as(k)[None, :, None],
            k[None, :, None],
            v[None, :, None],
            normalise=net.normalise,
            backend="loop",
        )
        return y[0, -1, 0]
    if net.normalise:
        q, k = sum_normalise(q), sum_normalise(k)
    beta = (slow_in @ net.to_beta[0])[:, 0].sigmoid()
    x = (q.expand_as(k), k, v, beta)
    y, _ = delta_rule(*(u[None, :, None] for u in x), backend="loop")
    return y[0, -1, 0]


@RULES
@pytest.mark.parametrize("normalise", [True, False])
def test_the_memory_follows_its_equations(rule, normalise):
    net = AssociativeMemory(
        5, d_key=4, rule=rule, feature_map=dpfp, normalise=normalise
    )
    batch = pairs()
    y = net(*batch)
    assert y.shape == (7, 5)
    for row, inputs in zip(y, zip(*batch, strict=True), strict=True):
        torch.testing.assert_close(row, by_hand(net, *inputs))


@RULES
def test_copies_are_independent_memories(rule):
    net = AssociativeMemory(5, d_key=4, rule=rule, copies=3)
    batch = pairs(batch=(3, 7))
    y = net(*batch)
    assert y.shape == (3, 7, 5)
    for i in range(3):
        alone = AssociativeMemory(5, d_key=4, rule=rule)
        alone.load_state_dict({n: p[i : i + 1] for n, p in net.state_dict().items()})
        torch.testing.assert_close(alone(*(x[i] for x in batch)), y[i])
    y[1].sum().backward()
    for p in net.parameters():
        assert p.grad[1].any()
        assert not p.grad[[0, 2]].any()


def test_copies_may_share_the_sequences():
    net, batch = AssociativeMemory(5, copies=2), pairs()
    each = net(*(x.expand(2, *x.shape) for x in batch))
    torch.testing.assert_close(net(*batch), each)


@RULES
def test_without_writes_every_answer_is_zero(rule):
    net, batch = AssociativeMemory(5, rule=rule), pairs()
    before = net(*batch)
    with writes_off(net):
        assert not net(*batch).any()
    assert before.any()
    torch.testing.assert_close(net(*batch), before)


def test_a_random_map_is_drawn_once_for_queries_and_keys():
    calls = []

    def fresh(x):
        calls.append(x.shape)
        return favor_plus(x, orthogonal_projection(8, 4))

    AssociativeMemory(5, d_key=4, feature_map=fresh)(*pairs())
    assert calls == [(7, 11, 1, 4)]


def test_copies_stand_where_heads_do(monkeypatch):
    calls = []
    monkeypatch.setattr(backends, "recorders", [calls.append])
    AssociativeMemory(5, d_key=4, copies=3, rule="delta")(*pairs())
    assert calls[0].state.shape == (7, 3, 5, 4)


def test_the_embedding_has_the_size_of_the_paper():
    net = AssociativeMemory(30)
    assert net.key_embedding.shape == (1, 30, 66)
    assert net.to_key.shape == (1, 96, 64)
    assert net.feature_map is elu_plus_one


def test_bad_input_of_the_memory_is_named():
    net, (keys, values, query) = AssociativeMemory(5), pairs()
    with pytest.raises(
        ValueError, match="rule must be one of sum, delta, softmax: got"
    ):
        AssociativeMemory(5, rule="hebb")
    with pytest.raises(ValueError, match=r"values must be from 0 to num_keys - 1 = 4"):
        net(keys, values + 5, query)
    with pytest.raises(ValueError, match="query must hold integers"):
        net(keys, values, query.float())
    with pytest.raises(ValueError, match=r"query the same without L: got keys \(7, 10"):
        net(keys, values, query[1:])
    with pytest.raises(ValueError, match=r"keys \(7, 10\), values \(7, 9\)"):
        net(keys, values[:, 1:], query)
    with pytest.raises(ValueError, match=r"\(B, L\) or \(1, B, L\) for 1 copies: got"):
        net(*pairs(batch=(2, 7)))
    with pytest.raises(ValueError, match=r"got \(10,\)"):
        net(keys[0], values[0], query[0])


def test_the_switch_is_put_back_even_after_an_error():
    net = SequenceModel(6, 3, 8, num_layers=2)
    net.blocks[0].layer.writes = False

    def fail():
        with writes_off(net):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [block.layer.writes for block in net.blocks] == [False, True]


def test_a_model_without_a_memory_has_no_switch():
    with pytest.raises(ValueError, match="Linear has no part with a switch 'writes'"):
        with writes_off(nn.Linear(2, 2)):
            pass
