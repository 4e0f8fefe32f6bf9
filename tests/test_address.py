"""Links to the repository and buttons that open a hub: there with an address, not without one."""

import io
import re
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from sphinx.application import Sphinx
from sphinx.errors import ConfigError
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))


def links(folder: Path, address: str) -> list[str]:
    """All links that a page made from a notebook of the course gets, built by the book's theme."""
    source = folder / "source"
    (source / "notebooks").mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A chapter")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, source / "notebooks" / "05_bigrams.ipynb")
    (source / "index.md").write_text(
        "# Start\n\n```{toctree}\nnotebooks/05_bigrams\n```\n", "utf-8"
    )
    settings = {
        "extensions": ["myst_nb", "address"],
        "nb_execution_mode": "off",
        "html_theme": "sphinx_book_theme",
        "html_theme_options": {"repository_url": address, "repository_branch": "main"},
    }
    complaints, out = io.StringIO(), folder / "out"
    with docutils_namespace():
        places = (source, None, out, folder / "trees")
        Sphinx(*places, "html", settings, status=None, warning=complaints).build()
    assert complaints.getvalue() == ""
    page = (out / "notebooks" / "05_bigrams.html").read_text("utf-8")
    return re.findall(r'href="(https?://[^"]+)"', page)


@pytest.fixture(autouse=True)
def _extension(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    yield
    sys.modules.pop("address", None)


def ours(found: list[str]) -> list[str]:
    """Without the lines below the page, which name those who made the theme."""
    return [link for link in found if "sphinx" not in link and "ebp.jupyterbook" not in link]


def test_without_an_address_there_is_no_such_link(tmp_path):
    assert ours(links(tmp_path, "")) == []


def test_with_an_address_every_link_names_what_is_there(tmp_path):
    found = ours(links(tmp_path, "https://github.com/somebody/course/"))
    where, path = "somebody/course", "notebooks/05_bigrams.ipynb"
    assert (ROOT / path).exists()
    assert (ROOT / "binder" / "runtime.txt").exists(), "what the hub reads"
    github = f"https://github.com/{where}"
    assert [link.split("&")[0] for link in found] == [
        f"https://mybinder.org/v2/gh/{where}/main?urlpath=lab/tree/{path}",
        f"https://colab.research.google.com/github/{where}/blob/main/{path}",
        github,
        f"{github}/blob/main/{path}?plain=1",
        f"{github}/issues/new?title=Issue%20on%20page%20%2Fnotebooks/05_bigrams.html",
    ]


def test_a_host_that_the_theme_does_not_know_gets_what_works_there(tmp_path):
    address = "https://git.example.org/somebody/course"
    found = ours(links(tmp_path, address))
    assert not any("colab" in link or "issues" in link for link in found)
    assert address in found


@pytest.mark.parametrize("address", ["github.com/somebody/course", "https://github.com/somebody"])
def test_what_is_no_address_is_refused(tmp_path, address):
    with pytest.raises(ConfigError, match=r"repository: url: .* must be empty or an address"):
        links(tmp_path, address)


def test_the_address_stands_in_one_place():
    assert set(CONFIG["repository"]) == {"url", "branch"}
    assert "launch_buttons" not in CONFIG
    assert not any(key.startswith("use_") for key in CONFIG["html"])
    assert "address" in CONFIG["sphinx"]["local_extensions"]
