"""A headless Chromium driven over its debugging pipe: no port, no driver, nothing but Python's own library."""

import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 120.0
"""For one answer; a busy machine takes its time."""

# Chromium reads commands from descriptor 3 and answers on 4.
_EXEC = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
)


class Tab:
    """One page; `events` keeps all that it reported."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._unread = commands, answers, b""
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        self._session: dict[str, str] = {}
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self._session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answer = next(found for found in self._messages() if found.get("id") == number)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def open(self, page: Path | str, width: int, dark: bool = False) -> None:
        """Show a file or an address in a window so wide, and wait until it is loaded."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.tell("Page.navigate", url=page.as_uri() if isinstance(page, Path) else page)
        if not any(event["method"] == "Page.loadEventFired" for event in self.events):
            next(found for found in self._messages() if found.get("method") == "Page.loadEventFired")

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = self.tell("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def complaints(self) -> list[Any]:
        """Errors and warnings of the console since the page was opened."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [event["params"] for event in self.events if event["method"] in kinds]

    def requests(self) -> list[str]:
        """Addresses asked for since the page was opened."""
        asked = (event for event in self.events if event["method"] == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in asked]

    def _messages(self) -> Iterator[dict[str, Any]]:
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            while b"\0" not in self._unread:
                ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline_s - time.monotonic()))
                assert ready, f"no answer from the browser in {PATIENCE_S:g} s"
                read = os.read(self._answers, 1 << 20)
                assert read, "the browser has gone"
                self._unread += read
            line, _, self._unread = self._unread.partition(b"\0")
            message = json.loads(line)
            if "method" in message:
                self.events.append(message)
            yield message


@contextlib.contextmanager
def chromium(profile: Path, *more: str) -> Iterator[Tab]:
    """A fresh browser with an empty page, started with more flags if wanted; needs `CHROMIUM`."""
    assert CHROMIUM
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    # High numbers: neither may be 3 or 4 before both are copied there.
    passed = [fcntl.fcntl(end, fcntl.F_DUPFD, 64) for end in (theirs_in, theirs_out)]
    flags = [*_FLAGS, *more, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    start = [sys.executable, "-S", "-c", _EXEC, *map(str, passed), CHROMIUM, *flags]
    process = subprocess.Popen(start, pass_fds=passed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for end in (theirs_in, theirs_out, *passed):
        os.close(end)
    try:
        yield Tab(commands, answers)
    finally:
        process.terminate()
        process.wait()
        os.close(commands)
        os.close(answers)
