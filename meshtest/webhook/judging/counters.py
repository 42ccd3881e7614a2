"""What was counted between two looks at a counter, series by series. Pure.

Not PromQL's increase(): that estimates by extrapolation, and does not see the first value of a series, which is where
the first error of a canary stands. So the counters themselves are asked for, best without sum(): then a series that
begins later counts in full, and one that begins again (its pod was restarted) from zero.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshtest.errors import UsageError
from meshtest.model.series import NoData, Sample

Key = tuple[tuple[str, str], ...]
ROUNDING = 1e-6


class Counter:
    """One query, asked again and again."""

    def __init__(self, query: str) -> None:
        self.query = query
        self.seen = False
        """It has had a series."""
        self._last: dict[Key, float] | None = None

    def add(self, samples: Iterable[Sample]) -> int:
        """How much more it is than at the last look; at the first look that is nothing."""
        now = {_key(sample): self._whole(sample.value) for sample in samples if not isinstance(sample.value, NoData)}
        self.seen = self.seen or bool(now)
        last, self._last = self._last, {**(self._last or {}), **now}
        if last is None:
            return 0
        return round(sum(_rise(last.get(key, 0.0), value) for key, value in now.items()))

    def _whole(self, value: float) -> float:
        if value < 0 or abs(value - round(value)) > ROUNDING * max(1.0, value):
            raise UsageError(
                f"{value:g} is no count of requests: {self.query}\n  write the counter itself, without rate() or "
                "increase(); what it has risen by is worked out here"
            )
        return value


def _key(sample: Sample) -> Key:
    return tuple(sorted(sample.labels.items()))


def _rise(before: float, now: float) -> float:
    return now - before if now >= before else now
