"""Does it get slower, or fail more often, the longer it runs? A leak shows as a drift within a step.

The requests are cut into blocks of equal size, each told by its median latency (or its share of errors); Kendall's tau
of blocks against time (the Mann-Kendall test) asks for a rise, Theil and Sen's slope says how fast, with its interval.

Neighbouring requests are alike: a slow second is slow for all of it, and a rank test of single requests would see
trends in that. So blocks must be longer than such spells: there are few of them, and fewer if neighbouring blocks still
resemble each other (their correlation, curve removed, is above 0). If even the fewest do beyond chance, a rise may be
one slow wave: UNKNOWN. Measured (tests/bench/statistics.py): spells of a thirtieth of the time do no harm.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import inf, sqrt
from typing import Any, ClassVar

from meshtest.checks.arms import Arms, arms, within
from meshtest.checks.base import BaseCheck
from meshtest.checks.needs_scipy import scipy_stats
from meshtest.checks.overload import saturated
from meshtest.checks.rates import rate
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent
from meshtest.lib.stats import mean, median
from meshtest.model.history import History
from meshtest.model.verdict import Finding, Outcome

BLOCKS = (16, 8)
IN_BLOCK = 20
"""Requests at least; the median of fewer is mostly noise."""
KINDS = ("latency", "errors")
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Trend(BaseCheck):
    """The latency (or the error rate) has not grown in the time that is judged."""

    name: ClassVar[str] = "trend"
    of: str = "latency"
    """`latency` or `errors`."""
    host: str = ""
    """Of a service, perhaps deeper in the mesh; by default of all requests."""
    version: str = ""
    growth: float = 0.2
    """What matters: from begin to end of the time, so much of the latency at its begin; of errors, as a share of the
    requests (0.01: one point)."""
    least: float = 0.0005
    """Seconds; a growth of the latency by less does not matter."""
    alpha: float = 0.01
    """How often a rise may be seen where there is none."""
    step: str = ""
    """Only the requests of this step."""

    def __post_init__(self) -> None:
        if self.of not in KINDS:
            raise UsageError(f"of {self.of!r}: {' or '.join(map(repr, KINDS))}")
        if not (self.growth > 0 and self.least >= 0):
            raise UsageError(f"growth {self.growth!r}, least {self.least!r}: above 0, and 0 or more")
        rate(self.alpha, "alpha")

    def judge(self, history: History) -> Finding:
        history = within(history, self.step)
        rows = self._rows(arms(history, self.host))
        wanted = BLOCKS[-1] * IN_BLOCK
        if len(rows) < wanted:
            text = f"{len(rows)} requests are too few to see a trend; it takes {wanted}"
            return self.finding(Outcome.UNKNOWN, text, n=len(rows))
        drift = _Drift.of(self, rows)
        why = saturated(history)
        if why:
            return self.finding(Outcome.UNKNOWN, why, **drift.figures())
        outcome, text = drift.answer()
        return self.finding(outcome, text, **drift.figures())

    def _rows(self, seen: Arms) -> list[tuple[float, float]]:
        """When, and what: a latency of a good answer, or 1 for an error."""
        chosen = zip(seen.times, seen.versions, seen.failed, seen.seconds, strict=True)
        rows = [(at, failed, took) for at, version, failed, took in chosen if self.version in ("", version)]
        if self.of == "errors":
            return [(at, float(failed)) for at, failed, _ in rows]
        return [(at, took) for at, failed, took in rows if not failed and took < inf]


@dataclass(frozen=True)
class _Drift:
    """Blocks, and the line through them."""

    check: Trend
    n: int
    times: Sequence[float]
    values: Sequence[float]
    p_value: float
    slope: float
    """A second."""
    low: float
    high: float
    alike: bool
    """Neighbouring blocks are more alike than chance."""

    @classmethod
    def of(cls, check: Trend, rows: Sequence[tuple[float, float]]) -> _Drift:
        stats = scipy_stats(check.name)
        times: list[float] = []
        values: list[float] = []
        alike = True
        for count in BLOCKS:
            if len(rows) >= count * IN_BLOCK:
                times, values = _blocks(rows, count, check.of)
                likeness = _likeness(times, values)
                alike = likeness > 1.645 / sqrt(count)
                if likeness <= 0:
                    break
        tau = stats.kendalltau(times, values, alternative="greater")
        slope = stats.theilslopes(values, times, CONFIDENCE)
        p_value = 1.0 if len(set(values)) == 1 else float(tau.pvalue)
        return cls(check, len(rows), times, values, p_value, float(slope[0]), float(slope[2]), float(slope[3]), alike)

    @property
    def span(self) -> float:
        """Seconds from the first block's middle to the last one's."""
        return self.times[-1] - self.times[0]

    @property
    def begin(self) -> float:
        """The value that the line begins with."""
        return median(v - self.slope * (t - self.times[0]) for t, v in zip(self.times, self.values, strict=True))

    @property
    def limit(self) -> float:
        """The growth that matters, in the unit of the values."""
        if self.check.of == "errors":
            return self.check.growth
        return max(self.check.growth * self.begin, self.check.least)

    def answer(self) -> tuple[Outcome, str]:
        rising = self.p_value < self.check.alpha and self.slope * self.span > self.limit
        if rising and self.alike:
            return (
                Outcome.UNKNOWN,
                f"{self._line()}: it may be a slow wave, for even long blocks resemble their neighbours",
            )
        if rising:
            return Outcome.FAIL, f"{self._line()} (p = {self.p_value:.2g})"
        if self.high * self.span > self.limit:
            return Outcome.UNKNOWN, f"{self._line()}: whether it grows is not decided; a longer time would tell"
        return Outcome.PASS, f"{self._line()}: no trend that matters"

    def _line(self) -> str:
        what = "error rate" if self.check.of == "errors" else "latency"
        whose = f" of {self.check.version}" if self.check.version else ""
        change = f"{self._told(self.slope * 60)} a minute ({self._told(self.low * 60)} to {self._told(self.high * 60)})"
        return f"the {what}{whose} changes by {change}, from {self._told(self.begin, sign='')} over {self.span:.3g} s"

    def _told(self, value: float, sign: str = "+") -> str:
        if self.check.of == "errors":
            return f"{value * 100:{sign}.3g} points" if sign else percent(value)
        return f"{value * 1e3:{sign}.3g} ms"

    def figures(self) -> dict[str, Any]:
        """`effect` and `interval` are changes a minute."""
        return {
            "n": self.n, "blocks": list(self.values), "p_value": self.p_value, "effect": self.slope * 60,
            "interval": [self.low * 60, self.high * 60], "begin": self.begin, "seconds": self.span, "alike": self.alike,
        }  # fmt: skip


def _blocks(rows: Sequence[tuple[float, float]], count: int, of: str) -> tuple[list[float], list[float]]:
    edges = [len(rows) * i // count for i in range(count + 1)]
    parts = [rows[a:b] for a, b in itertools.pairwise(edges)]
    told = mean if of == "errors" else median
    return [mean([at for at, _ in part]) for part in parts], [told([value for _, value in part]) for part in parts]


def _likeness(times: Sequence[float], values: Sequence[float]) -> float:
    """The correlation of neighbours, once a parabola is taken away: leaks grow in curves."""
    import numpy as np

    if len(set(values)) < 3:
        return 0.0
    centred = np.asarray(times) - mean(times)
    rest = np.asarray(values) - np.polyval(np.polyfit(centred, values, 2), centred)
    whole = float(rest @ rest)
    return float(rest[1:] @ rest[:-1]) / whole if whole > 0 else 0.0


trend = Trend
