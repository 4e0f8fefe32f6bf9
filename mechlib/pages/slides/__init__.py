"""The slides of the sessions, made from small Markdown files and from the stored notebooks.

    python -m mechlib.pages.slides          # write _build/html/slides
    make slides                             # the same

As a Sphinx extension it writes them into the built book, too, whose build then stops at a slide
that asks for a claim or a figure that no chapter has.
"""

from pathlib import Path
from typing import Any

from mechlib.pages.slides.deck import build

FOLDER = Path("slides")


def setup(app: Any) -> dict:
    """Called by Sphinx: the slides are written when the book is."""

    def finished(app: Any, failure: Exception | None) -> None:
        if failure is None and app.builder.format == "html":
            root = Path(app.srcdir)
            build(root, root / FOLDER, Path(app.outdir) / FOLDER)

    app.connect("build-finished", finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
