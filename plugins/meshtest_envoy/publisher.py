"""Tells the mesh what became of pods, after the endpoint-propagation lag: one thread, one queue ordered by time.

What cannot be told is told again, as a controller does: a proxy that is late with its acknowledgement must not leave
the mesh without endpoints for good.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable

from meshtest.errors import ProviderError

AGAIN = 1.0
"""Seconds until what could not be told is tried again."""


class Publisher:
    """Calls `publish(pods)` for pods whose time has come; several that are due together go in one call."""

    def __init__(self, publish: Callable[[set[str]], None], complain: Callable[[str], None]) -> None:
        """`complain` is called with why it could not be told, once until it can."""
        self._publish, self._complain = publish, complain
        self.failure = ""
        """Why the mesh has not heard the latest."""
        self._due: list[tuple[float, str]] = []
        self._condition = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="endpoint-publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def later(self, pod: str, lag: float) -> None:
        with self._condition:
            heapq.heappush(self._due, (time.monotonic() + lag, pod))
            self._condition.notify_all()

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        while pods := self._next():
            try:
                self._publish(pods)
                self.failure = ""
            except ProviderError as error:
                self._failed(pods, str(error))

    def _failed(self, pods: set[str], why: str) -> None:
        if why != self.failure:
            self.failure = why
            self._complain(why)
        for pod in pods:
            self.later(pod, AGAIN)

    def _next(self) -> set[str]:
        """Wait for pods that are due; the empty set means stop."""
        with self._condition:
            while not self._stopped:
                now = time.monotonic()
                pods = set()
                while self._due and self._due[0][0] <= now:
                    pods.add(heapq.heappop(self._due)[1])
                if pods:
                    return pods
                self._condition.wait(self._due[0][0] - now if self._due else None)
        return set()
