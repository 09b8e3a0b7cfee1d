import base64
import json
from itertools import chain, combinations

import pytest
import torch
from widget_page import run_in_node, state

from srwm_lite import trace
from srwm_lite.self_reference import BLOCKS, generate, self_reference
from srwm_lite.self_reference import self_reference_step as step
from srwm_lite.srwm import SRWM, SRDelta, start_matrix
from srwm_lite.widgets import SRWMStepper

SUBSETS = list(chain.from_iterable(combinations(BLOCKS, n) for n in range(5)))
SIZES = [(3, 1, 1), (9, 8, 8), (3, 16, 16)]


def numbers(T=5, K=4, V=3):
    """Return u and W."""
    u = torch.randn(T, K, dtype=torch.float64)
    return u, start_matrix(1, V, K)[0].double()


def cases():
    """Return every subset of frozen blocks, then other sizes."""
    chosen = [(frozen, (4, 3, 5)) for frozen in SUBSETS]
    chosen += [(("q",), sizes) for sizes in SIZES]
    return [
        {"frozen": frozen, "sizes": sizes, "inputs": numbers(*sizes)}
        for frozen, sizes in chosen
    ]


def expected(case):
    """Return what `srwm.mjs` must answer, by the Python of the book."""
    (u, W), frozen = case["inputs"], case["frozen"]
    live = torch.tensor([float(block not in frozen) for block in BLOCKS])
    found = {name: [] for name in ("W", "y", "q", "k", "rates")}
    found["W"].append(W)
    for u_t in u:
        for name, x in zip(("y", "q", "k", "rates"), generate(W, u_t), strict=True):
            found[name].append(x)
        W, _ = step(W, u_t, live.double())
        found["W"].append(W)
    return {name: torch.stack(all_) for name, all_ in found.items()}


def compare(answers, made):
    assert len(answers) == len(made) > 0
    for got, case in zip(answers, made, strict=True):
        for name, wanted in expected(case).items():
            found = torch.tensor(got[name], dtype=torch.float64)
            assert found.shape == wanted.shape, name
            scale = max(1.0, float(wanted.abs().max()))
            assert float((found - wanted).abs().max()) < 1e-12 * scale, name


def plain(case):
    u, W = (x.tolist() for x in case["inputs"])
    return {"u": u, "W": W, "frozen": case["frozen"]}


def block_rows(case, block):
    """Return which rows of W are the block."""
    _, K, V = case["sizes"]
    rows = torch.arange(V + 2 * K + 4).split([V, K, K, 4])
    return rows[BLOCKS.index(block)]


def test_node_computes_what_python_computes(tmp_path):
    made = cases()
    answers = run_in_node(
        SRWMStepper(*numbers()), "srwm.mjs", [plain(case) for case in made], tmp_path
    )
    compare(answers, made)
    for got, case in zip(answers, made, strict=True):
        W = torch.tensor(got["W"], dtype=torch.float64)
        for block in BLOCKS:
            rows = W[:, block_rows(case, block)]
            same = torch.equal(rows, rows[:1].expand_as(rows))
            assert same == (block in case["frozen"] or case["sizes"][1] == 1)
        written = (
            torch.tensor(got["sides"])[..., None] * torch.tensor(got["k"])[:, None]
        )
        torch.testing.assert_close(written, W.diff(dim=0), check_dtype=False)


def test_a_wrong_rule_would_be_noticed():
    made = cases()[:2]
    answers = [{n: x.tolist() for n, x in expected(c).items()} for c in made]
    compare(answers, made)
    answers[1]["W"][3][0][0] += 1e-11
    with pytest.raises(AssertionError, match="W"):
        compare(answers, made)


def test_the_python_of_the_cases_is_the_sequence():
    case = {"inputs": numbers(), "frozen": ("q",)}
    u, W = case["inputs"]
    y, last = self_reference(u[None, :, None], W[None, None], frozen=["q"])
    torch.testing.assert_close(expected(case)["y"], y[0, :, 0])
    torch.testing.assert_close(expected(case)["W"][-1], last[0, 0])


@pytest.mark.parametrize("layer", [SRWM, SRDelta])
def test_a_layer_is_shown_with_its_head_and_switches(layer):
    layer, x = layer(8, 2), torch.randn(6, 8)
    layer.frozen = ("k", "y")
    widget = SRWMStepper.of(layer, x, head=1, labels=list("abcdef"))
    assert torch.equal(torch.tensor(widget.u), x[:, 4:])
    assert torch.equal(torch.tensor(widget.W), layer.W[1].detach())
    assert (widget.frozen, widget.labels[1]) == (["y", "k"], "b")
    layer.writes = False
    assert SRWMStepper.of(layer, x).frozen == list(BLOCKS)
    assert SRWMStepper.of(layer, x, frozen=()).frozen == []


def test_a_layer_may_take_the_softmax_of_its_input():
    layer, x = SRWM(4, input_softmax=True), torch.randn(3, 4)
    assert torch.equal(torch.tensor(SRWMStepper.of(layer, x).u), x.softmax(dim=-1))


def test_a_recorded_layer_begins_where_its_state_stood():
    layer, x = SRWM(4), torch.randn(2, 6, 4)
    _, shift = layer(x[:, :3])
    with trace.record(layer) as recording:
        layer(x[:, 3:], shift)
    widget = SRWMStepper.recorded(recording, "SRWM", batch=1)
    W = (layer.W + shift)[1, 0].detach()
    torch.testing.assert_close(torch.tensor(widget.W), W)
    assert torch.equal(torch.tensor(widget.u), x[1, 3:])


def test_words_and_picture_stand_for_the_widget():
    u, W = numbers()
    labels = [*"abcd", "question"]
    widget = SRWMStepper(u, W, labels=labels, frozen="q")
    data, _ = widget._repr_mimebundle_()
    assert repr(widget) == data["text/plain"] == widget.words()
    made = expected({"inputs": (u, W), "frozen": ("q",)})
    rates = ", ".join(
        f"{b} {x:.2g}" for b, x in zip(BLOCKS, made["rates"][-1], strict=True)
    )
    y = (made["W"][-1] - W)[:3].norm() / W[:3].norm()
    assert widget.words().startswith(
        "A matrix that rewrites itself: 15 rows (y 3, q 4, k 4, beta 4), 4 columns, "
        f"5 steps, frozen: q. Step 5 of 5 (question). Learning rates: {rates}. "
        f"Moved from the start: y {y:.2g}, q 0, k "
    )
    first = SRWMStepper(u, W, step=0)
    assert first.words().endswith(
        "Step 0 of 5. Moved from the start: y 0, q 0, k 0, beta 0."
    )
    assert base64.b64encode(first.png()).decode() != data["image/png"]


def test_rows_of_zeros_stay_zeros():
    u, W = numbers()
    W[:3] = 0
    assert "Moved from the start: y 0, q " in SRWMStepper(u, W).words()


def test_the_largest_stepper_is_small():
    widget = SRWMStepper(*numbers(64, 16, 64))
    assert len(json.dumps(state(widget))) < 200_000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"u": torch.zeros(4)}, r"u must have shape \(T, K\): got \(4,\)"),
        ({"u": torch.zeros(0, 4)}, r"u must have shape \(T, K\): got \(0, 4\)"),
        ({"W": torch.zeros(1, 15, 4)}, r"W must have shape \(V \+ 2 K \+ 4, K\): got"),
        ({"W": torch.zeros(12, 4)}, r"\(13 or more, 4\) to fit u \(5, 4\): got W \(12"),
        ({"W": torch.zeros(15, 5)}, r"to fit u \(5, 4\): got W \(15, 5\)"),
        ({"u": torch.full((5, 4), torch.nan)}, "u must be finite"),
        ({"W": torch.full((15, 4), torch.inf)}, "W must be finite"),
        ({"u": torch.zeros(65, 4)}, "T must be at most 64: got 65"),
        ({"W": torch.zeros(77, 4)}, "V must be at most 64: got 65"),
        ({"u": torch.zeros(2, 17), "W": torch.zeros(40, 17)}, "K must be at most 16"),
        ({"labels": ["a"]}, "labels must be a list of 5 words, one for each of the st"),
        ({"labels": "abcde"}, "labels must be a list of 5 words.*got 'abcde'"),
        ({"frozen": ["v"]}, "frozen must name blocks of W, of y, q, k, beta: got 'v'"),
        ({"view": "film"}, "view must be one of .*: got 'film'"),
        ({"step": 6}, "step must be from 0 to T = 5: got 6"),
        ({"read_out": torch.eye(4)}, r"\(C, V\) with V = 3: got \(4, 4\)"),
        ({"read_out": torch.eye(3), "names": ["a"]}, "names must be a list of 3 words"),
        ({"names": ["a"]}, "names must be a list of 0 words"),
    ],
)
def test_bad_input_is_named(wrong, message):
    u, W = numbers()
    with pytest.raises(ValueError, match=message):
        SRWMStepper(**{"u": u, "W": W} | wrong)


def test_a_missing_head_or_layer_is_named():
    with pytest.raises(IndexError, match="head 2 does not exist: use 0 to 1"):
        SRWMStepper.of(SRWM(8, 2), torch.randn(3, 8), head=2)
    with trace.record() as recording:
        SRWM(4)(torch.randn(1, 3, 4))
    with pytest.raises(IndexError, match=r"no layer 'mix.y' was recorded"):
        SRWMStepper.recorded(recording, "mix")
