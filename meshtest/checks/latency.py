"""Was it fast enough? Exact quantiles from the intended time, so a stall counts for every request that it held up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.overload import saturated
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import seconds
from meshtest.lib.stats import enough_for_quantile
from meshtest.lib.words import listed
from meshtest.model.distribution import Distribution
from meshtest.model.history import History
from meshtest.model.tables import latencies, quantile
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class Latency(BaseCheck):
    """The p-quantile of the latency is below a limit, or at most `ratio` times that of another version.

    A request without an answer is infinitely slow. Too few samples are UNKNOWN: with n below log(0.05) / log(p) (299
    for p99, 59 for p95) a tail of that size leaves, one time in twenty or more, no trace in the sample.
    """

    name: ClassVar[str] = "latency"
    p: float = 0.99
    below: float | None = None
    """Seconds."""
    version: str | None = None
    """Of this version only (`v2`, or `web/v2`); by default of all requests together."""
    relative_to: str | None = None
    """The version to compare with."""
    ratio: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.p < 1:
            raise UsageError(f"p is {self.p!r}; a quantile lies between 0 and 1, such as 0.99")
        relative = self.relative_to is not None and self.ratio is not None
        if not relative and self.below is None:
            raise UsageError("latency needs a limit: below=SECONDS, or relative_to=VERSION with ratio=NUMBER")

    def judge(self, history: History) -> Finding:
        by_version = latencies(history.requests)
        table = {name: self._figures(values) for name, values in by_version.items()}
        ours = _of(by_version, self.version)
        label = f"p{self.p * 100:g}" + (f" of {self.version}" if self.version else "")
        short = self._too_few(ours, self.version, table)
        if short or saturated(history):
            return short or self.finding(Outcome.UNKNOWN, saturated(history), versions=table, n=len(ours))
        value, outcome, texts = quantile(ours, self.p), Outcome.PASS, [f"{label} is {seconds(quantile(ours, self.p))}"]
        if self.below is not None:
            outcome = Outcome.PASS if value < self.below else Outcome.FAIL
            texts.append(f"limit {seconds(self.below)}")
        if self.relative_to is not None and self.ratio is not None:
            others = _of(by_version, self.relative_to)
            short = self._too_few(others, self.relative_to, table)
            if short:
                return short if outcome is Outcome.PASS else self.finding(outcome, ", ".join(texts), versions=table)
            base = quantile(others, self.p)
            outcome = outcome if value <= base * self.ratio else Outcome.FAIL
            texts.append(f"{self.relative_to} has {seconds(base)}, {self.ratio:g} times that is allowed")
        return self.finding(outcome, ", ".join(texts), versions=table, n=len(ours), value=_finite(value))

    def _too_few(self, values: Sequence[float], version: str | None, table: Mapping[str, Any]) -> Finding | None:
        enough = enough_for_quantile(self.p)
        if len(values) >= enough:
            return None
        whose = f" of {version}" if version else ""
        known = "" if values or not version else f" (seen: {listed(name or 'unknown' for name in table)})"
        text = f"{len(values)} requests{whose} are too few for p{self.p * 100:g}; it takes {enough}{known}"
        return self.finding(Outcome.UNKNOWN, text, versions=table, n=len(values))

    def _figures(self, values: Sequence[float]) -> dict[str, float | None]:
        names = {"p50": 0.5, "p95": 0.95, "p99": 0.99, f"p{self.p * 100:g}": self.p, "max": 1.0}
        return {"n": len(values), **{name: _finite(quantile(values, p)) for name, p in names.items()}}


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return None if value == inf else value


def _of(by_version: Mapping[str, Distribution], version: str | None) -> Distribution:
    """Sorted latencies of one version, or of all."""
    if version is None and len(by_version) == 1:
        return next(iter(by_version.values()))
    wanted = [v for name, v in by_version.items() if version in (None, name, name.rpartition("/")[2])]
    return Distribution.merged(wanted)


latency = Latency
