"""A Firefox as it is installed, driven over WebDriver BiDi: what the tests of the book need of it.

Playwright drives only builds of Firefox of its own, which must be fetched, so this speaks the
protocol itself (https://w3c.github.io/webdriver-bidi): JSON over one socket. The variable FIREFOX
names a Firefox by its path.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

MAC = "/Applications/Firefox.app/Contents/MacOS/firefox"
PATIENCE = 120  # seconds; a busy machine may be slow, not wrong


def firefox() -> str | None:
    """The path of a Firefox; None when there is none."""
    named = os.environ.get("FIREFOX")
    if named:
        if not Path(named).exists():
            raise FileNotFoundError(f"FIREFOX: there is no file {named!r}")
        return named
    found = next((path for path in map(shutil.which, ("firefox", "firefox-esr")) if path), None)
    return found or (MAC if Path(MAC).exists() else None)


class Firefox:
    """One running Firefox with one tab. `events` are those that came since the last `goto`."""

    def __init__(self, path: str):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.log = Path(self.folder.name, "log")
        command = [path, "--headless", "--no-remote", "--remote-debugging-port", "0"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--profile", self.folder.name], stdout=log, stderr=log
            )
        self.events, self.sent, self.socket = [], 0, None
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        import websocket

        deadline = time.monotonic() + PATIENCE
        while not (
            found := re.search(r"BiDi listening on (ws://\S+)", self.log.read_text("utf-8"))
        ):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Firefox does not answer: {self.log.read_text('utf-8')[-500:]}")
            time.sleep(0.1)
        # Firefox refuses a client that names a page as its origin
        self.socket = websocket.create_connection(
            f"{found[1]}/session", PATIENCE, suppress_origin=True
        )
        self.ask("session.new", capabilities={})
        events = ["log.entryAdded", "network.beforeRequestSent", "network.responseCompleted"]
        self.ask("session.subscribe", events=events)
        self.tab = self.ask("browsingContext.create", type="tab")["context"]

    def _said(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def ask(self, method: str, **parameters) -> dict:
        """Send one command and wait for its answer. RuntimeError when Firefox refuses it."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        self.socket.send(json.dumps(message))
        while (answer := json.loads(self.socket.recv())).get("id") != self.sent:
            self.events.append(answer)
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['message']}")
        return answer["result"]

    def goto(self, url: str, width: int, height: int) -> None:
        """Open a page in a tab of this size, until it has loaded."""
        self.resize(width, height)
        self.events.clear()
        self.ask("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def resize(self, width: int, height: int) -> None:
        """The size of the page in pixels."""
        size = {"width": width, "height": height}
        self.ask("browsingContext.setViewport", context=self.tab, viewport=size)

    def evaluate(self, function: str):
        """The value of a JavaScript function without arguments. RuntimeError when it throws."""
        expression = f"Promise.resolve(({function})()).then(found => JSON.stringify(found))"
        target = {"context": self.tab}
        answer = self.ask(
            "script.evaluate", expression=expression, target=target, awaitPromise=True
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"].get("value", "null"))

    def wait_for(self, function: str) -> None:
        """Until the JavaScript function gives true. TimeoutError after two minutes."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(function):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not true in {PATIENCE} s: {function}")
            time.sleep(0.1)

    def told(self, method: str) -> list[dict]:
        """What Firefox reported under one name since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self) -> None:
        """End Firefox and forget its profile."""
        if self.socket is not None:
            self.socket.close()
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()
