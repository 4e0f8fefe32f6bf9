"""How many processes build the book, and what they are allowed to do."""

import os
import sys
from types import SimpleNamespace

import faster
import pytest


@pytest.mark.parametrize(
    ("system", "cores", "processes"),
    [("linux", 1, 1), ("linux", 2, 3), ("linux", 64, 5), ("darwin", 8, 1), ("win32", 8, 1)],
)
def test_processes(system, cores, processes, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(cores), raising=False)
    assert faster.processes() == processes


def test_extensions_that_do_not_say_may_be_read_apart(monkeypatch):
    monkeypatch.setattr(faster, "processes", lambda: 3)
    names = ("another", *faster.SILENT)
    app = SimpleNamespace(
        parallel=1, extensions={name: SimpleNamespace(parallel_read_safe=None) for name in names}
    )
    config = SimpleNamespace(html_theme_options={"analytics": {}})
    faster.speed_up(app, config)
    assert app.parallel == 3
    assert app.extensions.pop("another").parallel_read_safe is None
    assert all(extension.parallel_read_safe for extension in app.extensions.values())
    assert config.html_theme_options == {"analytics": {}, "collapse_navbar": True}
