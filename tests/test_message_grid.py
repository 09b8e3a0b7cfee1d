import base64
import json
import re

import pytest
import torch
from torch import nn
from torch.nn import functional
from widget_page import run_in_node, state

from srwm_lite.introspection import implied_weights
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import VSML, Memory
from srwm_lite.widgets import MessageGrid
from srwm_lite.widgets.message_grid_run import (
    begin,
    draw_start,
    pack,
    ready_scripts,
    run,
)

CASES = [  # (N, M, ticks), (I, O), learner
    ((16, 8, 2), (4, 3), {}),
    ((16, 8, 2), (9, 2), {"feed_label": True}),
    ((5, 2, 1), (3, 5), {"reduce": "sum"}),
    ((6, 3, 3), (16, 4), {"feed_label": True, "reduce": "sum"}),
]


def lively(sizes=(16, 8, 2), shifts=(-1.0, 1.0), **options):
    """Return an untrained net whose states move, and whose labels matter."""
    N, M, ticks = sizes
    cell = SubRNN(N, M, ticks=ticks, input_shift=shifts[0], forget_shift=shifts[1])
    with torch.no_grad():
        for weight in cell.parameters():
            weight.copy_(torch.randn_like(weight) * 0.8)
    return VSML(cell, **options)


def examples(I, O, T=7):  # noqa: E741
    """Return inputs, labels, and whether the error of each comes back."""
    x = torch.randn(T, I).double()
    writes = [True, True, False, False, True, False, True][:T]
    return x, torch.randint(O, (T,)).tolist(), writes


def made():
    cases = []
    for sizes, (I, O), options in CASES:  # noqa: E741
        net = lively(sizes, **options)
        start = draw_start(net, I, O, 3)
        cases.append((net.double(), start, examples(I, O)))
    return cases


def plain(case):
    net, start, (x, labels, writes) = case
    file = base64.b64encode(pack(net, start)).decode()
    return {"file": file, "examples": list(zip(x.tolist(), labels, writes))}  # noqa: B905


def expected(case):
    """Return what node must answer, by the learner itself."""
    net, start, (x, labels, writes) = case
    memory, O = begin(start, net.cell.message_size), start.shape[1]  # noqa: E741
    found = {name: [] for name in ("logits", "h", "c", "back", "before", "after")}
    for x_t, label, net.writes in zip(x, labels, writes, strict=True):
        found["before"].append(
            implied_weights(net, memory, x_t[None].double())[0].flatten()
        )
        target = functional.one_hot(torch.tensor([[label]]), O).double()
        logits, memory = net(x_t[None, None], target, memory, backend="loop")
        found["logits"].append(logits[0, 0])
        ((h, c),), (back,) = memory
        for name, value in (("h", h), ("c", c)):
            found[name].append(value[0].flatten())
        found["back"].append(back[0])
        found["after"].append(
            implied_weights(net, memory, x_t[None].double())[0].flatten()
        )
    return {name: torch.stack(all_).detach() for name, all_ in found.items()}


def compare(answers, cases, tolerance=1e-12):
    assert len(answers) == len(cases) > 0
    for got, case in zip(answers, cases, strict=True):
        for name, wanted in expected(case).items():
            found = torch.tensor(got[name], dtype=torch.float64)
            assert found.shape == wanted.shape, name
            scale = max(1.0, float(wanted.abs().max()))
            assert float((found - wanted).abs().max()) < tolerance * scale, name


def test_node_computes_what_the_learner_computes(tmp_path):
    cases = made()
    widget = MessageGrid(lively(), torch.randn(3, 4), classes=3)
    answers = run_in_node(
        widget, "message_grid.mjs", [plain(case) for case in cases], tmp_path
    )
    compare(answers, cases)
    for got, (_, _, (_, _, writes)) in zip(answers, cases, strict=True):
        moves = torch.tensor(got["c"]).diff(dim=0).abs().amax(dim=1)
        assert moves.min() > 1e-2  # something happens
        backs = torch.tensor(got["back"]).abs().amax(dim=(1, 2))
        assert [bool(x) for x in backs] == writes


def test_a_wrong_number_would_be_noticed():
    cases = made()[:2]
    answers = [{n: x.tolist() for n, x in expected(case).items()} for case in cases]
    compare(answers, cases)
    answers[1]["back"][4][1][0] += 1e-10
    with pytest.raises(AssertionError, match="back"):
        compare(answers, cases)


def test_without_errors_the_label_changes_nothing():
    net, start = lively().double(), draw_start(lively(), 4, 3, 0)
    pictures, first = torch.randn(2, 4), begin(start, 8)

    def answers(pairs):
        return torch.stack([one.chances for one in run(net, pictures, first, pairs)[0]])

    a, b = [[0, 0], [1, 1], [0, 0]], [[0, 2], [1, 1], [0, 0]]
    assert not torch.equal(answers(a)[1], answers(b)[1])
    assert torch.equal(answers(a)[0], answers(b)[0])
    net.writes = False
    assert torch.equal(answers(a), answers(b))


def test_implied_weights_by_hand():
    net = VSML(SubRNN(1, 2, ticks=1, input_shift=0.0, forget_shift=0.0)).double()
    net.requires_grad_(False)
    for weight in net.cell.parameters():
        weight.zero_()
    net.cell.weight[2, 0] = 2.0  # g = 2 x, all gates one half
    net.cell.forward_weight[1, 0] = 3.0
    state = torch.zeros(1, 2, 1, 1).double()
    memory = Memory(((state, state),), (torch.zeros(1, 1, 2).double(),))
    found = implied_weights(net, memory)[0]
    # logit = mean_a 3 tanh(tanh(2 x_a) / 2) / 2; at 0 its slope is 3 / 2 / 2
    torch.testing.assert_close(found, torch.full((2, 1), 0.75).double())


def test_words_and_picture_stand_for_the_widget():
    torch.manual_seed(4)
    net, x = lively(feed_label=True), torch.randn(3, 9)
    script = [(0, 0), (1, 1), (0, 0), (2, 0)]
    widget = MessageGrid(net, x, classes=2, names=["yes", "no"], script=script, shown=2)
    data, _ = widget._repr_mimebundle_()
    assert repr(widget) == data["text/plain"] == widget.words()
    again = MessageGrid(net, x, classes=2, names=["yes", "no"], script=script, shown=0)
    assert (repr(again), again.png()) == (repr(widget), widget.png())
    target = functional.one_hot(torch.tensor([[label for _, label in script]]), 2)
    memory = begin(draw_start(net, 9, 2, 0), 8)
    order = [n for n, _ in script]
    logits, _ = net.double()(
        x[order][None].double(), target.double(), memory, backend="loop"
    )
    hits = logits.argmax(dim=-1) == target.argmax(dim=-1)
    p = logits[0, -1].detach().softmax(dim=-1)
    name = ["yes", "no"][int(p.argmax())]
    text = widget.words()
    assert text.startswith(
        "Messages in a grid of 9 x 2 cells that share one small net: 3 pictures of 9 "
        f"numbers, 2 classes. The script shows 4 examples; the cells answer "
        f"{int(hits.sum())} right, and "
    )
    assert text.endswith(
        f" At the last, picture 3 told as yes, they answer {name} with "
        f"{100 * float(p.max()):.0f} %."
    )


def test_the_reader_arrives_where_asked():
    net = lively()
    net.writes = False
    widget = MessageGrid(net, torch.randn(3, 5), classes=4, labels=[3, 2, 1], shown=2)
    assert widget.shown == [[0, 3, False], [1, 2, False]]
    assert (widget.step, widget.writes, widget.names) == (12, False, list("1234"))
    assert widget.scripts[0] == ["all in turn", [[0, 3], [1, 2], [2, 1]] * 4]
    assert net.writes is False
    assert net.cell.weight.requires_grad


def test_the_seed_draws_the_start_and_leaves_other_draws_alone():
    net, x = lively(), torch.randn(2, 4)
    before = torch.random.get_rng_state()
    one, same, other = (MessageGrid(net, x, classes=2, seed=n) for n in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.weights == same.weights != other.weights


def test_ready_scripts_tell_their_stories():
    scripts = dict(ready_scripts([1, 0, 2], 3))
    assert scripts["all in turn"] == [[0, 1], [1, 0], [2, 2]] * 4
    assert scripts["one again and again"] == [[0, 1]] * 8
    assert scripts["then with another label"] == [[0, 1]] * 5 + [[0, 2]] * 7
    late = scripts["then one never seen"]
    assert late.index([2, 2]) == 6
    assert "then one never seen" not in dict(ready_scripts([0], 2))


def test_the_page_is_light():
    widget = MessageGrid(lively(), torch.randn(5, 16), classes=5)
    assert len(json.dumps(state(widget))) < 120_000


class Odd(nn.Module):
    """A cell that is no `SubRNN`."""

    state_size, message_size = 4, 4


@pytest.mark.parametrize(
    "net", [nn.Linear(2, 2), VSML(Odd())], ids=["no learner", "no such cells"]
)
def test_another_net_is_refused(net):
    with pytest.raises(TypeError, match="net must be a VSML of SubRNN cells: got"):
        MessageGrid(net, torch.zeros(1, 4), classes=2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"net": VSML(hidden=[3])}, r"one layer: got hidden=(3,); use VSML(hidden=())"),
        ({"net": VSML(SubRNN(grid=(4, 2)))}, "share their weights: got grid=(4, 2)"),
        ({"net": VSML(SubRNN(33))}, "N must be at most 32: got 33"),
        ({"pictures": torch.zeros(4)}, "pictures must have shape (n, I): got (4,)"),
        ({"pictures": torch.full((1, 4), torch.nan)}, "pictures must be finite"),
        ({"pictures": torch.zeros(9, 4)}, "n must be at most 8: got 9"),
        ({"pictures": torch.zeros(1, 26)}, "I must be at most 25: got 26"),
        ({"classes": 1}, "classes must be a whole number, 2 or more: got 1"),
        ({"classes": 9}, "O must be at most 8: got 9"),
        ({"labels": [0]}, "labels must be 2 numbers from 0 to 1, one for each pic"),
        ({"labels": [0, 2]}, "labels must be 2 numbers from 0 to 1"),
        ({"names": ["a"]}, "names must be 2 different words: got ['a']"),
        ({"names": "ab"}, "names must be 2 different words: got ['ab']"),
        ({"script": []}, "script must have 1 to 60 examples: got 0"),
        ({"script": [(0, 0)] * 61}, "script must have 1 to 60 examples: got 61"),
        ({"script": [(0, 1), (2, 0)]}, "from 0 to 1 and from 0 to 1: got (2, 0)"),
        ({"script": [(0,)]}, "script must hold pairs (picture, label)"),
        ({"shown": 9}, "shown must be from 0 to 8, the length of the script: got 9"),
        ({"shown": -1}, "shown must be a whole number, 0 or more: got -1"),
        ({"seed": -1}, "seed must be a whole number, 0 or more: got -1"),
    ],
)
def test_bad_input_is_named(wrong, message):
    given = {"net": VSML(), "pictures": torch.zeros(2, 4), "classes": 2} | wrong
    with pytest.raises(ValueError, match=re.escape(message)):
        MessageGrid(**given)
