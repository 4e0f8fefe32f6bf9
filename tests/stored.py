"""The stored notebooks, each read once for all tests."""

from functools import cache
from pathlib import Path

import nbformat


@cache
def notebook(path: Path) -> nbformat.NotebookNode:
    """A notebook as it is stored. Whoever wants to change it reads a copy of their own."""
    return nbformat.read(path, as_version=4)
