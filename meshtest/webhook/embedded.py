"""An endpoint in a child process: `meshtest webhook serve` on a free port, for as long as whoever started it lives."""

from __future__ import annotations

import contextlib
import selectors
import subprocess
import sys
import time
from pathlib import Path

from meshtest.errors import ProcessFailed
from meshtest.spi.child import Child

START = 30.0
"""Seconds to listen; it takes 0.5 on an idle machine."""
STOP = 5.0
ANNOUNCED = b"listening on "


class Embedded:
    """Listening once it is made. Its runs, verdicts and reports stay in `state`."""

    def __init__(self, suites: Path, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        words = ("--suites", str(suites), "--state", str(state), "--listen", "127.0.0.1:0", "--drain", "0")
        with (state / "endpoint.log").open("ab") as log:
            self._child = Child([sys.executable, "-m", "meshtest", "webhook", "serve", *words, "--tethered"], log=log)
        self._log = state / "endpoint.log"
        try:
            self.url = self._listening()
        except BaseException:
            self.close()
            raise

    def _listening(self) -> str:
        said, deadline = b"", time.monotonic() + START
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.out, selectors.EVENT_READ)
            while b"\n" not in said:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise ProcessFailed(f"the webhook endpoint did not listen within {START:g} s{self._last_words()}")
                if not (more := self._child.out.read(4096)):
                    raise ProcessFailed(f"the webhook endpoint did not start{self._last_words()}")
                said += more
        return said.partition(ANNOUNCED)[2].split()[0].decode().rstrip(",")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return ": " + "\n".join(lines[-10:]) if lines else ""

    @property
    def running(self) -> bool:
        return self._child.running

    def close(self) -> None:
        """Its stdin ends, so it does; what it runs is kept as interrupted."""
        self._child.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP)
            return
        self._child.kill()
