"""Whether the lists of the repository agree; each function returns what does not."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN_ROWS = {"kernels": ["kernels", "tests/test_cuda_kernels.py"]}  # no single module
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def stem(chapter):
    """Return the idea of a chapter: its name without the number."""
    return chapter.split("_", 1)[1]


def contents_against_chapters(contents, chapters):
    """Compare the chapters named in the table of contents with those on disk."""
    named = re.findall(r"file: chapters/(\w+)", contents)
    disk = sorted(chapters)
    numbers = [int(c.split("_")[0]) for c in disk]
    found = [f"{c} is not in book/_toc.yml" for c in disk if c not in named]
    found += [f"{c} does not exist" for c in named if c not in disk]
    found += ["book/_toc.yml is not in order"] if named != sorted(named) else []
    holes = numbers != list(range(1, len(numbers) + 1))
    return found + ([f"chapter numbers have holes: {numbers}"] if holes else [])


def rows(readme):
    """Return the targets of the links in each row of the chapter table."""
    lines = [line for line in readme.split("\n") if "](chapters/" in line]
    return [LINK.findall(line) for line in lines]


def readme_against_files(readme, chapters, kernels):
    """Compare the table of the README with chapters, modules, kernels and tests."""
    found = []
    named = {re.sub(r"chapters/|\.ipynb", "", row[0]): row[1:] for row in rows(readme)}
    for chapter in sorted(chapters):
        idea = stem(chapter)
        row = named.get(chapter, [])
        usual = [f"srwm_lite/{idea}.py", f"tests/test_{idea}.py"]
        wanted = OWN_ROWS.get(idea, usual)
        wanted = wanted + ([f"kernels/{idea}.cpp"] if idea in kernels else [])
        found += [f"{chapter}: no link to {w}" for w in wanted if w not in row]
    return found + [f"{c} does not exist" for c in named if c not in chapters]


def titles_against_chapters(readme, titles):
    """Compare the titles in the table of the README with those of the chapters."""
    named = re.findall(r"\[(\d+) ([^]]+)\]\(chapters/(\w+)\.ipynb\)", readme)
    rows = {chapter: (int(number), title) for number, title, chapter in named}
    wanted = {c: (int(c.split("_")[0]), title) for c, title in titles.items()}
    return [
        f"{c}: {w}, not {rows.get(c)}" for c, w in wanted.items() if rows.get(c) != w
    ]


def dead_paths(text, root=ROOT):
    """Return the links of a Markdown file that lead to nothing in the repository."""
    local = (p for p in LINK.findall(text) if not re.match(r"\w+:", p))
    return [path for path in local if not (root / path).exists()]


def packages_against_folders(pyproject, root=ROOT):
    """Compare the packages that are installed with the folders of the package."""
    ours = {p.parent.relative_to(root) for p in root.glob("srwm_lite/**/*.py")}
    theirs = {p.parent.relative_to(root) for p in root.glob("kernels/**/*.py")}
    folders = ours | {"srwm_lite" / f for f in theirs}
    wanted = {".".join(f.parts) for f in folders}
    named = set(pyproject["tool"]["setuptools"]["packages"])
    return sorted(wanted ^ named)


def pins_against_dependencies(requirements, pyproject):
    """Return what the package depends on and the environment does not pin."""
    pinned = dict(re.findall(r"(?m)^([\w.-]+)==([\w.+]+)$", requirements))
    lines = [x for x in requirements.split("\n") if x.strip() and x[0] != "#"]
    loose = [x for x in lines if not re.fullmatch(r"[\w.-]+==[\w.+]+(?:;.*)?", x)]
    names = {name.lower().replace("_", "-") for name in pinned}
    needs = pyproject["project"]["dependencies"]
    wanted = {re.split(r"[<>=\[; ]", need)[0] for need in needs}
    hard = [need for need in needs if "==" in need]
    return loose + hard + sorted(wanted - names)
