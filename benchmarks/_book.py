"""A page of the built book in headless Chromium, for benchmarks that measure the page itself."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from mechlib.pages.paper import chromium
from tests.conftest import FLAGS

HTML = Path(__file__).parents[1] / "_build" / "html"


@contextlib.contextmanager
def opened(address: str) -> Iterator[tuple[Page, Callable[[], float]]]:
    """A page of the book (its path in the build) on one core, and a clock of its CPU seconds.

    The clock counts every process that runs pages: what is drawn, and the workers behind it. The
    browser is held to one core where the system can do that (Linux). Ends the program with a
    sentence where there is no built book or no Chromium.
    """
    path = chromium()
    if path is None:
        sys.exit("no Chromium: install one, or name it in the variable CHROMIUM")
    if not (HTML / address).exists():
        sys.exit("no built book: run make book first")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])  # the browser inherits it
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=FLAGS)
        session = browser.new_browser_cdp_session()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(600_000)
        page.goto((HTML / address).as_uri())
        page.wait_for_selector("[data-mounted]", state="attached")

        def cpu_seconds() -> float:
            processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
            return sum(p["cpuTime"] for p in processes if p["type"] == "renderer")

        yield page, cpu_seconds
        browser.close()
