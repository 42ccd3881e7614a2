"""How long a crashed container waits for its restart: Kubernetes' CrashLoopBackOff.

At once, then after 10 s, 20 s, 40 s ... 300 s; forgotten once a container ran for ten minutes.
"""

from __future__ import annotations

FIRST, MOST, FORGOTTEN = 10.0, 300.0, 600.0


class BackOff:
    """The pauses of one pod."""

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, ran: float) -> float:
        """Seconds to wait now that a container ended which ran for `ran` seconds."""
        if ran >= FORGOTTEN:
            self._next = 0.0
        pause = self._next
        self._next = min(max(pause * 2, FIRST), MOST)
        return pause
