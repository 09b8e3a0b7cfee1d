"""A book of one page, built like the real one: what it shows and what stops it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import book_house
import gates_html
import house_budget
import nbformat
import notebooks
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from conftest import Watched

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[1]
PARTS = "_config.yml", "book/_ext", "book/_static", "book/_templates"
CONTENTS = "format: jb-book\nroot: book/intro\nchapters:\n  - file: chapters/01_page\n"
SETUP = """
import base64
import io

import anywidget
import ipywidgets
import matplotlib.pyplot as plt
import traitlets
from IPython.display import display

figure, ax = plt.subplots(figsize=(2, 1))
drawn = io.BytesIO()
figure.savefig(drawn, format="png")
picture = {"image/png": base64.b64encode(drawn.getvalue()).decode()}
plt.close(figure)


class Small(anywidget.AnyWidget):
    broken = traitlets.Bool(False).tag(sync=True)
    _esm = \"\"\"export default { render({ model, el }) {
      if (model.get("broken")) throw new Error("broken");
      el.append(Object.assign(document.createElement("b"), { textContent: "alive" }));
    } };\"\"\"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, **picture, "text/plain": "A small widget, in words."}, metadata
"""
CELLS = (
    'display({**picture, "text/plain": "An empty pair of axes."}, raw=True)',
    "Small()",
    "Small(broken=True)",
    'ipywidgets.IntSlider(description="beta")',
)


def write_book(folder, *cells):
    """Write a book of one chapter into `folder`."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / part, folder / part)
    for name, text in {
        "book/_toc.yml": CONTENTS,
        "book/intro.md": "# A small book\n",
        "book/references.bib": "",
    }.items():
        (folder / name).write_text(text)
    (folder / "chapters").mkdir()
    title = new_markdown_cell("# A page\n\n```{budget}\n```")
    nbformat.write(
        new_notebook(cells=[title, *cells]), folder / "chapters/01_page.ipynb"
    )


def build(folder):
    """Build the book as `make book` does."""
    flags = "build . --toc book/_toc.yml --path-output book -W -n --keep-going"
    program = str(Path(sys.executable).with_name("jupyter-book"))
    command = [program, *flags.split()]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the built pages of the small book."""
    folder = tmp_path_factory.mktemp("small")
    write_book(folder, *map(new_code_cell, [SETUP, *CELLS]))
    run = build(folder)
    assert run.returncode == 0, run.stderr
    return folder / "book" / "_build" / "html"


def test_pictures_get_the_words_of_their_output(small):
    page = gates_html.read(small / "chapters" / "01_page.html")
    alts = [alt for src, alt in page.images if "_images" in src]
    widget = "A small widget, in words."
    assert alts == ["An empty pair of axes.", widget, widget]


def test_a_control_that_needs_python_says_so(small):
    text = (small / "chapters" / "01_page.html").read_text("utf-8")
    assert text.count("widget-view+json") == 2
    assert text.count("Live only") == 1
    assert "IntSlider(value=0" in text


def test_the_page_says_what_it_costs(small):
    text = (small / "chapters" / "01_page.html").read_text("utf-8")
    assert "Reading: " in text
    assert "Running: not measured yet" in text


def test_the_seconds_of_the_build_are_kept(small):
    seconds = json.loads((small.parent / "execution.json").read_text())
    assert seconds["chapters/01_page"] > 0


@pytest.mark.browser
def test_a_broken_widget_keeps_its_picture(small, browser):
    watcher = Watched(browser)
    watcher.page.goto((small / "chapters" / "01_page.html").as_uri())
    watcher.page.locator(".widget-alive").wait_for()
    boxes = watcher.page.locator(".widget-box:has(> script)")
    assert boxes.nth(0).locator("b").inner_text() == "alive"
    assert not boxes.nth(0).locator("img").is_visible()
    assert boxes.nth(1).locator("img").is_visible()
    assert watcher.errors == ["broken"]
    watcher.context.close()


def test_the_build_stops_at_planted_faults(tmp_path):
    text = "See {cite:t}`nobody1900`, {doc}`no_such_page` and {eq}`eq:nowhere`."
    write_book(tmp_path, new_markdown_cell(text), new_code_cell("1 / 0"))
    run = build(tmp_path)
    assert run.returncode != 0
    for fault in ("nobody1900", "no_such_page", "eq:nowhere", "notebook failed"):
        assert fault in run.stderr + run.stdout


def test_the_digest_sees_every_change_of_the_code(tmp_path):
    (tmp_path / "kernels").mkdir()
    path = tmp_path / "kernels" / "idea.cpp"
    digests = set()
    for text in ("a", "b"):
        path.write_text(text)
        digests.add(book_house.folders_digest(tmp_path, "kernels"))
    path.rename(path.with_name("other.cpp"))
    digests.add(book_house.folders_digest(tmp_path, "kernels"))
    assert len(digests) == 3


def test_reading_minutes_count_words_and_code():
    words = {"cell_type": "markdown", "source": ["word " * 200]}
    code = {"cell_type": "code", "source": ["x = 1\n"] * 12}
    assert house_budget.reading_minutes({"cells": [words]}) == 1
    assert house_budget.reading_minutes({"cells": [words, code]}) == 2
    cost = {"seconds": 3.2, "peak_mb": 400}
    assert "Running: 4 s on 2 cores" in house_budget.cost_words(2, cost)


def test_two_runs_give_the_same_bytes(tmp_path):
    path = tmp_path / "page.ipynb"
    cells = [
        new_code_cell(SETUP),
        new_code_cell("print(1)\nobject()"),
        *map(new_code_cell, CELLS),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    texts = []
    for _ in range(2):
        assert notebooks.run(path) == []
        texts.append(path.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    outputs = [o for c in nbformat.reads(texts[0], 4).cells[1:] for o in c.outputs]
    assert len(outputs) == 6
    assert all("image/png" not in o.get("data", {}) for o in outputs)
