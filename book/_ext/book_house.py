"""What this book adds to Jupyter Book: offline, quiet, and in step with the code."""

import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import house_budget
import house_outputs
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parents[2]
CODE = "srwm_lite", "kernels"
LOOKS = "book/_static", "book/_templates", "book/_ext"
SUFFIXES = {".py", ".js", ".css", ".cpp", ".cu", ".h", ".svg", ".html"}
KERNEL_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "SRWM_LITE_PROGRESS": "0",
    "PYTHONWARNINGS": "ignore:Plain torch computes",  # no compiler: not an error
}
MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")


def folders_digest(root: Path, *folders: str) -> str:
    """Return a short name for the present state of all files in some folders."""
    digest = hashlib.sha256()
    for file in [f for folder in folders for f in sorted((root / folder).rglob("*"))]:
        if file.is_file() and file.suffix in SUFFIXES:
            name = file.relative_to(root).as_posix()
            digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def name_the_cache(app: Sphinx, config: Config) -> None:
    """Give every state of the code its own notebook cache.

    jupyter-cache compares code cells only: after a change in the package it would
    show old outputs.
    """
    os.environ.update(KERNEL_ENVIRONMENT)
    config.package_digest = folders_digest(ROOT, *CODE)
    config.looks_digest = folders_digest(ROOT, *LOOKS)
    caches = Path(app.outdir).parent / ".jupyter_cache"
    config.nb_execution_cache_path = str(caches / config.package_digest)
    for old in caches.glob("*"):
        if old.name != config.package_digest:
            shutil.rmtree(old, ignore_errors=True)


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy the part of MathJax that the pages use out of its PyPI package."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if error or app.builder.format != "html" or spec is None or spec.origin is None:
        return
    source = Path(spec.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for name in MATHJAX:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def write_execution_times(app: Sphinx, error: Exception | None) -> None:
    """Leave the seconds of every chapter beside the pages, for the budget test."""
    records = getattr(app.env, "nb_metadata", {})
    seconds = {
        name: data["exec_data"]["runtime"]
        for name, data in records.items()
        if data.get("exec_data")
    }
    if not error:
        path = Path(app.outdir).parent / "execution.json"
        path.write_text(json.dumps(seconds, indent=1, sort_keys=True) + "\n")


def drop_thebe(app: Sphinx, page: str, template: str, context: Any, tree: Any) -> None:
    """Leave out the live-code scripts: they need the network, and one is a fault.

    sphinx-thebe 0.3.1 declares a constant twice on every page.
    """

    def keep(script: Any) -> bool:
        body = getattr(script, "attributes", {}).get("body") or ""
        name = str(getattr(script, "filename", None) or script)
        return "THEBE_JS_URL" not in body and "thebe" not in name

    for key in ("script_files", "css_files"):
        context[key][:] = [script for script in context[key] if keep(script)]


def serve_other_builders(app: Sphinx) -> None:
    """Let the same configuration also make an ePub or one long page."""
    if app.builder.name == "html":
        return
    for key in [*app.config.html_theme_options]:
        if key.endswith("_button") or key in ("launch_buttons", "repository_url"):
            del app.config.html_theme_options[key]
    # An extension that names a builder hides the html visitors of those that do not.
    handlers = app.registry.translation_handlers
    for name in ("singlehtml", "epub", "dirhtml"):
        if name in handlers:
            handlers[name] = {**handlers["html"], **handlers[name]}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    app.add_config_value("package_digest", "", "env", types=[str])  # read all again
    app.add_config_value("looks_digest", "", "html", types=[str])  # write all again
    app.connect("config-inited", name_the_cache)
    app.connect("builder-inited", serve_other_builders)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", write_execution_times)
    app.add_post_transform(house_outputs.WordsForPictures)
    app.add_post_transform(house_outputs.PicturesForWidgets)
    app.add_directive("budget", house_budget.Budget)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
