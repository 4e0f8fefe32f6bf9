"""The live model on the landing page: the directive `live-model`, for a page that is no notebook.

The page holds what a stored notebook would: the widget's state, and its still picture before it,
which is there before anything is loaded and stays where no script runs.
"""

import base64
import json
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
TEXT = """def area(width, height):
    return width * height

def volume(width, height, depth):
    return w"""
CAPTION = (
    "Two layers, eight heads, trained on Python; it runs here, in your browser. Try this: click "
    "L0H2 and cut it, and see what becomes of the guess and of the mean loss. Then type a text of "
    "your own."
)


def widget() -> Any:
    """Type your own text: the course's two-layer model of code."""
    from mechlib import zoo
    from mechlib.pages.widgets import TypeYourOwn
    from mechlib.text.tokens import load_tokenizer

    return TypeYourOwn(
        zoo.load("two-layer-code"), load_tokenizer("code-512"), TEXT, head=4, caption=CAPTION
    )


def embedded(made: Any, scripts: str, name: str = "live-model") -> str:
    """A widget as HTML: its still picture, its state, and where it is to be shown.

    scripts: the way from the page to the folder of the book's own scripts.
    """
    skipped = ("layout", "tabbable", "tooltip", "comm")
    state = {key: getattr(made, key) for key in made.keys if key not in skipped}
    state |= {"_esm": made._esm, "_css": made._css}
    buffers = [
        {"path": [key], "encoding": "base64", "data": base64.b64encode(value).decode()}
        for key, value in state.items()
        if isinstance(value, bytes)
    ]
    model = {
        "model_module": "anywidget",
        "model_name": "AnyModel",
        "state": {key: value for key, value in state.items() if not isinstance(value, bytes)},
        "buffers": buffers,
    }
    stored = _in_script({"version_major": 2, "version_minor": 0, "state": {name: model}})
    return (
        f'<div class="mechlib-host"><div class="mechlib-still">{made.still()}</div>'
        f'<script type="{VIEW}">{_in_script({"model_id": name})}</script></div>'
        f'<script type="{STATE}">{stored}</script>'
        f'<script src="{scripts}static-anywidget.js" defer></script>'
    )


def _in_script(value: dict) -> str:
    """JSON that cannot end the script tag it stands in."""
    return json.dumps(value, sort_keys=True).replace("<", "\\u003c")


class LiveModel(SphinxDirective):
    """`live-model`: the widget of the landing page."""

    def run(self) -> list[nodes.Node]:
        up = "../" * self.env.docname.count("/")
        return [nodes.raw("", embedded(widget(), f"{up}_static/js/"), format="html")]


def setup(app: Any) -> dict:
    """Sphinx's hook."""
    app.add_directive("live-model", LiveModel)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
