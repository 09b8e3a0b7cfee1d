import base64
import json

import numpy as np
import pytest
import torch
from widget_page import run_in_node, state

from srwm_lite import trace
from srwm_lite.delta_rnn import DeltaRNN
from srwm_lite.delta_rule import DeltaNet
from srwm_lite.linear_attention import LinearAttention
from srwm_lite.models import (
    LSTM,
    SequenceModel,
    SoftmaxAttention,
    recurrence_off,
    writes_off,
)
from srwm_lite.programs import CodeExecution
from srwm_lite.recurrent_delta import RecurrentDeltaNet
from srwm_lite.widgets import ProgramStepper, program_film, program_pack
from srwm_lite.widgets.program_script import script

TASK = CodeExecution(3, 12)
TEXT = "x = 5 ; x -- ; if x > 4 : print x ; y = 0 ; if x < 7 : y -- ; print y ;"


def gated(d_model, num_heads):
    return DeltaNet(d_model, num_heads, gated=True)


def model(layer=RecurrentDeltaNet, d_model=8, num_heads=2, num_layers=2, **options):
    torch.manual_seed(0)
    return SequenceModel(
        TASK.num_in,
        TASK.num_out,
        d_model,
        layer=layer,
        num_heads=num_heads,
        num_layers=num_layers,
        **options,
    )


def stepper(made=RecurrentDeltaNet, program=TEXT, **options):
    return ProgramStepper(model(made), program, task=TASK, **options)


def seen(widget, folder):
    data = base64.b64encode(widget.data).decode()
    argument = {"story": widget.story, "data": data}
    return run_in_node(widget, "program.mjs", argument, folder)


def test_python_says_what_a_program_does():
    told = script(TASK, TEXT)
    assert told.effects == [
        "x becomes 5",
        "x becomes 4",
        "is skipped: the condition does not hold",
        "y becomes 0",
        "y becomes −1",
        "prints −1",
    ]
    assert told.values[0] == {}
    assert told.values[3:] == [{"x": 4}, *({"x": 4, "y": n} for n in (0, -1, -1))]
    assert told.names == ["x", "y"]
    due = [(p.line, p.token, TASK.answers.words[p.due]) for p in told.prints]
    assert due == [(2, 14, "_"), (5, 29, "-1")]
    assert [told.line_of(t) for t in (0, 3, 4, 29)] == [0, 0, 1, 5]


def test_what_is_due_is_the_target_of_the_task():
    x, target = TASK.sample(50, torch.Generator().manual_seed(1))
    for tokens, wanted in zip(x, target, strict=True):
        told = script(TASK, tokens)
        found = torch.zeros(len(told.x), dtype=torch.long)
        for one in told.prints:
            found[one.token] = one.due
        assert torch.equal(found, wanted[wanted != -100])


def test_pieces_of_a_line_are_its_source():
    for tokens in TASK.sample(20, torch.Generator().manual_seed(2))[0]:
        told = script(TASK, tokens)
        for line in told.lines:
            assert "".join(told.pieces[line.start : line.stop]) == f"{line.source};"


@pytest.mark.parametrize(
    "layer", [RecurrentDeltaNet, DeltaRNN, DeltaNet, gated, LinearAttention]
)
def test_the_page_writes_the_matrices_again(layer, tmp_path):
    widget = stepper(layer)
    found = seen(widget, tmp_path)["films"]
    assert len(found) == len(widget._runs)
    for run, films in zip(widget._runs, found, strict=True):
        for one, film in zip(run.matrices, films, strict=True):
            spec = widget.story["matrices"][run.matrices.index(one)]
            exact = {
                "W": one.film.W.flatten(1),
                "side": program_film.written(one.film),
                "changes": one.film.changes.flatten(1).norm(dim=-1),
            }
            if one.film.z is None:
                exact["y"] = one.film.y
            assert np.abs(film["y"]).max() <= 1.001 * spec["readScale"]
            for name, wanted in exact.items():
                torch.testing.assert_close(
                    torch.tensor(film[name]).float(), wanted, atol=3e-4, rtol=1e-3
                )
            assert np.abs(film["W"]).max() <= 1.001 * spec["scale"]


def test_matrices_have_names():
    assert [m.title for m in stepper(DeltaRNN)._runs[0].matrices] == [
        f"layer {layer}, {letter}, head {head}"
        for layer in (1, 2)
        for letter in "WR"
        for head in (1, 2)
    ]


def test_a_rule_that_runs_twice_in_a_layer_is_numbered():
    x = torch.rand(1, 3, 1, 2)
    with trace.record() as recording:
        for _ in range(2):
            DeltaNet(2)(x[:, :, 0])
    letters = [m.letter for m in program_film.matrices(recording)]
    assert letters == ["W", "W2"]


def test_answers_are_those_of_the_model_under_its_switches():
    net, told = model(), script(TASK, TEXT)
    at = [p.token for p in told.prints]
    found = [one.chances for one in stepper()._runs]
    with torch.no_grad():
        wanted = [net(told.x[None])[0]]
        with writes_off(net):
            wanted.append(net(told.x[None])[0])
        with recurrence_off(net):
            wanted.append(net(told.x[None])[0])
            with writes_off(net):
                wanted.append(net(told.x[None])[0])
    for chances, out in zip(found, wanted, strict=True):
        exact = out[0, at].double().softmax(dim=-1)
        torch.testing.assert_close(chances, exact, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_the_model_is_handed_back_as_it_came():
    net = model(DeltaRNN)
    net.train()
    ProgramStepper(net, TEXT, task=TASK)
    assert net.training
    switches = [
        (m.writes, m.recurrence) for m in net.modules() if isinstance(m, DeltaRNN)
    ]
    assert switches == [(True, True)] * 2


def test_without_recurrence_there_is_one_switch(tmp_path):
    widget = stepper(DeltaNet)
    assert [run.title for run in widget._runs] == ["as trained", "writes off"]
    assert seen(widget, tmp_path)["with"] == [0, 1, -1, -1]
    with pytest.raises(ValueError, match="recurrence_off: no layer of the model has"):
        stepper(DeltaNet, recurrence_off=True)


def test_right_and_stray_answers_are_counted():
    net, told = model(), script(TASK, TEXT)
    bias = net.read_out[-1].bias
    with torch.no_grad():
        net.read_out[-1].weight.zero_()
        bias.copy_(torch.arange(len(bias)) == TASK.answers["-1"])
    runs = program_film.runs(net, told, TASK.num_out)
    assert all(one.right == [False, True] for one in runs)
    assert all(one.stray == len(told.x) - 2 for one in runs)


def test_browser_tells_the_program(tmp_path):
    widget = stepper()
    page = seen(widget, tmp_path)
    assert page["tokens"][0] == "Before the first of 30 tokens"
    assert page["tokens"][2] == "Token 2 of 30 · line 1, “=”"
    assert page["tokens"][4] == "Token 4 of 30 · line 1, its end · x becomes 5"
    assert page["tokens"][14] == "Token 14 of 30 · line 3, “(x)”"
    assert page["lines"][:6] == [-1, 0, 0, 0, 0, 1]
    assert page["done"][:5] == [0, 0, 0, 0, 1]
    assert page["done"][-1] == 6
    assert page["last"] == [-1] * 15 + [0] * 15 + [1]
    assert page["next"] == [15] * 15 + [30] * 16
    assert page["before"] == [0] * 16 + [15] * 15
    assert page["with"] == [0, 1, 2, 3]


def test_browser_tells_the_answers(tmp_path):
    widget = stepper()
    page, words = seen(widget, tmp_path), TASK.answers.words
    for run, answers, score in zip(
        widget._runs, page["answers"], page["scores"], strict=True
    ):
        for chance, due, right, said in zip(
            run.chances, ("nothing", "−1"), run.right, answers, strict=True
        ):
            word = words[int(chance.argmax())].replace("-", "−").replace("_", "nothing")
            end = "right" if right else "wrong"
            assert said.startswith(f"{run.title}: {word}, {end}, ")
            assert said.endswith("%" if right else f"; right is {due}")
        start = f"{run.title}: {sum(run.right)} of 2 prints right"
        assert score.startswith(start)


def test_writes_are_told_in_words(tmp_path):
    widget = stepper()
    words = [run[0]["words"] for run in seen(widget, tmp_path)["films"]]
    one = widget._runs[0].matrices[0].film
    at = int(one.k[0].argmax())
    assert words[0][0] == "Nothing is read and nothing is written yet."
    assert f"column {at + 1} (" in words[0][1]
    assert words[0][1].startswith("Written with β = 0.")
    assert set(words[1][1:]) == {"Nothing is written: β = 0."}


def test_a_paper_program_fits_into_a_page():
    net = model(DeltaNet, d_model=64, num_heads=4)
    task = CodeExecution(3, 100)
    program, _ = task.sample(1, torch.Generator().manual_seed(0))
    widget = ProgramStepper(net, program[0], task=task)
    assert len(widget._script.x) > 350
    only = {widget.model_id: state(widget)["state"][widget.model_id]}
    assert len(json.dumps(only)) <= 600_000
    assert [len(run["films"]) for run in widget.story["runs"]] == [4, 4]
    assert len(widget.png()) < 80_000


def test_too_long_films_are_refused(monkeypatch):
    runs = stepper()._runs
    packed = {}
    for most in (10**6, 7_000, 3_500, 1_700):
        monkeypatch.setattr(program_pack, "MOST", most)
        data, story = program_pack.pack(script(TASK, TEXT), TASK.answers.words, runs, 1)
        packed[most] = [len(run["films"]) for run in story["runs"]]
        assert len(data) <= most
        assert {m["layer"] for m in story["matrices"]} >= {1}
    assert list(packed.values()) == [[4] * 4, [2] * 4, [4, 0, 0, 0], [2, 0, 0, 0]]
    monkeypatch.setattr(program_pack, "MOST", 1000)
    with pytest.raises(ValueError, match="at most 1000 fit into a page: take fewer"):
        stepper()


def test_equal_films_travel_once():
    runs = stepper()._runs
    told, words = script(TASK, TEXT), TASK.answers.words
    once, twice = (program_pack.pack(told, words, runs[:1] * n)[0] for n in (1, 2))
    assert once == twice


def test_words_and_printed_form():
    widget = stepper(DeltaNet, layer=1, head=1)
    right = [sum(run.right) for run in widget._runs]
    assert repr(widget).startswith(
        f"A program of 6 lines and 30 tokens. Right answers at its 2 prints: "
        f"{right[0]} as trained, {right[1]} with writes off. Layer 2, W, head 2: 4 "
        "rows and 4 columns, largest change at token "
    )
    data, _ = widget._repr_mimebundle_()
    png = base64.b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG")
    assert len(png) < 60_000
    assert data["text/plain"] == widget.words()


def test_stands_where_told():
    assert (stepper().step, stepper(step=0).step) == (30, 0)
    widget = stepper(DeltaRNN, matrix="R", head=1, writes_off=True)
    assert (widget.layer, widget.matrix, widget.head) == (0, "R", 1)
    assert (widget.writes_off, widget.recurrence_off) == (True, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 99}, "step must be from 0 to T = 30: got 99"),
        ({"layer": 2}, "no matrix with layer=2, matrix='W', head=0, counted from 0"),
        ({"matrix": "R"}, "there are layer 1, W, head 1; layer 1, W, head 2"),
        ({"writes_off": 1}, "writes_off"),
        ({"program": TASK.sample(2)[0]}, r"tokens \(T,\) of one program.*got \(2, "),
        ({"program": ["x"]}, "or its text: got list"),
        ({"program": "x = 5"}, "a program ends in ';': got 'x = 5'"),
        ({"program": "x = 500 ;"}, "no word '500'"),
        ({"program": "print y ;"}, r"line 1, 'print\(y\)': name 'y' is not defined"),
        ({"program": "x = ; print x ;"}, "no statement: 'x ='"),
        ({"made": LSTM}, "recorded no fast weights: the stepper needs"),
        ({"made": SoftmaxAttention}, "recorded no fast weights"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        stepper(**options)


def test_a_model_of_another_task_is_refused():
    net = SequenceModel(TASK.num_in, 7, 8)
    with pytest.raises(ValueError, match="the task has 26 answers, the model 7"):
        ProgramStepper(net, TEXT, task=TASK)


def test_a_broken_model_is_refused():
    net = model()
    torch.nn.init.constant_(net.embed.weight, torch.nan)
    with pytest.raises(ValueError, match="answers with NaN"):
        ProgramStepper(net, TEXT, task=TASK)


def test_module_stands_alone():
    assert "\nimport " not in ProgramStepper._esm
