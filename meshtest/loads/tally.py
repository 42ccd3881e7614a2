"""What the prober knows about itself: counts, its largest blind gap, how late it was, what CPU it got. Light imports.

Figures are numbers that several processes of a load can be merged by; what follows from them, figures.py says.
"""

from __future__ import annotations

import time
from collections import defaultdict

from meshtest.model.record import FATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Figures(TypedDict):
        """The last words of one process. Times in ns."""

        fates: list[int]
        idle_closed: int
        sent: int
        first: int
        last: int
        """When the first and the last request began to leave."""
        gap: int
        late: list[tuple[int, int]]
        """(ticks, requests), in order."""
        wall: int
        cpu: int
        queued: int
        """Time it was ready to run and another process had the CPU."""
        unsent: str
        """Why a request got no socket, if one did not."""
        troubles: dict[str, int]
        """What was wrong with a handshake or with what came, in words, and how often."""
        error: str


_EXACT = 4096
"""Ticks (0.4 ms) up to which a lateness is counted as it is; above, 7 bits of it are kept: 1 % precision, and a few
thousand buckets whatever the length of the run."""
_PRECISION = 7


_MOST_TROUBLES = 20
"""Different ones; more would tell no more."""


class Tally:
    """Counters of one process of a load."""

    def __init__(self) -> None:
        self.fates = [0] * len(FATES)
        self.idle_closed = 0
        self.sent = 0
        self.unsent = ""
        self.troubles: dict[str, int] = {}
        self._first = 0
        self._last = 0
        self._gap = 0
        self._late: defaultdict[int, int] = defaultdict(int)
        self._began = (0, 0, 0)

    def begin(self) -> None:
        """Measuring starts; what CPU was used before does not count."""
        self._began = _clocks()

    def count_send(self, now: int, late: int) -> None:
        """A request has begun to leave at `now`, `late` ticks after its intended time."""
        gap = now - self._last
        if gap > self._gap:
            if self.sent:
                self._gap = gap
            else:
                self._first = now
        self._last = now
        self.sent += 1
        if late > _EXACT:
            shift = late.bit_length() - _PRECISION
            late = late >> shift << shift
        self._late[late] += 1

    def busy(self) -> float:
        """Share of the time since the beginning in which it used a CPU."""
        wall, cpu, _ = (now - then for now, then in zip(_clocks(), self._began, strict=True))
        return cpu / wall if wall else 0.0

    def trouble(self, words: str) -> None:
        """A connection failed, and it is known why."""
        if words in self.troubles or len(self.troubles) < _MOST_TROUBLES:
            self.troubles[words] = self.troubles.get(words, 0) + 1

    def figures(self) -> Figures:
        wall, cpu, queued = (now - then for now, then in zip(_clocks(), self._began, strict=True))
        return {
            "fates": self.fates,
            "idle_closed": self.idle_closed,
            "sent": self.sent,
            "first": self._first,
            "last": self._last,
            "gap": self._gap,
            "late": sorted(self._late.items()),
            "wall": wall,
            "cpu": cpu,
            "queued": queued,
            "unsent": self.unsent,
            "troubles": self.troubles,
            "error": "",
        }


def _clocks() -> tuple[int, int, int]:
    """ns of wall time, of CPU used, of waiting for one in the run queue (0 where the kernel does not tell)."""
    try:
        with open("/proc/self/schedstat") as file:
            queued = int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        queued = 0
    return time.monotonic_ns(), time.process_time_ns(), queued
