"""Production's clock, compressed: ticks come from a schedule, as those of Flagger's ticker do.

It does not drift: the n-th slot begins n intervals after the first. A tick that takes longer than its slot is followed
at once by the next one, and slots that were missed altogether are lost, as in Go's time.Ticker (a channel of one). But
what only this machine makes slow - a change of the mesh, a scrape, a query - takes none of production's time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

EVERY = 0.05
"""Seconds between two looks while it waits."""
MOMENT = 0.05
"""Of a slot: so much work of a tick is thought to take its time in production, too."""


class Clock:
    def __init__(
        self,
        *,
        interval: float,
        speed: float,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.interval, self.speed = interval, speed
        self._now, self._pause = now, pause
        self._zero: float | None = None
        self.slot = 0
        """The one whose tick is due, or under way."""

    def start(self) -> None:
        """Slot 0 begins now."""
        self._zero, self.slot = self._now(), 0

    def stop(self) -> None:
        self._zero = None

    @property
    def running(self) -> bool:
        return self._zero is not None

    @property
    def after(self) -> float:
        """Seconds of production since the start; 0 while it does not run."""
        return 0.0 if self._zero is None else (self._now() - self._zero) * self.speed

    @property
    def left(self) -> float:
        """Seconds of ours until the next tick is due."""
        return ((self.slot + 1) * self.interval - self.after) / self.speed

    @property
    def missed(self) -> int:
        """Slots that have begun since the one whose tick is under way."""
        return max(0, math.floor(self.after / self.interval) - self.slot)

    def wait(self, look: Callable[[], object]) -> None:
        """Return when the next tick is due; `look` is called meanwhile."""
        self.slot += max(1, self.missed)
        while (left := self.slot * self.interval - self.after) > 0:
            look()
            self._pause(min(EVERY, left / self.speed))

    def stood(self, seconds: float) -> None:
        """So many seconds of ours of the present slot were work of the rehearsal. But for a moment they do not count:
        users have the whole slot for what the tick has changed."""
        spared = seconds - MOMENT * self.interval / self.speed
        if self._zero is not None and spared > 0:
            self._zero += spared

    def pause(self, seconds: float) -> None:
        """Let so many seconds of ours pass, in the middle of a tick."""
        self._pause(seconds)

    def skip(self, least: float) -> None:
        """Let the rest of this slot pass in `least` seconds of ours."""
        if self._zero is not None and self.left > least:
            self._zero -= self.left - least
