"""The clock of the samples: as fast as the run's, or `speed` times as fast, for a rehearsal of what takes hours.

A query with `[1m]`, `offset 5m` or a subquery then runs as it is written: what `speed` 20 lets happen in 3 s fills a
minute of it. So that it also reads what it would in production, a sample is worth what `worth` says:

    counters        speed times as many: a request that was sent stands for `speed`, the rate is that of the wall clock,
                    an increase is what production would count. Also _bucket, _sum and _count of histograms, summaries
    moments         of the wall clock (process_start_time_seconds): the same moment on this clock, so that
                    `time() - process_start_time_seconds` is an age in production's seconds
    all the rest    as it is: gauges, quantiles, and the bounds of buckets, for latencies are not compressed
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass

LONGEST = 12 * 3600.0
"""Seconds that a run may last. Prometheus refuses samples that are more than 10 min ahead of its own clock (remote
write), so a fast clock begins in the past, by as much as it gains in this time."""

_CUMULATIVE = ("_total", "_bucket", "_sum", "_count")
_MOMENTS = ("_start_time_seconds", "_timestamp_seconds", "_created")
_SINCE_2001 = 1e9
"""What is less is no moment of the wall clock: an exporter that tells 0 means never."""


@dataclass(frozen=True)
class Clock:
    """From seconds of the run to times of samples, and back."""

    wall_start: float
    """Second 0 of the run, on the wall clock."""
    speed: float = 1.0

    def __post_init__(self) -> None:
        if not self.speed >= 1:
            raise UsageError(f"speed {self.speed!r}: how many times as fast as the wall clock, 1 or more")

    @property
    def start(self) -> float:
        """Second 0 of the run."""
        return self.wall_start - LONGEST * (self.speed - 1)

    def at(self, second: float) -> float:
        return self.start + second * self.speed

    def second(self, at: float) -> float:
        return (at - self.start) / self.speed

    def now(self) -> float:
        return self.at_wall(time.time())

    def at_wall(self, moment: float) -> float:
        return self.at(moment - self.wall_start)

    def worth(self, name: str, types: Mapping[str, str]) -> Callable[[float], float] | None:
        """What to make of the values of a series; None: nothing. `types` are those of its scrape, by family."""
        if self.speed == 1:
            return None
        if accumulates(name, types):
            return lambda told: told * self.speed
        return self._moment if name.endswith(_MOMENTS) else None

    def _moment(self, told: float) -> float:
        return self.at_wall(told) if told > _SINCE_2001 else told


def accumulates(name: str, types: Mapping[str, str]) -> bool:
    """As its own type says, if that is told; a series of a histogram has none (its family has one), only its suffix."""
    kind = types.get(name, "untyped")
    return kind == "counter" or (kind in ("untyped", "unknown") and name.endswith(_CUMULATIVE))
