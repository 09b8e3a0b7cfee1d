"""A page with widgets as the built book has them, and node to run their modules."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from ipywidgets.embed import dependency_state, embed_data

ROOT = Path(__file__).resolve().parents[1]
HOST = ROOT / "book" / "_static" / "widget_host.js"
GOLDEN = Path(__file__).parent / "widgets_golden"

PAGE = """<!doctype html>
<html lang="en"{attributes}><head><meta charset="utf-8"><title>Widgets</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  body {{ margin: 0; padding: 12px; background: #fff; color: #111; }}
  html[data-theme="dark"] body {{ background: #14181e; color: #eee; }}
  main {{ max-width: 760px; margin: auto; }}
  .widget-alive .widget-printed {{ display: none; }}
</style>
<script type="application/vnd.jupyter.widget-state+json">{state}</script>
<script>{host}</script></head>
<body><main><h1>Widgets</h1>{boxes}</main></body></html>"""

BOX = """<div class="widget-box"><div class="widget-printed">
<img alt="{words}" src="data:image/png;base64,{png}"></div>
<script type="application/vnd.jupyter.widget-view+json">{view}</script></div>"""


def state(*widgets):
    """Return the widget state as a notebook keeps it."""
    full = dependency_state(widgets, drop_defaults=False)
    return embed_data(list(widgets), drop_defaults=False, state=full)["manager_state"]


def html(*widgets, theme=None):
    """Return a page that holds the widgets and the book's own host."""
    boxes = [
        BOX.format(
            words=w.words(),
            png=base64.b64encode(w.png()).decode(),
            view=json.dumps({"model_id": w.model_id}),
        )
        for w in widgets
    ]
    return PAGE.format(
        attributes=f' data-theme="{theme}"' if theme else "",
        state=json.dumps(state(*widgets)),
        host=HOST.read_text(encoding="utf-8"),
        boxes="".join(boxes),
    )


def run_in_node(widget, script, argument, folder):
    """Return ``run(module, argument)`` of a script in widgets_golden, from node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the browser tests run the same vectors")
    (folder / "module.mjs").write_text(widget._esm, encoding="utf-8")
    (folder / "argument.json").write_text(json.dumps(argument), encoding="utf-8")
    code = (
        f"import * as module from {json.dumps((folder / 'module.mjs').as_uri())};\n"
        f"import {{ run }} from {json.dumps((GOLDEN / script).as_uri())};\n"
        "import { readFileSync } from 'node:fs';\n"
        f"const text = readFileSync({json.dumps(str(folder / 'argument.json'))});\n"
        "console.log(JSON.stringify(run(module, JSON.parse(text))));\n"
    )
    (folder / "main.mjs").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [node, str(folder / "main.mjs")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RUN_IN_PAGE = """async ([module, script, argument]) => {
  const load = (text) => import(URL.createObjectURL(
    new Blob([text], { type: "text/javascript" })));
  const { run } = await load(script);
  return run(await load(module), argument);
}"""


def run_in_page(page, widget, script, argument):
    """Return the same from an open browser page."""
    text = (GOLDEN / script).read_text(encoding="utf-8")
    return page.evaluate(RUN_IN_PAGE, [widget._esm, text, argument])
