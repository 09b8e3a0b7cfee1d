"""What a chapter's source must hold to; each function returns what it found wrong."""

import re
from statistics import quantiles

import nbformat

CODE_LINES, CELL_LINES, WORDS_PER_LINE, EXERCISES = 150, 20, 8, range(4, 7)

NUMBER = r"(?<![\w.,-])[-−+]?\d+(?:[.,]\d+)*"
UNITS = (
    "s|ms|µs|ns|seconds?|[kMG]i?B|[GMT]FLOPS?|x|×|fold|percent|%|"
    "times (?:as|faster|slower|more|less|fewer|larger|smaller|longer|shorter|better)"
)
MEASURED = re.compile(
    rf"{NUMBER}[\s -]?(?:{UNITS})(?!\w)"  # 12 s, 90 %, 25 times faster
    rf"|{NUMBER}e[-+]?\d+(?!\w)"  # 1e-6
    r"|(?<![\w.-])[-−+]?\d+\.\d+(?![\w.]*\w)"  # 0.98
)
CITED = re.compile(r"\{cite(?::\w+)?\}`")
NOT_PROSE = (
    r"(?ms)^(`{3,}|:{3,})\{(?:code|glue|budget|bibliography|math|figure|image)[^\n]*\n.*?^\1\s*$",
    r"(?ms)^(`{3,})(?!\{)[^\n]*\n.*?^\1\s*$",
    r"(?s)\$\$.*?\$\$",
    r"\$[^$\n]+\$",
    r"(?s)\\begin\{(\w+\*?)\}.*?\\end\{\1\}",
    r"\{(?!cite)[\w:+.-]+\}`[^`]*`",
    r"(?<!\})(?:``[^`]+``|`[^`]+`)",
    r"\]\([^)]*\)|<https?:[^>]*>|https?://\S+",
    r"(?m)^:[\w-]+:.*$",
    r"Python \d\.\d+",
)


def cells(nb, kind):
    """Return the cells of one kind."""
    return [cell for cell in nb.cells if cell.cell_type == kind]


def prose(text):
    """Return `text` without mathematics, code, roles, links and options."""
    for pattern in NOT_PROSE:
        text = re.sub(pattern, " ", text)
    return text


def sentences(text):
    """Cut prose at the ends of sentences, table cells and paragraphs."""
    return [s.strip() for s in re.split(r"(?<=[.!?])\s|\n\s*\n|\|", text) if s.strip()]


def measured_numbers(text):
    """Return the sentences that state a number which only a run can know.

    A number stands in `{glue:text}`, in code, in mathematics, or beside a citation.
    """
    return [
        " ".join(s.split())
        for s in sentences(prose(text))
        if MEASURED.search(s) and not CITED.search(s)
    ]


def code_lines(cell):
    """Count the lines of a cell that are neither empty nor a comment."""
    lines = (line.strip() for line in cell.source.split("\n"))
    return sum(1 for line in lines if line and not line.startswith(("#", "%")))


def in_the_text(nb):
    """Yield the cells that a reader meets: not in a folded solution, not removed."""
    inside = False
    for cell in nb.cells:
        inside = inside or "{solution-start}" in cell.source
        if not inside and "remove-cell" not in cell.metadata.get("tags", []):
            yield cell
        inside = inside and "{solution-end}" not in cell.source


def code_budget(nb):
    """Return how a chapter breaks the limits on its code."""
    shown = nbformat.v4.new_notebook(cells=list(in_the_text(nb)))
    sizes = sorted(filter(None, map(code_lines, cells(shown, "code"))))
    words = sum(
        len(re.findall(r"[^\W\d_]{2,}", c.source)) for c in cells(shown, "markdown")
    )
    total = sum(sizes)
    tall = quantiles(sizes, n=10)[-1] if len(sizes) > 1 else total
    found = {
        f"{total} code lines, at most {CODE_LINES}": total > CODE_LINES,
        f"a tenth of the cells is longer than {CELL_LINES} lines": tall > CELL_LINES,
        f"{words} words for {total} code lines, at least {WORDS_PER_LINE} a line": (
            words < WORDS_PER_LINE * total
        ),
    }
    return [words for words, broken in found.items() if broken]


def missing_parts(nb):
    """Return which parts of a chapter are missing."""
    text = "\n".join(cell.source for cell in cells(nb, "markdown"))
    code = "\n".join(cell.source for cell in cells(nb, "code"))
    headings = " ".join(re.findall(r"(?m)^#+ (.*)$", text)).lower()
    exercises = len(re.findall(r"\{exercise(?:-start)?\}", text))
    solutions = len(re.findall(r"\{solution(?:-start)?\}", text))
    lacks = {
        "the ```{budget}``` line": "{budget}" not in text,
        "a title": not re.match(r"# \w", nb.cells[0].source),
        "learning goals": "goals" not in text.lower(),
        "a summary": "summary" not in headings,
        "history and sources": not re.search(r"history|sources", headings),
        f"4 to 6 exercises (there are {exercises})": exercises not in EXERCISES,
        f"a solution to each of {exercises} exercises": solutions < exercises,
        "a widget": not re.search(r"WeightPlayer|MemoryBench|widgets", code),
        "the install line for Colab": "google.colab" not in code,
        "a seed": "manual_seed" not in code and "over_seeds" not in code,
    }
    return [part for part, lacking in lacks.items() if lacking]
