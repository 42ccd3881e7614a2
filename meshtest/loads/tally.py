"""What the prober knows about itself at the end: counts, its largest blind gap, how late it was. Light imports."""

from __future__ import annotations

from meshtest.model.record import FATES, TICK_NS

_PRECISION = 7
"""Bits of a lateness that are kept: 1 % precision, a few hundred buckets whatever the length of the run."""


class Tally:
    """Counters of one load."""

    def __init__(self) -> None:
        self.fates = [0] * len(FATES)
        self.idle_closed = 0
        self.sent = 0
        self._first = 0
        self._last = 0
        self._gap = 0
        self._late: dict[int, int] = {}

    def count_send(self, now: int, late: int) -> None:
        """A request has begun to leave at `now`, `late` ticks after its intended time."""
        if self.sent:
            if now - self._last > self._gap:
                self._gap = now - self._last
        else:
            self._first = now
        self._last = now
        self.sent += 1
        shift = late.bit_length() - _PRECISION
        if shift > 0:
            late = late >> shift << shift
        self._late[late] = self._late.get(late, 0) + 1

    def late(self, p: float) -> float:
        """The p-quantile of the lateness in seconds."""
        rank, seen = p * self.sent, 0
        for late in sorted(self._late):
            seen += self._late[late]
            if seen >= rank:
                return late * TICK_NS / 1e9
        return 0.0

    def summary(self) -> dict[str, object]:
        seconds = (self._last - self._first) / 1e9
        return {
            "sent": self.sent,
            "fates": self.fates,
            "idle_closed": self.idle_closed,
            "max_gap": self._gap / 1e9,
            "late_p50": self.late(0.5),
            "late_p99": self.late(0.99),
            "rate": (self.sent - 1) / seconds if seconds else 0.0,
        }
