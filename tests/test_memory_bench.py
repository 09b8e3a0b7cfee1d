import pytest
import torch
from torch import Tensor
from widget_page import run_in_node

from srwm_lite.delta_rule import delta_step, gated_delta_step
from srwm_lite.feature_maps import unit_norm
from srwm_lite.outer_product import read, write
from srwm_lite.widgets import MemoryBench
from srwm_lite.widgets.patterns import correlated, orthogonal, presets

SIZES = [(1, 1), (2, 3), (5, 4), (9, 8), (16, 16)]


def cases(count=40):
    """Return inputs for the rules, as JSON can carry them."""
    made = []
    for n in range(count):
        V, K = SIZES[n % len(SIZES)]
        shapes = {"W": (V, K), "q": (K,), "k": (K,), "v": (V,)}
        case = {x: torch.randn(s, dtype=torch.float64) for x, s in shapes.items()}
        beta, alpha = 2 * torch.rand((), dtype=torch.float64), torch.rand(())
        made.append({**case, "beta": beta, "alpha": alpha.double(), "rule": "sum"})
        if n % 2:
            made[-1]["rule"] = "delta"
        if n == 7:
            made[-1]["k"] = torch.zeros(K, dtype=torch.float64)
    return made


def plain(case):
    return {n: x.tolist() if isinstance(x, Tensor) else x for n, x in case.items()}


def expected(case):
    """Return what `rules.mjs` must answer, by the Python of the book."""
    W, q, k, v, beta, alpha = (case[n] for n in ("W", "q", "k", "v", "beta", "alpha"))
    gated, y = gated_delta_step(W, q, k, v, beta, alpha)
    length = k @ k
    over = delta_step(W, k, k, v, 1 / length)[0] if length else W
    return {
        "write": write(W, k, v),
        "read": read(W, q),
        "delta": delta_step(W, q, k, v, beta)[0],
        "gated": gated,
        "y": y,
        "store": write(alpha * W, k, v) if case["rule"] == "sum" else gated,
        "overwrite": over,
        "unit": unit_norm(k),
    }


def compare(answers, made):
    assert len(answers) == len(made) > 0
    for got, case in zip(answers, made, strict=True):
        for name, wanted in expected(case).items():
            found = torch.tensor(got[name], dtype=torch.float64)
            assert found.shape == wanted.shape, name
            scale = max(1.0, float(wanted.abs().max()))
            assert float((found - wanted).abs().max()) < 1e-12 * scale, name


def test_node_computes_what_python_computes(tmp_path):
    made = cases()
    inputs = [plain(case) for case in made]
    compare(run_in_node(MemoryBench(), "rules.mjs", inputs, tmp_path), made)


def test_a_wrong_rule_would_be_noticed():
    made = cases(2)
    answers = [{n: x.tolist() for n, x in expected(c).items()} for c in made]
    compare(answers, made)
    answers[1]["delta"][0][0] += 1e-11
    with pytest.raises(AssertionError, match="delta"):
        compare(answers, made)


def test_matrix_starts_with_the_written_pairs():
    bench = MemoryBench(preset="orthogonal", written=8)
    keys, values = bench._pairs()
    torch.testing.assert_close(bench.W @ keys.T, values.T)
    assert MemoryBench().W.abs().sum() == 0


def test_delta_overwrites_where_sum_adds():
    pairs = {"keys": [[1, 0], [1, 0]], "values": [[1, -1, 0], [0, 1, 1]]}
    total = MemoryBench(**pairs, written=2).W
    last = MemoryBench(**pairs, written=2, rule="delta").W
    assert total[:, 0].tolist() == [1, 0, 1]
    assert last[:, 0].tolist() == [0, 1, 1]


def test_keys_keep_their_length_on_demand():
    bench = MemoryBench(keys=[[1, 1]], values=[[1]], unit_keys=False, written=1)
    assert bench.W.tolist() == [[1, 1]]


def test_keys_may_be_a_tensor():
    bench = MemoryBench(keys=torch.eye(2), values=torch.eye(2).int(), written=2)
    assert torch.equal(bench.W, torch.eye(2).double())


@pytest.mark.parametrize("K", [2, 4, 8, 16])
def test_orthogonal_keys_are_orthogonal(K):
    keys = torch.tensor(orthogonal(K))
    assert (keys @ keys.T == K * torch.eye(K, dtype=torch.int64)).all()


@pytest.mark.parametrize("K", [2, 5, 8])
def test_correlated_keys_overlap(K):
    keys = torch.tensor(correlated(K))
    overlap = keys @ keys.T
    assert (overlap >= K // 2).all()
    assert len(set(map(tuple, keys.tolist()))) == len(keys)


@pytest.mark.parametrize(("K", "V"), [(1, 1), (3, 16), (8, 9), (16, 4)])
def test_presets_fit_the_matrix(K, V):
    for pairs in presets(K, V):
        assert len(pairs["keys"]) == len(pairs["values"]) > 0
        assert {len(k) for k in pairs["keys"]} == {K}
        assert {len(v) for v in pairs["values"]} == {V}
    assert presets(K, V) == presets(K, V)


def test_words_and_picture_stand_for_the_widget():
    bench = MemoryBench(rule="delta", beta=0.5, alpha=0.9, written=3)
    data, _ = bench._repr_mimebundle_()
    assert repr(bench) == data["text/plain"] == bench.words()
    assert "delta rule, beta 0.5, alpha 0.9, one-hot keys, 3 pairs" in bench.words()
    assert "0x" not in repr(bench)
    assert bench.png().startswith(b"\x89PNG")
    assert len(bench.png()) < 40_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"K": 0}, "K must be from 1 to 16: got 0"),
        ({"V": 17}, "V must be from 1 to 16: got 17"),
        ({"beta": 2.5}, "beta must be from 0 to 2: got 2.5"),
        ({"alpha": -1}, "alpha must be from 0 to 1: got -1"),
        ({"rule": "oja"}, "rule must be 'sum' or 'delta': got 'oja'"),
        ({"preset": "orthogonal", "K": 6}, "preset must be one of one-hot, correlated"),
        ({"written": 99}, "written must be from 0 to 8: got 99"),
        ({"keys": [[1, 0]]}, "keys and values must pair up: got 1 keys, none"),
        ({"values": [[1]]}, "values need keys to stand under"),
        ({"keys": [1, 0], "values": [[1], [1]]}, "keys must be a list of patterns"),
        ({"keys": [[1, 2]], "values": [[1]]}, "keys must hold 2 entries of -1, 0 or 1"),
        ({"keys": [[1], [1]], "values": [[1], [1, 0]]}, "values must hold 1 entries"),
    ],
)
def test_bad_input_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        MemoryBench(**wrong)
