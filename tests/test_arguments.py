import functools
import importlib
import math

import numpy as np
import pytest
import torch

from srwm_lite.arguments import check_flag, check_range, check_whole
from srwm_lite.associative_memory import AssociativeMemory
from srwm_lite.backends import BackendUnavailableError
from srwm_lite.delta_rule import DeltaNet, delta_rule, delta_step, gated_delta_step
from srwm_lite.fast_weights import FastWeightProgrammer, fast_weights
from srwm_lite.feature_maps import dpfp, elu_plus_one, favor_plus, sum_normalise
from srwm_lite.linear_attention import LinearAttention, chunk_linear_attention
from srwm_lite.models import SequenceModel, SoftmaxAttention
from srwm_lite.outer_product import read, write
from srwm_lite.parallel_delta import chunk_delta_rule

X = torch.randn(2, 3, 8)
K = torch.ones(2, 3, 1, 4)
BETA = torch.ones(2, 3, 1)
W = torch.zeros(2, 1, 4, 4)
STEP = W, K[:, 0], K[:, 0], K[:, 0]
TOKENS = torch.zeros(2, 3, dtype=torch.int64)
Model = functools.partial(SequenceModel, 6, 3, 8)


def model(x, states=None, **options):
    return Model(**options)(x, states)


DOORS = [
    (lambda: write(torch.zeros(2, 3), [1.0] * 3, torch.ones(2)), "k must be a torch"),
    (lambda: read(torch.zeros(2, 3), np.ones(3)), "q must be .* got ndarray"),
    (lambda: read(None, torch.ones(3)), "W must be .* got NoneType"),
    (lambda: read(W, torch.ones(3, 1, 4)), r"q and W must agree .* q \(3, 1, 4\), W"),
    (lambda: fast_weights(K, K, K, squash="tanh"), "squash must be .* got 'tanh'"),
    (lambda: fast_weights(K, K, K, squash=lambda W: W.sum(-1)), "keep the shape of W"),
    (lambda: FastWeightProgrammer(4, 0), "d_out must be a whole number, positive"),
    (lambda: FastWeightProgrammer(4, squash="tanh"), "squash must be a function"),
    (lambda: FastWeightProgrammer(4)(X), r"x must have D = 4 .* got x \(2, 3, 8\)"),
    (lambda: delta_step(*STEP, 0.5), "beta must be a torch.Tensor, got float"),
    (lambda: gated_delta_step(*STEP, BETA[:, 0], 0.5), "alpha must be a torch.Tensor"),
    (lambda: DeltaNet(8, beta_max=math.nan), "beta_max must be from 0 to 2: got nan"),
    (lambda: DeltaNet(8, beta_max=-1), "beta_max must be from 0 to 2: got -1"),
    (lambda: DeltaNet(8, gated=2), "gated must be True or False: got 2"),
    (lambda: DeltaNet(8, num_heads=None), "num_heads must be a whole .* got None"),
    (lambda: DeltaNet(8, feature_map=None), "feature_map must be .* use elu_plus_one"),
    (lambda: DeltaNet(4)(X), r"x must have D = 4 entries: got x \(2, 3, 8\)"),
    (lambda: DeltaNet(8)(X[0]), r"x must have shape \(B, T, D\): got \(3, 8\)"),
    (lambda: DeltaNet(8)(X.double()), r"x torch.float64 on cpu; use x.to\(weight\)"),
    (lambda: LinearAttention(8, feature_map="elu"), "feature_map must be .* 'elu'"),
    (lambda: LinearAttention(8)(X[..., 1:]), "x must have D = 8 entries"),
    (lambda: SoftmaxAttention(8)(X[..., 1:]), "x must have D = 8 entries"),
    (lambda: SoftmaxAttention(8)(X, X), r"state must be keys and values \(B, H, L, K"),
    (lambda: SoftmaxAttention(8)(X, (K, K)), r"= \(2, 1, L, 8\), .* got \(2, 3, 1, 4"),
    (lambda: AssociativeMemory(0), "num_keys must be a whole number, positive: got 0"),
    (lambda: AssociativeMemory(2.5), "num_keys must be a whole .* got 2.5"),
    (lambda: Model(num_layers=0), "num_layers must be a whole .* got 0"),
    (lambda: Model(d_hidden=0), "d_hidden must be a whole .* got 0"),
    (lambda: Model(tokens=1), "tokens must be True or False: got 1"),
    (lambda: model([[0, 1]]), "x must be a torch.Tensor, got list"),
    (lambda: model(None, tokens=False), "x must be a torch.Tensor, got NoneType"),
    (lambda: model(TOKENS, W), "states must be a list, .* got Tensor"),
    (lambda: model(TOKENS, []), "states must be a list, .* got 0"),
    (lambda: model(TOKENS, ["W"]), "W must be a torch.Tensor, got str"),
    (lambda: dpfp(X, 1.5), "nu must be a whole number from 1 to 2 K - 1 = 15: got 1.5"),
    (lambda: elu_plus_one([1.0]), "x must be a torch.Tensor, got list"),
    (lambda: sum_normalise(TOKENS), r"x must be floating point, .* got torch.int64"),
    (lambda: favor_plus(X, None), "projection must be a torch.Tensor, got NoneType"),
    (lambda: favor_plus(X, X[0].double()), "x and projection must share dtype"),
    (lambda: chunk_delta_rule(K, K, K, BETA, W, size=0), "size must be a whole .* 0"),
    (lambda: chunk_linear_attention(K, K, K, W, size=0), "size must be a whole .* 0"),
    (
        lambda: delta_rule(K, K, K, BETA, backend=[]),
        r"no backend \[\]: use one of auto",
    ),
    (
        lambda: delta_rule(*(x.half() for x in (K, K, K, BETA)), backend="chunk"),
        "float32 and float64: got torch.float16; use backend='loop'",
    ),
]


@pytest.mark.parametrize(("door", "message"), DOORS, ids=[m for _, m in DOORS])
def test_a_wrong_argument_is_named(door, message):
    with pytest.raises((TypeError, ValueError), match=message):
        door()


def test_a_backend_that_does_not_exist_is_answered_with_those_that_do(monkeypatch):
    monkeypatch.delattr(
        importlib.import_module("srwm_lite.kernels.linear_attention"), "cuda"
    )
    with pytest.raises(BackendUnavailableError, match=r"use one of auto, .*, fused"):
        fast_weights(K, K, K, backend="cuda")


def test_tokens_may_be_short_integers():
    net = Model()
    torch.testing.assert_close(net(TOKENS.short())[0], net(TOKENS)[0])


def test_whole_numbers_flags_and_ranges():
    check_whole(1, n=np.int64(1))
    for bad in (True, 1.0, "1", None, torch.tensor(2), 0):
        with pytest.raises(ValueError, match="n must be a whole number, positive"):
            check_whole(1, n=bad)
    with pytest.raises(ValueError, match="0 or more: got -1"):
        check_whole(0, n=-1)
    check_flag(on=False)
    check_range(0, 2, beta=2)


@pytest.mark.parametrize("text", ["1", "x"])
def test_flags_are_no_strings(text):
    with pytest.raises(TypeError, match="on must be True or False: got"):
        check_flag(on=text)
