"""Chapters, modules, kernels, tests, contents, README and equations agree."""

import subprocess
import sys
import tomllib

import equations
import gates_tables
import nbformat
import pytest
import weights_svg

ROOT = gates_tables.ROOT
CHAPTERS = {p.stem for p in (ROOT / "chapters").glob("*.ipynb")}
KERNELS = {p.stem for p in (ROOT / "kernels").glob("*.cpp")}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def test_contents_and_chapters_agree():
    contents = text("book/_toc.yml")
    assert gates_tables.contents_against_chapters(contents, CHAPTERS) == []


def test_readme_and_files_agree():
    readme = text("README.md")
    assert gates_tables.readme_against_files(readme, CHAPTERS, KERNELS) == []


def test_readme_and_titles_agree():
    titles = {
        path.stem: nbformat.read(path, 4).cells[0].source.split("\n")[0].lstrip("# ")
        for path in (ROOT / "chapters").glob("*.ipynb")
    }
    assert gates_tables.titles_against_chapters(text("README.md"), titles) == []


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_front_page_lead_somewhere(path):
    assert gates_tables.dead_paths(text(path)) == []


def test_every_folder_is_installed():
    assert gates_tables.packages_against_folders(PYPROJECT) == []


def test_the_environment_is_pinned_and_the_package_is_not():
    pins = text("requirements.txt")
    assert gates_tables.pins_against_dependencies(pins, PYPROJECT) == []


def test_every_equation_has_a_function_and_a_test():
    command = [sys.executable, str(ROOT / "book" / "equations.py"), "check"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stderr == ""


def test_the_picture_of_the_front_page_is_what_the_package_computes():
    assert weights_svg.picture() == text("book/_static/weights.svg")


# Each gate must close on a planted fault.


def test_a_chapter_missing_from_the_contents_is_found():
    contents = "- file: chapters/01_a\n- file: chapters/03_c\n"
    found = gates_tables.contents_against_chapters(contents, {"01_a", "02_b"})
    assert found == ["02_b is not in book/_toc.yml", "03_c does not exist"]
    found = gates_tables.contents_against_chapters("chapters: []", {"02_b"})
    assert "chapter numbers have holes: [2]" in found


def test_a_missing_link_in_the_readme_is_found():
    row = "| [1](chapters/01_a.ipynb) | [a](srwm_lite/a.py) | | [t](tests/test_a.py) |"
    assert gates_tables.readme_against_files(row, {"01_a"}, set()) == []
    found = gates_tables.readme_against_files(row, {"01_a"}, {"a"})
    assert found == ["01_a: no link to kernels/a.cpp"]
    assert gates_tables.readme_against_files(row, set(), set())
    dead = gates_tables.dead_paths("[x](no/such.py) [y](https://a.org)")
    assert dead == ["no/such.py"]


def test_an_old_title_in_the_readme_is_found():
    row = "| [1 Old](chapters/01_a.ipynb) |"
    assert gates_tables.titles_against_chapters(row, {"01_a": "Old"}) == []
    assert gates_tables.titles_against_chapters(row, {"01_a": "New"}) != []


def test_a_loose_or_missing_pin_is_found():
    project = {"project": {"dependencies": ["torch", "numpy"]}}
    found = gates_tables.pins_against_dependencies("torch==2.13.0\ntqdm>=4\n", project)
    assert found == ["tqdm>=4", "numpy"]


def test_a_bare_equation_is_found():
    at = [("x", "x.py")]
    assert equations.bare({"eq:a": at}, {"eq:a": at}, {"eq:a": at}) == []
    assert len(equations.bare({"eq:a": at}, {}, {})) == 2
    assert len(equations.bare({}, {"eq:a": at}, {})) == 1
    assert len(equations.bare({"eq:a": at * 2}, {"eq:a": at}, {"eq:a": at})) == 1


def test_equations_are_found_where_they_are_written(tmp_path):
    for folder in ("srwm_lite", "tests"):
        (tmp_path / folder).mkdir()
    doc = '"""Do.\n\n    Equation: eq:do-it ::\n\n        y = x\n    """'
    (tmp_path / "srwm_lite" / "do.py").write_text(f"def do():\n    {doc}\n")
    marked = '@pytest.mark.equation("eq:do-it")\ndef test_do():\n    pass\n'
    (tmp_path / "tests" / "test_do.py").write_text(marked)
    assert equations.in_functions(tmp_path) == {"eq:do-it": [("do", "srwm_lite/do.py")]}
    found = equations.in_tests(tmp_path / "tests")
    assert found == {"eq:do-it": [("test_do", "tests/test_do.py")]}
    assert equations.NUMBERED.findall("$$\ny = x\n$$ (eq:do-it)") == ["eq:do-it"]
