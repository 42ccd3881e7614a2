"""What a stand-in has not enough of: memory that it leaks, requests a second that it can serve. A pod without either
annotation never imports this.

The memory is real and touched, so that what watches the process sees it grow. It ends as it would in a cluster: the
kernel kills the process, the kubelet tells OOMKilled with exit code 137 and restarts the container, with back-off.
"""

from __future__ import annotations

import os
import sys
import time

from meshtest_envoy.pods.behaviour import OOM_KILLED, Behaviour, Leak

SAVED = 0.25
"""Seconds of its capacity that a service has left for a burst; but one request at least."""


class Limits:
    """Those of one pod."""

    def __init__(self, behave: Behaviour) -> None:
        self._leak, self._capacity = behave.leak, behave.capacity
        self._kept: list[bytes] = []
        self._most = max(1.0, (behave.capacity or 0.0) * SAVED)
        self._left = self._most
        self._at = time.monotonic()

    def take(self) -> bool:
        """A request came; False: it is one too many."""
        if self._leak is not None:
            self._grow(self._leak)
        return self._capacity is None or self._has_room(self._capacity)

    def _grow(self, leak: Leak) -> None:
        if (len(self._kept) + 1) * leak.request > leak.limit:
            print(f"leak: over {leak.limit} bytes after {len(self._kept)} requests", file=sys.stderr, flush=True)  # noqa: T201
            os._exit(OOM_KILLED)
        self._kept.append(b"\xff" * leak.request)  # zeros would be pages that nobody has touched

    def _has_room(self, capacity: float) -> bool:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * capacity)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
