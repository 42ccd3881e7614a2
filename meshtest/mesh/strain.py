"""Watches whether the proxies have a CPU while a load runs: what times out for want of one says nothing of the mesh.

Every PERIOD the provider is asked how long its proxies ran and how long they waited for a CPU; if they were never idle
in that time, an event `proxy.starved` says so. Not here: what follows from it (checks/overload.py).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from meshtest.errors import MeshtestError
from meshtest.spi.provider import ProxyCpu

PERIOD = 0.25
"""Seconds; a quarter of the shortest request timeout one would set. Asking costs 0.1 ms."""
NEVER_IDLE = 0.9
"""Of the time running or waiting for a CPU."""


class Strain:
    """One watch for all loads of a mesh; counts who needs it."""

    def __init__(self, cpu: Callable[[], ProxyCpu], record: Callable[..., None]) -> None:
        self._cpu, self._record = cpu, record
        self._lock = threading.Lock()
        self._users = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._stop.clear()
                self._thread = threading.Thread(target=self._watch, name="proxy-strain", daemon=True)
                self._thread.start()

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._thread:
                self._stop.set()
                self._thread.join()
                self._thread = None

    def _watch(self) -> None:
        before, since = self._cpu(), time.monotonic()
        stopped = False
        while not stopped:
            stopped = self._stop.wait(PERIOD)
            now, at = self._cpu(), time.monotonic()
            with contextlib.suppress(MeshtestError):  # a full disk is told by whoever must write
                self._tell(before, now, at - since)
            before, since = now, at

    def _tell(self, before: ProxyCpu, now: ProxyCpu, seconds: float) -> None:
        ran, waited = now.ran - before.ran, now.waited - before.waited
        if seconds > PERIOD / 2 and ran + waited >= NEVER_IDLE * seconds:
            self._record("proxy.starved", seconds=round(seconds, 4), ran=round(ran, 4), waited=round(waited, 4))
