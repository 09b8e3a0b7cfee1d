import base64
import io
import sys
import types

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from srwm_lite import plots
from srwm_lite.delta_rule import delta_rule
from srwm_lite.feature_maps import unit_norm
from srwm_lite.plots import look, output
from srwm_lite.plots.words import number
from srwm_lite.trace import record

X = [4, 8, 12, 16]
CURVES = {
    "sum": torch.tensor([[0.99, 0.97, 0.8, 0.4], [0.97, 0.95, 0.8, 0.42]]),
    "delta": torch.tensor([[0.95, 0.94, 0.92, 0.6], [0.93, 0.94, 0.9, 0.6]]),
    "softmax": torch.ones(4),
}
BARS = {"sum": [0.5, 0.52, 0.48], "delta": [0.9, 0.88, 0.92], "off": 0.1}


@pytest.fixture
def film():
    q = k = unit_norm(torch.randn(1, 12, 1, 8))
    with record() as rec:
        delta_rule(q, k, torch.randn(1, 12, 1, 6), torch.ones(1, 12, 1))
    return rec.film()


def png(figure):
    return base64.b64decode(output._png(figure))


def figures(film):
    yield plots.matrix(torch.eye(3), "W")
    yield plots.matrix(torch.randn(64, 64))
    yield plots.matrices([torch.randn(4, 5)] * 7, [f"W{i}" for i in range(7)])
    yield plots.film_strip(film)
    yield plots.spectrum(film.singular_values)
    yield plots.curves(X, CURVES, "keys", "accuracy", marks={"d": 8}, levels={"c": 0})
    yield plots.curves(X, CURVES, "T", "time", xscale="log", yscale="log")
    yield plots.bars(BARS, "accuracy")
    yield plots.bars(BARS, "accuracy", levels={"ceiling": 0.7})
    yield plots.pictures(torch.rand(11, 7, 7), [f"{i}" for i in range(11)])


def test_every_figure_is_a_light_white_card_as_wide_as_the_text(film):
    for figure in figures(film):
        data = png(figure)
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        assert len(data) < 60_000
        assert picture.width == round(look.WIDTH * look.DPI)
        assert 200 < picture.height < 1000
        assert picture.getpixel((0, 0)) == (255, 255, 255)


def test_drawing_changes_no_global_state(film):
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        first = [png(figure) for figure in list(figures(film))[::7]]
        assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []
    torch.manual_seed(1)
    assert first[0] == png(plots.matrix(torch.eye(3), "W"))


def test_numbers_stand_in_small_matrices_only():
    def texts(W):
        return [t.get_text() for ax in plots.matrix(W).axes for t in ax.texts]

    assert texts([[1, -2], [0, 3]]) == ["1", "−2", "0", "3"]
    assert texts([[0.5, -0.001]]) == ["0.50", "0.00"]
    assert texts(torch.randn(32, 32)) == []
    assert len(plots.matrix(torch.randn(32, 32)).axes) == 2


def test_matrices_share_one_symmetric_scale():
    figure = plots.matrices([torch.eye(2), -5 * torch.eye(2)], ["a", "b"])
    limits = [image.get_clim() for ax in figure.axes for image in ax.images]
    assert limits == [(-5, 5), (-5, 5)]
    assert np.allclose(look.DIVERGING(0.5), 1, atol=0.02)


def test_numbers_in_cells_have_contrast():
    def luminance(colour):
        rgb = np.array(to_rgb(colour))
        low, high = rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4
        return np.where(rgb <= 0.04045, low, high) @ [0.2126, 0.7152, 0.0722]

    W = torch.arange(-50, 51)[:, None]
    figure = plots.matrix(W)
    ratios = []
    for ax in figure.axes:
        for text, x in zip(ax.texts, ax.images[0].get_array().flat, strict=True):
            light, dark = sorted(
                (luminance(text.get_color()), luminance(look.DIVERGING(x / 100 + 0.5))),
                reverse=True,
            )
            ratios.append((light + 0.05) / (dark + 0.05))
    assert len(ratios) == 101
    assert min(ratios) > 4.5


def test_curves_differ_without_colour():
    series = {str(i): torch.rand(4) for i in range(7)}
    lines = plots.curves(X, series, "x", "y").axes[0].lines
    looks = {(line.get_marker(), str(line.get_linestyle())) for line in lines}
    assert len({m for m, _ in looks}) == 7
    assert len({line.get_color() for line in lines}) == 7


def test_a_band_shows_the_seeds():
    axes = plots.curves(X, CURVES, "x", "y").axes[0]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.4, 0.99))
    assert len(axes.collections) == 2


def test_film_strip_refuses_times_outside(film):
    assert len(plots.film_strip(film, times=[0, 12]).axes) == 3
    with pytest.raises(ValueError, match="times must be from 0 to T = 12"):
        plots.film_strip(film, times=[13])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plots.matrix(torch.ones(1, 2, 3)), r"shape \(V, K\).*W\[0, 0\]"),
        (lambda: plots.matrix(torch.ones(0, 3)), r"got \(0, 3\)"),
        (lambda: plots.matrices([torch.eye(2)], []), "1 matrices, 0 titles"),
        (lambda: plots.pictures(torch.ones(7, 7), ["a"]), r"\(n, h, w\).*got \(7, 7\)"),
        (lambda: plots.pictures(torch.ones(2, 7, 7), ["a"]), "2 pictures, 1 titles"),
        (lambda: plots.curves([1, 2], {"a": [1, 2, 3]}, "x", "y"), "with 2 points"),
        (lambda: plots.curves([1, 2], {}, "x", "y"), "at least one series"),
        (lambda: plots.bars({"a": [[1.0]]}, "y"), r"'a': \(1, 1\)"),
        (lambda: plots.glue("x", torch.ones(2)), r"shape \(2,\)"),
        (lambda: plots.show(None, " "), "alt must say"),
        (lambda: plots.show(None, "<Figure size 660x280>"), "alt must say"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.fixture
def shown(monkeypatch):
    """Return the bundles that are displayed, as if a notebook were running."""
    bundles = []
    shell = types.SimpleNamespace()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)

    def display(data, *, raw, metadata):
        assert raw
        bundles.append((data, metadata))

    monkeypatch.setattr("IPython.display.display", display)
    return bundles


def test_show_displays_picture_and_words_and_closes(shown):
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    plots.show(figure, alt="A line\n  that rises.")
    ((data, _),) = shown
    assert data["text/plain"] == "A line that rises."
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert plt.get_fignums() == []


def test_show_is_silent_outside_a_notebook(monkeypatch, capsys):
    assert plots.show(plots.matrix(torch.eye(2)), alt="One.") is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert plots.show(plots.matrix(torch.eye(2)), alt="One.") is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.98765, ":.2f", "0.99"),
        (torch.tensor(0.5), ":.1%", "50.0%"),
        (np.float64(0.25), "", "0.25"),
        (3, ":d", "3"),
        ("delta", "", "delta"),
    ],
)
def test_glue_can_be_formatted_in_the_text(shown, value, form, text):
    variables = pytest.importorskip("myst_nb.core.variables")
    plots.glue("name", value)
    ((data, metadata),) = shown
    prefix = metadata["scrapbook"]["mime_prefix"]
    assert metadata["scrapbook"]["name"] == "name"
    stored = data[f"{prefix}text/plain"]
    assert variables.format_plain_text(stored, form.lstrip(":")) == text


def test_several_numbers_are_glued_at_once(shown):
    plots.glue_all("lm-a", sum=0.5, no_writes=torch.tensor(2), **{"RDN,\nno 1": 0})
    names = [metadata["scrapbook"]["name"] for _, metadata in shown]
    assert names == ["lm-a-sum", "lm-a-no-writes", "lm-a-RDN-no-1"]


def test_myst_nb_finds_what_was_glued(shown):
    glue = pytest.importorskip("myst_nb.ext.glue")
    v4 = pytest.importorskip("nbformat.v4")
    plots.glue("loss", 0.5)
    ((data, metadata),) = shown
    out = v4.new_output("display_data", data=data, metadata=metadata)
    found = glue.extract_glue_data_cell(v4.new_code_cell(outputs=[out]))
    ((name, kept),) = found
    assert name == "loss"
    assert kept["data"]["text/plain"] == "0.5"


@pytest.mark.parametrize(
    ("x", "digits", "text"),
    [
        (0.125, 2, "0.13"),
        (0.12499999, 2, "0.13"),
        (0.12500001, 2, "0.13"),
        (-2.0, 3, "-2"),
        (0.1 + 0.2, 3, "0.3"),
        (-0.0, 3, "0"),
        (1234.5, 3, "1230"),
        (2048.0, 3, "2048"),
        (-10.0, 3, "-10"),
        (3.2e-9, 3, "3.2e-9"),
        (1e12, 3, "1e12"),
        (99.99, 3, "100"),
        (float("nan"), 3, "not a number"),
        (-float("inf"), 3, "minus infinity"),
    ],
)
def test_numbers_are_short_and_do_not_flip(x, digits, text):
    assert number(x, digits) == text


def test_small_matrix_in_words():
    words = plots.describe_matrix([[1.0, 0, -2], [0, 3, 1]], "W")
    assert words == "W, 2 rows by 3 columns: 1 0 -2; 0 3 1."
    assert plots.describe_matrix(torch.zeros(1, 9)).endswith("all entries are 0.")


def test_large_matrix_in_words():
    W = torch.zeros(8, 10)
    W[2, 6], W[7, 0] = -4, 3
    assert plots.describe_matrix(W) == (
        "Matrix, 8 rows by 10 columns. Entries from -4 to 3; 78 of 80 are 0. The "
        "largest in size is -4, in row 3, column 7."
    )
    W[0, 0] = torch.nan
    assert plots.describe_matrix(W).endswith("1 entry not finite.")


def test_words_do_not_hang_on_the_last_bit():
    W = torch.zeros(8, 10, dtype=torch.float64)
    W[2, 6], W[7, 0] = 0.125, -0.125
    noisy = W * (1 + 1e-12 * torch.randn(8, 10, dtype=torch.float64))
    assert plots.describe_matrix(W) == plots.describe_matrix(noisy)


def test_curves_in_words():
    words = plots.describe_curves(X, CURVES, "keys", "accuracy")
    assert words == (
        "3 curves of accuracy against keys, from 4 to 16. At 4: softmax 1, sum 0.98 "
        "and delta 0.94. At 16: softmax 1, delta 0.6 and sum 0.41. sum never rises. "
        "delta never rises. softmax stays the same. delta passes sum between 8 and "
        "12. Means of 2 seeds, which differ by at most 0.02."
    )
    hill = plots.describe_curves([0, 1, 2], {"a": [1.0, 3, 2]})
    assert "a is lowest at 0 (1) and highest at 1 (3)." in hill
    copies = plots.describe_curves(X, CURVES, runs="copies")
    assert "Means of 2 copies, which differ" in copies


def test_bars_in_words():
    assert plots.describe_bars(BARS, "accuracy") == (
        "3 bars of accuracy: delta 0.9 (0.88 to 0.92 over 3 seeds), sum 0.5 (0.48 to "
        "0.52 over 3 seeds) and off 0.1."
    )
    assert "over 3 copies" in plots.describe_bars(BARS, "accuracy", runs="copies")


def test_film_in_words():
    k = torch.eye(3)[None, [0, 1, 1], None]
    v = torch.tensor([[1.0, 0], [0, 5], [2, 5]])[None, :, None]
    with record() as rec:
        delta_rule(k, k, v, torch.ones(1, 3, 1))
    assert plots.describe_film(rec.film()) == (
        "The fast weights of delta rule, 2 by 3, over 3 steps. Their norm goes from 0 "
        "to 5.48, the largest is 5.48 after step 3. The rank goes from 0 to 2. The "
        "largest change is 5, at step 2 in row 2, column 2. Before the writes the "
        "memory is wrong by at most 5, at step 2."
    )


def test_spectrum_and_matrices_in_words(film):
    words = plots.describe_spectrum(film.singular_values)
    assert words.startswith("6 singular values over 12 steps. The largest goes from 0")
    assert plots.describe_matrices([torch.eye(2)] * 2, ["A", "B"]) == (
        "2 matrices side by side. A, 2 rows by 2 columns: 1 0; 0 1. B, 2 rows by 2 "
        "columns: 1 0; 0 1."
    )


def test_rows_and_columns_of_matrices_can_be_called_otherwise():
    names = [plots.matrices([torch.eye(2)] * 2, ["A", "B"], of=("asked", "shown"))]
    names.append(plots.matrices([torch.eye(2)] * 2, ["A", "B"]))
    found = [[(ax.get_ylabel(), ax.get_xlabel()) for ax in f.axes[:2]] for f in names]
    assert found[0] == [("asked", "shown"), ("", "shown")]
    assert found[1] == [("value entry", "key entry"), ("", "key entry")]


def test_pictures_in_words():
    images = torch.stack([torch.eye(4), torch.zeros(4, 4)])
    assert plots.describe_pictures(images, ["A", "blank"]) == (
        "2 pictures of 4 by 4 pixels: A (25 % ink), blank (0 % ink)."
    )


def test_rounding_does_not_count_as_a_crossing():
    x, y = torch.arange(6.0), torch.ones(6)
    noisy = y + 1e-8 * torch.tensor([1.0, -1, 1, -1, 1, -1], dtype=torch.float64)
    words = plots.describe_curves(x, {"a": y.double(), "b": noisy}, "x", "y")
    assert "passes" not in words
    assert "change places" not in words
