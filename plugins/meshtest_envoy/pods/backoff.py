"""How long a crashed container waits for its restart: Kubernetes' CrashLoopBackOff.

At once, then after 10 s, 20 s, 40 s ... 300 s; forgotten once a container ran for ten minutes. The annotation
`meshtest.dev/back-off` of a pod gives the first pause where time is compressed; the others are in proportion.
"""

from __future__ import annotations

FIRST, MOST, FORGOTTEN = 10.0, 300.0, 600.0


class BackOff:
    """The pauses of one pod."""

    def __init__(self, first: float = FIRST) -> None:
        self._first, self._scale = first, first / FIRST
        self._next = 0.0

    def after(self, ran: float) -> float:
        """Seconds to wait now that a container ended which ran for `ran` seconds."""
        if ran >= FORGOTTEN * self._scale:
            self._next = 0.0
        pause = self._next
        self._next = min(max(pause * 2, self._first), MOST * self._scale)
        return pause
