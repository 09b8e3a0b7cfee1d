"""Words for every picture, and a picture for every widget."""

import json
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

VIEW = "application/vnd.jupyter.widget-view+json"
DRAWING_BUILDERS = "html", "dirhtml", "singlehtml"
LIVE_ONLY = "Live only: this control needs Python. Open the chapter in Jupyter."

Bundle = dict[str, nodes.container]


def bundles(document: nodes.document) -> Iterator[tuple[nodes.container, Bundle]]:
    """Yield each output of the page with its forms, by media type."""
    for node in list(document.findall(nodes.container)):
        if node.get("nb_element") == "mime_bundle":
            forms = [c for c in node.children if isinstance(c, nodes.container)]
            yield node, {form["mime_type"]: form for form in forms}


def words(forms: Bundle) -> str:
    """Return the words that stand beside a picture, or nothing if there are none."""
    plain = forms["text/plain"].astext().strip() if "text/plain" in forms else ""
    return "" if plain.startswith("<") else " ".join(plain.split())


def models(env: Any, docname: str) -> dict[str, Any]:
    """Return the state of every widget model that the page carries."""
    files = getattr(env, "nb_metadata", {}).get(docname, {}).get("js_files", {})
    _, options = files.get("ipywidgets_state", (None, {}))
    return json.loads(options.get("body", "{}")).get("state", {})


def is_anywidget(script: nodes.raw, state: dict[str, Any]) -> bool:
    """Tell whether the model of a view carries the module that draws it."""
    view = json.loads(script.astext().split(">", 1)[1].rsplit("<", 1)[0])
    return "_esm" in state.get(view["model_id"], {}).get("state", {})


class WordsForPictures(SphinxPostTransform):
    """Use the text that a cell prints with a picture as its alternative text."""

    default_priority = 2

    def run(self, **kwargs: Any) -> None:
        """Set ``alt`` on every picture of the page that comes with words."""
        for _, forms in bundles(self.document):
            for image in (
                i for form in forms.values() for i in form.findall(nodes.image)
            ):
                if words(forms) and "alt" not in image:
                    image["alt"] = words(forms)


class PicturesForWidgets(SphinxPostTransform):
    """Put the printed form of a widget in the page, and the widget over it.

    A page without JavaScript, a PDF and an ePub show the picture. A view that is not
    an anywidget cannot live without Python: its printed form stands, with a note.
    """

    default_priority = 3

    def run(self, **kwargs: Any) -> None:
        """Replace each output that holds a widget view."""
        state = models(self.env, self.env.docname)
        for bundle, forms in bundles(self.document):
            if VIEW in forms:
                printed = forms.get("image/png", forms.get("text/plain"))
                children = printed.children if printed else []
                box = nodes.container(classes=["widget-box"])
                box += nodes.container("", *children, classes=["widget-printed"])
                script = next(iter(forms[VIEW].findall(nodes.raw)))
                if not is_anywidget(script, state):
                    box += nodes.paragraph("", LIVE_ONLY, classes=["widget-live-only"])
                elif self.app.builder.name in DRAWING_BUILDERS:
                    box += script.deepcopy()
                bundle.replace_self(box)
