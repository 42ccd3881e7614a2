"""Is the canary slower than the baseline? In the centre, in the tail, and, if a limit is given, beyond that.

    centre   Mann-Whitney, one-sided: answers of the canary tend to take longer
    tail     more of the canary's answers than of the baseline's lie beyond the baseline's p99 (exact, hypergeometric)
    slo      more of them are slower than `slo`, or have failed (exact, hypergeometric)

The centre alone passes a canary that is 30 % faster but for 5 % of its answers, which take four times as long; the tail
alone needs many requests to see that everything is a little slower. Holm's correction keeps the declared error for all
together. All are tests of ranks: nothing is assumed about the distribution, only that chance decides which version a
request goes to. So judge a step at a time if the weights move and the latency does, too.

With enough requests any difference is significant. Only one beyond `tolerance` counts: the baseline's latencies are
made that much longer before they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import inf
from typing import Any, ClassVar

from meshtest.checks.arms import Arms, arms, within
from meshtest.checks.base import BaseCheck
from meshtest.checks.hodges_lehmann import Shift, shift
from meshtest.checks.needs_scipy import scipy_stats
from meshtest.checks.overload import saturated
from meshtest.checks.rates import rate
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.exceedance import more_needed, more_p, more_power, ratio_interval
from meshtest.lib.figures import percent, seconds
from meshtest.lib.stats import median
from meshtest.lib.words import listed
from meshtest.model.history import History
from meshtest.model.tables import quantile
from meshtest.model.verdict import Finding, Outcome

SURE = 0.95
"""Power: a tail that is WORSE times as heavy is found with this probability, else nothing is proven."""
WORSE = 5.0
CONFIDENCE = 0.95
"""Of the intervals."""


@dataclass(frozen=True, kw_only=True)
class CanaryLatency(BaseCheck):
    """Version `canary` of `host` is not slower than `baseline`. A request that failed is infinitely slow."""

    name: ClassVar[str] = "canary_latency"
    host: str
    canary: str
    baseline: str
    tail: float = 0.99
    """The quantile of the baseline where its tail begins."""
    slo: float | None = None
    """Seconds; what takes longer, or fails, is bad."""
    tolerance: float = 0.05
    """Slower by so much of the baseline's latency is not slower, ..."""
    least: float = 0.0005
    """... nor is it by so many seconds."""
    alpha: float = 0.01
    """How often a canary that is as fast may be called slower."""
    step: str = ""
    """Only the requests of this step."""

    def __post_init__(self) -> None:
        rate(self.tail, "tail")
        rate(self.alpha, "alpha")
        if not (self.tolerance >= 0 and self.least >= 0):
            raise UsageError(f"tolerance {self.tolerance!r}, least {self.least!r}: 0 or more")
        if self.slo is not None and not self.slo > 0:
            raise UsageError(f"slo {self.slo!r}: seconds above 0")
        if self.canary == self.baseline:
            raise UsageError(f"canary and baseline are both {self.canary!r}")

    def judge(self, history: History) -> Finding:
        history = within(history, self.step)
        seen = arms(history, self.host)
        ours, theirs = _latencies(seen, self.canary), _latencies(seen, self.baseline)
        if not ours or not theirs:
            missing = self.canary if not ours else self.baseline
            text = f"no request is known to have reached {self.host} {missing}"
            return self.finding(Outcome.UNKNOWN, text, n=len(ours), baseline_n=len(theirs))
        compared = _Compared(self, ours, theirs)
        why = saturated(history)
        if why:
            return self.finding(Outcome.UNKNOWN, why, **compared.figures())
        if compared.slower:
            return self.finding(Outcome.FAIL, compared.how_slower(), **compared.figures())
        if compared.power < SURE:
            return self.finding(Outcome.UNKNOWN, compared.too_few(), **compared.figures())
        return self.finding(Outcome.PASS, compared.how_not(), **compared.figures())


def _latencies(seen: Arms, version: str) -> list[float]:
    rows = zip(seen.versions, seen.failed, seen.seconds, strict=True)
    return [inf if failed else value for name, failed, value in rows if name == version]


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted: the smallest times their number, the next times one less, never smaller than one before."""
    adjusted: dict[str, float] = {}
    worst = 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        worst = max(worst, min(1.0, p * (len(p_values) - place)))
        adjusted[name] = worst
    return adjusted


class _Compared:
    """The two samples, all tests, and what they say in words."""

    def __init__(self, check: CanaryLatency, ours: list[float], theirs: list[float]) -> None:
        self.check, self.ours = check, ours
        self.n, self.m = len(ours), len(theirs)
        self.median = median(theirs)
        self.own_median = median(ours)
        self.theirs = [max(value * (1 + check.tolerance), value + check.least) for value in theirs]
        """As slow as the canary may be."""
        self.limit = quantile(sorted(self.theirs), check.tail)
        self.beyond = sum(value > self.limit for value in ours), sum(value > self.limit for value in self.theirs)
        self.bad = _bad(ours, check.slo), _bad(theirs, check.slo)
        self.raw = theirs
        self.p_values = holm(self._tests())
        self.slower = [name for name, p in self.p_values.items() if p < check.alpha]

    @cached_property
    def shift(self) -> Shift:
        """Of the canary against the baseline as it is."""
        return shift(self.ours, self.raw, CONFIDENCE)

    def _tests(self) -> dict[str, float]:
        stats = scipy_stats(self.check.name)
        centre = stats.mannwhitneyu(self.ours, self.theirs, alternative="greater", method="asymptotic")
        found = {"centre": float(centre.pvalue), "tail": self._more(self.beyond)}
        return found if self.check.slo is None else found | {"slo": self._more(self.bad)}

    def _more(self, counts: tuple[int, int]) -> float:
        return more_p(counts[0], self.n, counts[1], self.m)

    @property
    def error(self) -> float:
        """Of the strictest test."""
        return self.check.alpha / len(self.p_values)

    @property
    def power(self) -> float:
        return more_power(self.n, self.m, 1 - self.check.tail, WORSE, self.error)

    @property
    def needed(self) -> int:
        """Requests of both versions, shared as they are now."""
        return more_needed(self.n / (self.n + self.m), 1 - self.check.tail, WORSE, self.error, SURE)

    # ---- in words

    def how_slower(self) -> str:
        words = {"centre": self._centre, "tail": self._tail, "slo": self._slo}
        texts = [f"{words[name]()} (p = {self.p_values[name]:.2g})" for name in self.slower]
        allowed = f"; {percent(self.check.tolerance)} or {seconds(self.check.least)} would be tolerated"
        return f"{self.check.canary} is slower than {self.check.baseline}: {' and '.join(texts)}{allowed}"

    def how_not(self) -> str:
        texts = [self._centre(), self._tail(), *([] if self.check.slo is None else [self._slo()])]
        return f"{self.check.canary} is not slower than {self.check.baseline}: {listed(texts)}"

    def too_few(self) -> str:
        return (
            f"{self.n} requests of {self.check.canary} and {self.m} of {self.check.baseline} are too few: a tail "
            f"{WORSE:g} times as heavy would be found with probability {self.power:.2f}; it takes {self.needed} of both"
        )

    def _centre(self) -> str:
        sign = "more" if self.shift.estimate >= 0 else "less"
        bounds = f"{self.shift.low * 1e3:.3g} to {self.shift.high * 1e3:.3g} ms"
        medians = f"{seconds(self.own_median)} against {seconds(self.median)}"
        return f"median {medians}, {abs(self.shift.estimate) * 1e3:.3g} ms {sign} ({bounds})"

    def _tail(self) -> str:
        own, other = self.beyond[0] / self.n, self.beyond[1] / self.m
        return f"{percent(own)} beyond {seconds(self.limit)}, where {self.check.baseline} has {percent(other)}"

    def _slo(self) -> str:
        own, other = self.bad[0] / self.n, self.bad[1] / self.m
        return f"{percent(own)} slower than {seconds(self.check.slo or 0.0)} or failed, against {percent(other)}"

    def figures(self) -> dict[str, Any]:
        tail = ratio_interval(self.beyond[0], self.n, self.beyond[1], self.m, CONFIDENCE)
        return {
            "n": self.n, "baseline_n": self.m, "p_values": self.p_values, "effect": self.shift.estimate,
            "interval": [self.shift.low, self.shift.high],
            "tail": {
                "limit": _finite(self.limit), "canary": self.beyond[0], "baseline": self.beyond[1],
                "ratio": _ratio(self.beyond, self.n, self.m), "interval": [_finite(bound) for bound in tail],
            },
            "slo": None if self.check.slo is None else {"canary": self.bad[0], "baseline": self.bad[1]},
            "power": self.power, "needed": self.needed,
        }  # fmt: skip


def _bad(values: Sequence[float], slo: float | None) -> int:
    return 0 if slo is None else sum(value > slo for value in values)


def _ratio(counts: tuple[int, int], n: int, m: int) -> float | None:
    return counts[0] / n / (counts[1] / m) if counts[1] else None


def _finite(value: float) -> float | None:
    return value if value < inf else None


canary_latency = CanaryLatency
