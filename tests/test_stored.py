"""Without a compiler, the chapter on kernels shows what it gave when it was made."""

import json

import nbformat
import pytest
from nbclient import NotebookClient

from srwm_lite.plots import stored

SETUP = "from srwm_lite.plots import stored\nstored.stored_where_missing('made')"
OUTPUT = {
    "output_type": "execute_result",
    "execution_count": 2,
    "metadata": {},
    "data": {"text/plain": ["four"]},
}
PRINTED = {"output_type": "stream", "name": "stdout", "text": ["two\n", "three\n"]}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return the text of a cell whose outputs are stored."""
    source = "# needs g++\nbuild()"
    cell = {"source": source.splitlines(keepends=True), "outputs": [PRINTED, OUTPUT]}
    (tmp_path / "made.ipynb").write_text(json.dumps({"cells": [cell]}))
    monkeypatch.setattr(stored, "CHAPTERS", tmp_path)
    return source


def test_stored_outputs_are_found_by_their_text(made):
    assert stored.outputs("made", made) == [PRINTED, OUTPUT]
    assert stored.outputs("made", made + "\nmore()") is None
    assert stored.outputs("absent", made) is None


def test_only_cells_that_need_what_is_missing_are_replaced(made):
    missing = {"# needs g++": "no g++"}
    lines = made.splitlines(keepends=True)
    assert "show('made'" in "".join(stored.replaced(lines, "made", missing))
    assert stored.replaced(lines, "made", {}) == lines
    assert stored.replaced(["x = 1\n"], "made", missing) == ["x = 1\n"]
    assert stored.replaced([], "made", missing) == []


def test_what_was_printed_is_printed(made, capsys):
    stored.show("made", made)
    assert capsys.readouterr().out.startswith("two\nthree\n")
    stored.show("made", "changed")
    assert "no stored output" in capsys.readouterr().out


def test_a_notebook_runs_without_a_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    patch = f"stored.CHAPTERS = __import__('pathlib').Path({str(tmp_path)!r})"
    cells = [f"{SETUP}\n{patch}", "# needs g++\nbuild()", "1 + 1"]
    nb = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells)])
    ours = nbformat.v4.new_output(**PRINTED | {"text": "two\nthree\n"})
    nb.cells[1].outputs = [ours]
    nbformat.write(nb, tmp_path / "made.ipynb")
    NotebookClient(nb, timeout=60, kernel_name="python3").execute()
    assert (
        "show stored outputs here: CXX names no program" in nb.cells[0].outputs[0].text
    )
    assert nb.cells[1].outputs[0].text == "two\nthree\n"
    assert nb.cells[2].outputs[0].data["text/plain"] == "2"
