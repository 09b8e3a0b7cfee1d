"""The chapters are canonical, were run, and keep to the limits of a page."""

import subprocess
import sys
from pathlib import Path

import gates_text
import nbformat
import notebooks
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
PAGES = sorted((ROOT / "book").glob("*.md"))
NBVAL = (
    "--nbval --nbval-current-env -q -p no:cacheprovider -o addopts= "
    f"--nbval-sanitize-with {ROOT / 'tests' / 'nbval_sanitize.cfg'}"
).split()

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def ran(source, text, count=1, **metadata):
    """Return a code cell that printed `text`."""
    data = {"text/plain": text}
    result = new_output("execute_result", data=data, execution_count=count)
    cell = new_code_cell(source, execution_count=count, outputs=[result])
    cell.metadata.update(metadata)
    return cell


def written(*cells):
    """Return the canonical text of a notebook."""
    nb = new_notebook(cells=[new_markdown_cell("# A title"), *cells])
    for number, cell in enumerate(nb.cells):
        cell.id = f"cell-{number}"
    return notebooks.canonical(nb)


@chapters
def test_chapter_is_canonical(path):
    assert notebooks.problems(path.read_text(encoding="utf-8")) == []


@chapters
def test_chapter_has_all_its_parts(path):
    assert gates_text.missing_parts(nbformat.read(path, 4)) == []


@chapters
def test_chapter_keeps_to_its_code_budget(path):
    assert gates_text.code_budget(nbformat.read(path, 4)) == []


@chapters
def test_chapter_keeps_to_its_time_and_memory(path):
    assert notebooks.budget(path) == []


def test_all_chapters_keep_to_the_time_of_the_book():
    assert notebooks.over_budget(notebooks.recorded()) == []


@pytest.mark.parametrize("path", [*CHAPTERS, *PAGES], ids=lambda p: p.stem)
def test_measured_numbers_come_from_the_run(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        markdown = gates_text.cells(nbformat.reads(text, 4), "markdown")
        text = "\n\n".join(cell.source for cell in markdown)
    assert gates_text.measured_numbers(text) == []


# Each gate must close on a planted fault.


def test_a_good_notebook_passes():
    assert notebooks.problems(written(ran("1 + 1", "2"))) == []


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        (ran("1 + 1", "2", count=None), "never run"),
        (new_code_cell("x = 1", execution_count=1), "no output that nbval"),
        (
            ran("1 + 1", "2", tags=["nbval-ignore-output"]),
            "no output that nbval compares",
        ),
        (
            new_code_cell(
                "1 / 0",
                execution_count=1,
                outputs=[new_output("error", ename="E", evalue="", traceback=[])],
            ),
            "that raised: [1]",
        ),
    ],
)
def test_a_notebook_that_checks_nothing_is_refused(cell, complaint):
    assert any(complaint in words for words in notebooks.problems(written(cell)))


def test_pictures_and_addresses_leave_the_canonical_form():
    cell = ran("f", "<function f at 0x7f00c0ffee00>")
    cell.outputs[0].data["image/png"] = "aGVsbG8="
    text = written(cell)
    assert "image/png" not in text
    assert "0x0" in text
    raw = nbformat.writes(nbformat.reads(text, 4)).replace("0x0", "0x7f00c0ffee00")
    assert any("canonical" in words for words in notebooks.problems(raw))


@pytest.mark.parametrize(("printed", "code"), [("2", 0), ("3", 1)])
def test_nbval_compares_the_digits(tmp_path, printed, code):
    path = tmp_path / "page.ipynb"
    path.write_text(written(ran("1 + 1", printed)))
    command = [sys.executable, "-m", "pytest", *NBVAL, str(path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == code, run.stdout


@pytest.mark.parametrize(
    "text",
    [
        "The delta rule reaches 0.98 of the items.",
        "This takes 12 s on a laptop.",
        "It is 25 times faster, as $t = 3$ shows.",
        "The error falls to 1e-6.",
        "About 90 % are right.",
        "| loop | 153 ms |",
    ],
)
def test_a_measured_number_in_prose_is_found(text):
    assert gates_text.measured_numbers(text)


@pytest.mark.parametrize(
    "text",
    [
        "It reaches {glue:text}`accuracy` of the items.",
        "With $\\beta = 0.5$ and `lr=0.01` nothing changes.",
        "{cite:t}`schlag2021` report 33.9 on the same task.",
        "Take 3 keys and 4 values in Python 3.11.",
        "```python\nx = 0.25\n```",
        "$$ W = 0.5 $$ (eq:half)",
        "See [arXiv](https://arxiv.org/abs/2102.11174), 2021.",
    ],
)
def test_other_numbers_pass(text):
    assert gates_text.measured_numbers(text) == []


def test_too_much_code_is_found():
    long = new_notebook(cells=[new_code_cell("x = 1\n" * 151)])
    assert len(gates_text.code_budget(long)) == 3
    short = new_notebook(
        cells=[new_markdown_cell("word " * 80), new_code_cell("x\n" * 9)]
    )
    assert gates_text.code_budget(short) == []


def test_missing_parts_are_found():
    bare = new_notebook(cells=[new_markdown_cell("# A title")])
    assert len(gates_text.missing_parts(bare)) == 8


def test_a_cost_over_the_budget_is_found():
    assert notebooks.over_budget({"01_slow": {"seconds": 61, "peak_mb": 100}})
    assert notebooks.over_budget({"01_slow": {"seconds": 121, "peak_mb": 1}}, slack=2)
    assert notebooks.over_budget({"01_big": {"seconds": 1, "peak_mb": 1501}})
    book = {str(n): {"seconds": 59, "peak_mb": 100} for n in range(17)}
    assert notebooks.over_budget(book) == ["all chapters: 1003 s; at most 960 s"]
