"""A headless Chromium that opens pages of ours, driven through its pipe by the DevTools protocol; no package is needed.

CHAINMEND_CHROMIUM names the program; else chromium or google-chrome is looked for in PATH.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 120
"""that an answer may take; machines of tests are slow at times"""
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
)


def program() -> str | None:
    """The browser's path; None where there is none."""
    named = os.environ.get("CHAINMEND_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One tab: `open` a page, `ask` it for the value of an expression; `complaints` and `requests` are kept."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._rest, self._asked, self._session = send, receive, b"", 0, ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, width: int = 1200, scheme: str = "light") -> None:
        """Loads a file at a width, in light or dark."""
        self.complaints, self.requests, self._loaded = [], [], False
        self.look(width, scheme)
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not self._loaded:
            self._note(self._next())

    def look(self, width: int, scheme: str) -> None:
        """Sets the width in pixels, and light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key of the keyboard."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key], **text)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of one method; events before it are noted."""
        self._asked += 1
        request = {"id": self._asked, "method": method, "params": parameters}
        request |= {"sessionId": self._session} if self._session else {}
        os.write(self._send, json.dumps(request).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._asked:
                assert "error" not in message, (method, message)
                return dict(message["result"])
            self._note(message)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], SECONDS)
            part = os.read(self._receive, 1 << 16) if ready else b""
            assert part, "the browser is gone" if ready else f"the browser has said nothing for {SECONDS} seconds"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(parameters))
        self._loaded |= method == "Page.loadEventFired"


@contextmanager
def a_tab(folder: Path) -> Iterator[Tab]:
    """A browser with a profile of its own in `folder`, ended again at the end."""
    to_read, send = os.pipe()
    receive, to_write = os.pipe()
    command = [str(program()), *FLAGS, f"--user-data-dir={folder}", "about:blank"]

    def as_three_and_four() -> None:
        # the numbers that the browser reads and writes; copied high first, since one may be the other's place
        high = [os.dup2(each, place) for each, place in ((to_read, 60), (to_write, 61))]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    browser = subprocess.Popen(
        command, preexec_fn=as_three_and_four, close_fds=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    os.close(to_read)
    os.close(to_write)
    try:
        yield Tab(send, receive)
    finally:
        browser.terminate()
        try:
            browser.wait(SECONDS)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        os.close(send)
        os.close(receive)
