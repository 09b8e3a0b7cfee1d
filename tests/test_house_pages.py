"""The built pages: words for pictures, links that lead somewhere, times kept."""

import json
import subprocess
import sys
from pathlib import Path

import gates_html
import notebooks
import pytest

ROOT = Path(__file__).resolve().parents[1]
book = pytest.mark.book


@pytest.fixture(scope="module")
def pages(html):
    """Return every page of the book, parsed, by path."""
    return {p.resolve(): gates_html.read(p) for p in html.rglob("*.html")}


def faults(pages, gate):
    """Return what `gate` finds, by the name of the page."""
    found = {path.name: gate(page) for path, page in pages.items()}
    return {name: wrong for name, wrong in found.items() if wrong}


@book
def test_every_chapter_has_a_page(html):
    stems = {p.stem for p in (ROOT / "chapters").glob("*.ipynb")}
    assert stems == {p.stem for p in (html / "chapters").glob("*.html")}


@book
def test_every_picture_has_words(pages):
    assert faults(pages, gates_html.pictures_without_words) == {}


@book
def test_no_page_names_a_file_elsewhere(pages):
    assert faults(pages, gates_html.remote_loads) == {}


@book
def test_every_internal_link_leads_somewhere(pages):
    dead = {path.name: gates_html.dead_links(path, pages) for path in pages}
    assert {name: links for name, links in dead.items() if links} == {}


@book
def test_the_build_kept_to_the_time_of_every_chapter(html):
    seconds = json.loads((html.parent / "execution.json").read_text())
    costs = {n: {"seconds": s, "peak_mb": 0} for n, s in seconds.items()}
    assert notebooks.over_budget(costs, slack=2) == []


@book
def test_the_epub_shows_the_printed_form_of_every_widget(html):
    command = "build . --toc book/_toc.yml --path-output book --builder custom"
    flags = [*command.split(), "--custom-builder", "epub"]
    run = subprocess.run(
        [str(Path(sys.executable).with_name("jupyter-book")), *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    boxes = 0
    for path in (html.parent / "epub" / "chapters").glob("*.xhtml"):
        text = path.read_text(encoding="utf-8")
        boxes += text.count('class="widget-printed')
        assert gates_html.pictures_without_words(gates_html.Page(text)) == []
        assert "widget-view+json" not in text
    assert boxes == sum(
        p.read_text("utf-8").count('class="widget-printed')
        for p in (html / "chapters").glob("*.html")
    )


# Each gate must close on a planted fault.


@pytest.mark.parametrize(
    "alt",
    ["", 'alt=""', 'alt="../_images/a.png"', 'alt="&lt;Figure size 640x480&gt;"'],
)
def test_a_picture_without_words_is_found(alt):
    page = gates_html.Page(f'<img src="../_images/a.png" {alt}>')
    assert len(gates_html.pictures_without_words(page)) == 1


def test_a_picture_with_words_passes():
    page = gates_html.Page('<img src="_images/a.png" alt="Ones on the diagonal.">')
    assert gates_html.pictures_without_words(page) == []


def test_a_remote_file_is_found():
    text = '<script src="https://x.org/a.js"></script><a href="https://x.org">x</a>'
    assert gates_html.remote_loads(gates_html.Page(text)) == ["https://x.org/a.js"]


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "b.html").write_text('<p id="here"></p>')
    links = "b.html", "b.html#here", "#top", "b.html#gone", "c.html"
    text = '<p id="top"></p>' + "".join(f'<a href="{link}"></a>' for link in links)
    (tmp_path / "a.html").write_text(text)
    pages = {p: gates_html.read(p) for p in sorted(tmp_path.glob("*.html"))}
    dead = gates_html.dead_links(tmp_path / "a.html", pages)
    assert dead == ["b.html#gone", "c.html"]


def test_the_weight_of_a_page_counts_each_file_once(tmp_path):
    (tmp_path / "a.js").write_bytes(bytes(range(256)) * 4)
    url = "http://127.0.0.1:80/a.js"
    once = gates_html.weight([url], tmp_path)
    assert 256 < once < 1024
    assert gates_html.weight([url, url, "data:,"], tmp_path) == once
