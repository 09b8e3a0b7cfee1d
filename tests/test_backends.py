import sys
import types
import warnings

import pytest
import torch

from srwm_lite import backends
from srwm_lite.backends import BackendUnavailableError, choose
from srwm_lite.delta_rule import delta_rule, delta_step

X = torch.zeros(1)
TORCH = {"chunk": lambda: "chunk", "loop": lambda: "loop"}


@pytest.fixture
def idea(monkeypatch):
    """Return a kernel module without functions; a test may add some."""
    module = types.ModuleType("srwm_lite.kernels.idea")
    monkeypatch.setitem(sys.modules, "srwm_lite.kernels.idea", module)
    monkeypatch.setattr(backends, "_said", set())
    return module


def unavailable():
    raise RuntimeError("no C++ compiler: install g++")


@pytest.mark.parametrize("name", ["chunk", "loop"])
def test_a_torch_backend_is_taken_by_name(name):
    assert choose("idea", name, TORCH, X)() == name


def test_a_kernel_is_taken_by_name_and_by_auto(idea):
    idea.fused = lambda: lambda: "fused"
    assert choose("idea", "fused", TORCH, X)() == "fused"
    assert choose("idea", "auto", TORCH, X)() == "fused"


def test_auto_takes_the_first_torch_form_where_no_kernel_exists(idea):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose("idea", "auto", TORCH, X)() == "chunk"
    with pytest.raises(BackendUnavailableError, match="does not exist for idea"):
        choose("idea", "fused", TORCH, X)


def test_auto_says_once_why_a_kernel_does_not_serve(idea):
    idea.fused = unavailable
    with pytest.warns(UserWarning, match="Plain torch computes idea: .*install g"):
        assert choose("idea", "auto", TORCH, X)() == "chunk"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        choose("idea", "auto", TORCH, X)


def test_a_wanted_kernel_that_does_not_serve_gives_the_reason(idea):
    idea.fused = unavailable
    with pytest.raises(BackendUnavailableError, match="'fused' is unavailable: no C"):
        choose("idea", "fused", TORCH, X)


def test_an_unknown_backend_is_answered_with_the_names():
    with pytest.raises(ValueError, match=r"no backend 'fsued': use one of auto, loop"):
        choose("idea", "fsued", TORCH, X)


def test_a_form_that_does_not_exist_is_answered_with_those_that_do():
    only_loop = {"loop": TORCH["loop"]}
    with pytest.raises(BackendUnavailableError, match=r"'chunk' .* one of auto, loop$"):
        choose("no_such_idea", "chunk", only_loop, X)


SHAPES = {"W": (2, 3), "y": (2,)}


def test_a_state_starts_from_zeros_or_from_what_fits():
    W, y = backends.start_state(None, torch.ones(1).double(), **SHAPES)
    assert (W.shape, y.shape, W.dtype) == ((2, 3), (2,), torch.float64)
    assert not W.any()
    given = (torch.ones(2, 3), torch.ones(2))
    assert backends.start_state(given, torch.ones(1), **SHAPES) == given


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (torch.ones(2, 3), r"state must be \(W, y\) .* got Tensor"),
        ((torch.ones(2, 3),), r"state must be \(W, y\) .* got 1 parts"),
        ((torch.ones(2, 3), torch.ones(3)), r"y in .* shape \(2,\): got \(3,\)"),
        ((torch.ones(2, 3), torch.ones(2).double()), "inputs and y must share dtype"),
    ],
)
def test_a_state_that_does_not_fit_is_named(state, words):
    with pytest.raises(ValueError, match=words):
        backends.start_state(state, torch.ones(1), **SHAPES)


def test_recorders_hear_of_every_sequence(monkeypatch):
    calls = []
    monkeypatch.setattr(backends, "recorders", [calls.append])
    q, v, beta = torch.ones(1, 3, 1, 2), torch.ones(1, 3, 1, 4), torch.ones(1, 3, 1)
    delta_rule(q, q, v, beta, backend="chunk")
    (call,) = calls
    assert call.idea == "delta_rule"
    assert call.step is delta_step
    assert call.state.shape == (1, 1, 4, 2)
    assert [*call.inputs] == ["q", "k", "v", "beta"]
    assert call.inputs["v"] is v


def test_rank_is_checked_by_name():
    with pytest.raises(ValueError, match=r"k must have shape \(B, T\): got \(3,\)"):
        backends.check_rank("BT", k=torch.zeros(3))
    with pytest.raises(TypeError, match=r"k must be a torch.Tensor, got list"):
        backends.check_rank("BT", k=[[0.0]])
    with pytest.raises(ValueError, match=r"got torch.int64: use k.float\(\)"):
        backends.check_rank("BT", k=torch.zeros(2, 3, dtype=torch.int64))


def test_leading_axes_are_compared_by_name():
    k, v = torch.zeros(2, 7, 4), torch.zeros(2, 6, 5)
    backends.check_agree("B", k=k, v=v)
    with pytest.raises(
        ValueError, match=r"k and v must agree in \(B, T\): got k \(2, "
    ):
        backends.check_agree("BT", k=k, v=v)


def test_dtypes_and_devices_are_compared_by_name():
    with pytest.raises(ValueError, match=r"v torch.float64 on cpu; use v.to\(k\)"):
        backends.check_alike(k=X, v=X.double())
    with pytest.raises(ValueError, match="on meta"):
        backends.check_alike(k=X, v=X.to("meta"))


def test_indices_are_checked_by_name_and_range():
    backends.check_index("num_keys", 4, keys=torch.tensor([0, 3]))
    backends.check_index("num_keys", 4, keys=torch.tensor([], dtype=torch.int64))
    for bad in ([0, 4], [-1, 2]):
        with pytest.raises(
            ValueError, match=r"keys must be from 0 to num_keys - 1 = 3"
        ):
            backends.check_index("num_keys", 4, keys=torch.tensor(bad))
    for bad in (torch.zeros(2), torch.zeros(2, dtype=torch.bool)):
        with pytest.raises(ValueError, match="keys must hold integers, got torch"):
            backends.check_index("num_keys", 4, keys=bad)


def test_the_start_is_zero_or_what_fits():
    k, W = torch.randn(2, 7, 3, 4), torch.randn(2, 3, 5, 4)
    assert backends.start(W, k, rows=5) is W
    assert torch.equal(backends.start(None, k, rows=5), torch.zeros(2, 3, 5, 4))
    with pytest.raises(ValueError, match=r"= \(2, 3, 6, 4\): got \(2, 3, 5, 4\)"):
        backends.start(W, k, rows=6)
    with pytest.raises(ValueError, match="k and W must share dtype"):
        backends.start(W.double(), k, rows=5)
    with pytest.raises(TypeError, match=r"W must be a torch.Tensor, got str"):
        backends.start("chunk", k, rows=5)
