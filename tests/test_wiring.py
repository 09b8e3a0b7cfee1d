import pytest
from matplotlib.patches import FancyArrowPatch

from srwm_lite.plots.wiring import MODELS, Edge, Wiring, describe, diagrams


def test_every_arrow_is_drawn_between_parts_that_exist():
    figure = diagrams()
    assert [ax.get_title() for ax in figure.axes] == list(MODELS)
    for ax, model in zip(figure.axes, MODELS.values(), strict=True):
        arrows = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
        assert len(arrows) == len(model.edges)
        written = {text.get_text() for text in ax.texts}
        assert set(model.parts) <= written
        assert {edge.what for edge in model.edges} - {""} <= written


@pytest.mark.parametrize("name", MODELS)
def test_every_model_goes_from_the_input_to_the_output(name):
    edges, reached = MODELS[name].edges, {"x"}
    for _ in edges:
        reached |= {e.end for e in edges if e.start in reached and e.kind != "hears"}
    assert reached == set(MODELS[name].parts)


def test_who_hears_what_is_said_in_words():
    heard = {
        name: [edge.words() for edge in model.edges if edge.kind == "hears"]
        for name, model in MODELS.items()
    }
    assert heard == {
        "DeltaNet": [],
        "Delta RNN": ["R hears the last y in q"],
        "Recurrent Delta Net": ["slow hears the last y in q, k, v and beta"],
        "Delta LSTM": ["3 R hears the last y in q"],
        "Delta MLP": [],
        "Delta Delta Net": [],
    }


def test_a_diagram_in_words():
    parts = {"x": (0.5, 0.0), "W": (0.5, 1.0)}
    one = {"net": Wiring(parts, (Edge("x", "W", "makes", "k v β"), Edge("W", "W")))}
    words = "1 diagram. net: x makes k, v and beta of W; W goes to W."
    assert describe(one) == words
