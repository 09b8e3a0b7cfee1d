"""The line under a chapter's title that says what the chapter costs the reader."""

import json
import math
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "benchmarks" / "results" / "chapters.json"
WORDS_PER_MINUTE, CODE_LINES_PER_MINUTE = 200, 12


def reading_minutes(notebook: dict[str, Any]) -> int:
    """Estimate how long it takes to read the words and the code of a notebook."""
    words = lines = 0
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            words += len(re.findall(r"[^\W\d_]{2,}", text))
        else:
            lines += len([line for line in text.split("\n") if line.strip()])
    return math.ceil(words / WORDS_PER_MINUTE + lines / CODE_LINES_PER_MINUTE)


def cost_words(minutes: int, cost: dict[str, Any] | None) -> list[str]:
    """Return the parts of the line, in the reader's words."""
    reading = f"Reading: {minutes} minutes"
    if cost is None:
        return [reading, "Running: not measured yet"]
    return [
        reading,
        f"Running: {math.ceil(cost['seconds'])} s on 2 cores",
        f"Memory: {cost['peak_mb']} MB at the peak",
        "GPU: not needed",
    ]


class Budget(SphinxDirective):
    """Print reading minutes, run seconds and peak memory of a chapter."""

    def run(self) -> list[nodes.Node]:
        """Return one list, made from the notebook and its last measurement."""
        path = Path(self.env.doc2path(self.env.docname))
        self.env.note_dependency(str(RECORD))
        costs = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        notebook = json.loads(path.read_text(encoding="utf-8"))
        parts = cost_words(reading_minutes(notebook), costs.get(path.stem))
        items = [nodes.list_item("", nodes.paragraph("", part)) for part in parts]
        return [nodes.bullet_list("", *items, classes=["chapter-cost"])]
