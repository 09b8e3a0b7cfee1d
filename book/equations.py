"""Write the page that maps every numbered equation to its code and its test.

::

    python book/equations.py           write book/equations.md
    python book/equations.py check     fail if the page is old or an equation is bare
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NAME = r"eq:[\w-]+"
NUMBERED = re.compile(rf"\$\$.*?\$\$\s*\(({NAME})\)", re.DOTALL)
PROMISE = re.compile(rf"Equations?:\s*((?:{NAME}[,\s]*)+)")
REPOSITORY = "https://github.com/srwm-lite/srwm-lite/blob/main"
HEAD = """# From equation to code to test

The build makes this page. Every numbered equation of a chapter names the function
that computes it and the tests that hold it; a test fails if either is missing.

| equation | function | tests |
|---|---|---|
"""

Places = dict[str, list[tuple[str, str]]]


def in_chapters(folder: Path) -> Places:
    """Return the chapter in which each equation is numbered."""
    found: Places = defaultdict(list)
    for path in sorted(folder.glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "markdown":
                for name in NUMBERED.findall(cell.source):
                    found[name].append((path.stem, path.stem))
    return found


def documented(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of every function and class."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield node.name, text


def in_functions(root: Path) -> Places:
    """Return the functions whose docstring says ``Equation: eq:name``."""
    found: Places = defaultdict(list)
    for path in sorted([*root.glob("srwm_lite/**/*.py"), *root.glob("kernels/*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function, text in documented(tree):
            for names in PROMISE.findall(text):
                for name in re.findall(NAME, names):
                    place = path.relative_to(root).as_posix()
                    found[name].append((function, place))
    return found


def in_tests(folder: Path) -> Places:
    """Return the tests that carry ``@pytest.mark.equation("eq:name")``."""
    found: Places = defaultdict(list)
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for mark in map(ast.unparse, node.decorator_list):
                    if "mark.equation" in mark:
                        for name in re.findall(NAME, mark):
                            found[name].append((node.name, f"tests/{path.name}"))
    return found


def bare(chapters: Places, functions: Places, tests: Places) -> list[str]:
    """Say which equations lack a function or a test, or are named but not numbered."""
    found = [
        f"{name} is numbered twice" for name in chapters if len(chapters[name]) > 1
    ]
    for name in chapters:
        found += [f"{name} has no function"] if name not in functions else []
        found += [f"{name} has no test"] if name not in tests else []
    named = {**functions, **tests}
    return found + [
        f"{name} is numbered nowhere" for name in named if name not in chapters
    ]


def code(places: list[tuple[str, str]]) -> str:
    """Return links to the places, one a line."""
    return "<br>".join(f"[`{word}`]({REPOSITORY}/{path})" for word, path in places)


def page(chapters: Places, functions: Places, tests: Places) -> str:
    """Return the text of the page."""
    rows = [
        f"| {{eq}}`{name}` | {code(functions[name])} | {code(tests[name])} |\n"
        for name in chapters
    ]
    return HEAD + "".join(rows)


def main() -> int:
    """Write the page, or compare it."""
    places = (
        in_chapters(ROOT / "chapters"),
        in_functions(ROOT),
        in_tests(ROOT / "tests"),
    )
    target = ROOT / "book" / "equations.md"
    wrong = bare(*places)
    if sys.argv[1:] != ["check"]:
        target.write_text(page(*places), encoding="utf-8")
    elif target.read_text(encoding="utf-8") != page(*places):
        wrong.append("book/equations.md is old: python book/equations.py")
    for words in wrong:
        print(words, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
