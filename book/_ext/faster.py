"""The same book in less time: several processes, and a sidebar without the headings it leaves out.

Before pages are read apart from each other, Sphinx asks every extension whether they may. Three
do not answer. They change a page's own tree, number what we leave without numbers, or copy files at
the end; none keeps anything from one page to the next.
"""

import os
import sys

SILENT = ("sphinx-mathjax-offline", "sphinx_multitoc_numbering", "sphinx_jupyterbook_latex")


def processes() -> int:
    """How many to build with: one more than there are cores, for the first mostly hands out pages.

    One where the system is not Linux: Windows cannot fork a process, and on a Mac it is not safe.
    """
    if not sys.platform.startswith("linux"):
        return 1
    cores = len(os.sched_getaffinity(0))
    return min(cores, 4) + 1 if cores > 1 else 1


def speed_up(app, config) -> None:
    """Sphinx's hook for the configuration, when every extension is there."""
    app.parallel = max(app.parallel, processes())
    for name in SILENT:
        app.extensions[name].parallel_read_safe = True
    # The sidebar shows titles alone. Without this, every page copies every heading of the book.
    config.html_theme_options["collapse_navbar"] = True


def setup(app) -> dict:
    """Sphinx's hook."""
    app.connect("config-inited", speed_up)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
