import json
import re

import pytest
import torch
from safetensors.torch import save_file
from teach_lessons import (
    CASES,
    MADE,
    compare_lessons,
    drawings,
    hands,
    lessons,
    stored,
    untrained,
)
from torch import nn
from widget_page import run_in_node

from srwm_lite.delta_rule import DeltaNet
from srwm_lite.few_shot import FewShotNet
from srwm_lite.few_shot_weights import load_weights, save_weights
from srwm_lite.srwm import SRWM
from srwm_lite.stems import mlp_stem
from srwm_lite.widgets import TeachMe
from srwm_lite.widgets.house import style
from srwm_lite.widgets.teach import LABEL_COLOURS, WEIGHTS
from srwm_lite.widgets.teach_lesson import drawing


@pytest.fixture(scope="module")
def shipped():
    return TeachMe()


@pytest.fixture(scope="module")
def answered(shipped, tmp_path_factory):
    """Return what node answers, and what it was asked."""
    folder = tmp_path_factory.mktemp("teach")
    torch.manual_seed(0)
    inputs, nets = lessons(folder)
    asked = {
        "lessons": inputs,
        "drawings": drawings()[0],
        "hands": hands()[0],
        "seeds": [*range(60), 0],
        "lists": [list("abcde")] * 60,
    }
    return run_in_node(shipped, "teach.mjs", asked, folder), nets


def test_node_reads_whole_lessons_as_python_does(answered):
    answers, nets = answered
    compare_lessons(answers["lessons"], nets, torch.float32, 1e-5)
    compare_lessons(answers["lessons"], nets, torch.float64, 1e-11)
    assert [one["made"] for one in answers["lessons"]] == [MADE] * len(nets)


def test_the_lessons_move_the_matrix_and_the_answer(answered):
    for one in answered[0]["lessons"]:
        states, logits = (torch.tensor(one[name]) for name in ("states", "logits"))
        assert states.diff(dim=0).abs().amax(dim=(1, 2)).min() > 1e-3
        assert logits.diff(dim=0).abs().amax(dim=1).min() > 1e-4


def test_a_wrong_number_would_be_noticed(answered):
    answers, nets = answered
    wrong = json.loads(json.dumps(answers["lessons"]))
    wrong[1]["states"][3][1][5] += 1e-9
    with pytest.raises(AssertionError, match="states"):
        compare_lessons(wrong, nets, torch.float64, 1e-11)


def test_node_draws_as_python_draws(answered):
    wanted = drawings()[1]
    found = torch.tensor(answered[0]["drawings"], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    assert wanted[:3].amax(dim=1).min() > 0.7
    assert wanted[3].sum() == 0


def test_a_drawing_stands_in_the_middle_at_any_place_and_size():
    strokes = [torch.tensor([[0.0, 0], [1, 2]]), torch.tensor([[1.0, 0], [0.5, 0.5]])]
    picture = drawing(strokes, 28)
    torch.testing.assert_close(drawing([9 + 30 * s for s in strokes], 28), picture)
    rows = picture.amax(dim=1).gt(0.5).nonzero().flatten() + 0.5
    assert 0.72 < (rows[-1] - rows[0]) / 28 < 0.81  # the pen is 0.08 wide
    assert rows.mean() == pytest.approx(14, abs=0.51)


def test_a_drawing_has_no_holes():
    line = drawing([torch.tensor([[0.0, 0], [1, 0]])], 21)
    assert line[10, 4:17].min() > 0.95
    assert line[:7].max() < 1e-3


def test_nothing_and_a_dot_are_drawings():
    assert drawing([], 7).tolist() == [[0.0] * 7] * 7
    dot = drawing([torch.tensor([[3.0, 4]])], 7)
    assert dot[3, 3] == 1
    assert dot.sum() < 1.01


def test_another_hand_in_node_is_another_hand_in_python(answered):
    wanted = hands()[1]
    assert len(wanted) == len(answered[0]["hands"])
    for found, points in zip(answered[0]["hands"], wanted, strict=True):
        found = torch.tensor(found)
        torch.testing.assert_close(found, points, rtol=0, atol=1e-6)


def test_node_invents_characters_like_those_of_python(answered):
    *invented, first_again = answered[0]["invented"]
    assert first_again == invented[0]
    assert len({json.dumps(one) for one in invented}) == len(invented)
    assert {len(one) for one in invented} == {2, 3, 4}
    places = torch.cat([torch.tensor(x).flatten(0, 1) for x in invented])
    assert 0.13 < places.min() < places.max() < 0.87


def test_shuffled_labels_all_leave_their_place(answered):
    mixed = answered[0]["mixed"]
    assert all(sorted(one) == list("abcde") for one in mixed)
    assert not any(a == b for one in mixed for a, b in zip(one, "abcde", strict=True))
    assert len(set(map(tuple, mixed))) > 10


def test_a_net_comes_back_as_it_was_stored(tmp_path):
    net, size = untrained("conv", {"norm_on": "layer"})
    path = tmp_path / "net.safetensors"
    save_weights(path, net, MADE, size=size)
    again, made = load_weights(path)
    assert made == MADE
    assert str(again) == str(net)
    before, after = net.state_dict(), again.state_dict()
    kept = [name for name, x in before.items() if x.is_floating_point()]
    assert all(torch.equal(before[name], after[name]) for name in kept)
    x = torch.rand(1, 5, size, size)
    lesson = x, torch.arange(5)[None], x[:, 2:4]
    torch.testing.assert_close(again(*lesson), net(*lesson))


def test_half_precision_halves_the_file(tmp_path):
    net, size = untrained("mlp", {})
    sizes = []
    for half in (False, True):
        path = tmp_path / f"{half}.safetensors"
        save_weights(path, net, MADE, size=size, half=half)
        sizes.append(path.stat().st_size)
    kept = {n: x for n, x in net.state_dict().items() if x.is_floating_point()}
    count = sum(x.numel() for x in kept.values())
    assert sizes[0] - sizes[1] == pytest.approx(2 * count, abs=64)
    same = {name: x.half().float() for name, x in kept.items()}
    back = load_weights(path)[0].state_dict()
    assert all(torch.equal(back[name], same[name]) for name in same)


def test_the_shipped_file_is_small_and_says_where_it_comes_from(shipped):
    assert WEIGHTS.stat().st_size < 1_000_000
    assert shipped.made.keys() >= MADE.keys()


def test_words_and_picture_stand_for_the_widget(shipped):
    data, _ = shipped._repr_mimebundle_()
    assert repr(shipped) == data["text/plain"] == shipped.words()
    chances = shipped._lesson.chances
    n = int(chances[-1].argmax())
    with_writes, without = (f"{100 * float(x[n]):.0f} %" for x in chances[[-1, 0]])
    said = f"{n + 1}, {with_writes}; with writes off, {n + 1} gets {without}."
    assert shipped.words().endswith(said)
    assert f"which is {shipped.meant + 1}:" in shipped.words()
    assert shipped.png().startswith(b"\x89PNG")
    assert len(shipped.png()) < 60_000


def test_sheets_may_be_empty():
    bare = TeachMe(drawn=False, names=["ka", "ki", "ku", "ke", "ko"])
    assert bare.strokes == [[]] * 6
    assert bare.words().endswith("All sheets are empty.")
    assert bare.png().startswith(b"\x89PNG")


def test_a_seed_draws_the_same_lesson(shipped):
    assert TeachMe(seed=shipped.seed).strokes == shipped.strokes
    assert TeachMe(seed=1).strokes != shipped.strokes


def test_page_and_print_have_the_same_colours():
    first = re.findall(r"--fw-label-\d: (#\w+);", style("teach"))[:5]
    assert tuple(first) == LABEL_COLOURS


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"names": ["a", "b"]}, "names must be 5 different words: got"),
        ({"names": ["a", "b", "c", "d", "a"]}, "names must be 5 different words"),
        ({"step": 7}, "step must be from 0 to 6: got 7"),
        ({"layer": 9}, "layer must be from 0 to"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"weights": "no/such.file"}, "there is no file no.such.file: give a file"),
        ({"weights": __file__}, "is no safetensors file: .*; give a file that"),
    ],
)
def test_bad_input_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        TeachMe(**wrong)


def test_files_of_other_nets_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.ones(1)}, path, {"format": "pt"})
    with pytest.raises(
        ValueError, match="wanted the metadata net and made, got format"
    ):
        TeachMe(path)
    net, size = untrained("mlp", {})
    save_weights(path, net, MADE, size=size)
    with pytest.raises(ValueError, match="draws pictures of 28 by 28: the net in"):
        TeachMe(path)
    net, size = untrained("mlp", {}, ways=3)
    save_weights(path, net, MADE, size=size)
    with pytest.raises(ValueError, match="trained for 3; train one with ways=5"):
        TeachMe(path)


def test_nets_that_the_page_cannot_compute_are_refused(tmp_path):
    path = tmp_path / "never.safetensors"
    stem = mlp_stem(3, 2, 2)
    delta = FewShotNet(stem, 2, 5, d_model=4, layer=DeltaNet)
    with pytest.raises(ValueError, match="layers of the net must all be SRWM: got Del"):
        save_weights(path, delta, MADE)
    late = FewShotNet(stem, 2, 5, d_model=4, layer=SRWM, reminder=True)
    with pytest.raises(ValueError, match="needs no reminder"):
        save_weights(path, late, MADE)
    net, _ = stored(tmp_path, CASES[0])[:2]
    with pytest.raises(ValueError, match=r"made must say .*: commit absent"):
        save_weights(path, net, {k: v for k, v in MADE.items() if k != "commit"})
    with pytest.raises(ValueError, match="score must be from 0 to 1: got 97"):
        save_weights(path, net, {**MADE, "score": 97})
    net.stem.append(nn.GELU())
    with pytest.raises(ValueError, match="cannot compute a stem with GELU: it knows"):
        save_weights(path, net, MADE)
    assert not path.exists()
