"""A chromium that tests drive: the DevTools protocol over a pair of pipes, so that one start opens many pages.

`--dump-dom` and `--screenshot` do not work with scripts disabled (they are scripts themselves); the protocol does.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "no chromium is installed (apt-get install chromium)"
PATIENCE = 90.0
PLACE = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""A browser with --remote-debugging-pipe reads from descriptor 3 and writes to 4."""
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
)  # fmt: skip


class Chromium:
    """One process with one tab; scripts of pages do not run."""

    def __init__(self) -> None:
        assert BINARY is not None
        self._profile = tempfile.TemporaryDirectory(prefix="meshtest-chromium-", ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        given = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        command = [sys.executable, "-I", "-S", "-c", PLACE, *map(str, given), BINARY, *FLAGS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={self._profile.name}"], pass_fds=given, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        for end in (theirs_in, theirs_out, *given):
            os.close(end)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session = ""
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self) -> None:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.ask("Network.enable")
        self.ask("Emulation.setScriptExecutionDisabled", value=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._session = ""
            self.ask("Browser.close")
        os.close(self._out)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._in)
        with contextlib.suppress(ProcessLookupError):  # a helper that is left would write into the profile again
            os.killpg(self._process.pid, signal.SIGKILL)
        self._profile.cleanup()

    # The protocol: JSON, each message ended by a zero byte.

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to it; what happens meanwhile is forgotten."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = next(m for m in self._messages() if m.get("id") == number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def wait_for(self, method: str) -> dict[str, Any]:
        return next(m for m in self._messages() if m.get("method") == method)

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._rest:
                if not select.select([self._in], [], [], PATIENCE)[0]:
                    raise TimeoutError(f"chromium was silent for {PATIENCE:g} s")
                more = os.read(self._in, 1 << 20)
                if not more:
                    raise EOFError("chromium has ended")
                self._rest += more
            line, _, self._rest = self._rest.partition(b"\0")
            yield json.loads(line)

    # Pages.

    def open(self, page: Path, *, width: int = 1280, dark: bool = False, media: str = "") -> None:
        """From disk; returns when it is loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=page.as_uri())
        self.wait_for("Page.loadEventFired")

    def picture(self, path: Path) -> None:
        """The whole page."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12000), "scale": 1}
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        printed = self.ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(printed["data"]))

    def query(self, script: str) -> Any:
        """The value of an expression; ours, for those of the page are disabled."""
        world = self.ask("Page.createIsolatedWorld", frameId=self._frame(), worldName="test")["executionContextId"]
        told = self.ask("Runtime.evaluate", expression=script, contextId=world, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(told["exceptionDetails"])
        return told["result"].get("value")

    def _frame(self) -> str:
        return str(self.ask("Page.getFrameTree")["frameTree"]["frame"]["id"])


def main(arguments: list[str]) -> None:
    """`python -m tests.reporters.html.chromium PAGE OUT WIDTH light|dark`, to look at a page; OUT is .png or .pdf."""
    page, out, width, scheme = arguments
    with Chromium() as browser:
        browser.open(Path(page).resolve(), width=int(width), dark=scheme == "dark")
        (browser.pdf if out.endswith(".pdf") else browser.picture)(Path(out))


if __name__ == "__main__":
    main(sys.argv[1:])
