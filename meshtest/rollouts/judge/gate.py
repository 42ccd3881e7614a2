"""Our own judge for a gate: counts as they come in, a verdict as soon as there is one. Pure.

    gate = Gate(GateRules(allowed=0.001, worse=0.01))
    gate.add(canary=Counts(requests=30, errors=1), baseline=Counts(requests=2970, errors=3))
    gate.verdict                      # "pass", "fail" or "inconclusive"; gate.reason says why, or what is missing

Each `add` is what was counted since the one before. It may be asked after each, as often as one likes, and stop at the
first verdict: a canary that is fine fails with probability `alpha` at most, one that is bad passes with `beta` at most
(lib/race.py). What is slower than a bound is counted like errors, with rates of its own; to fail, either is enough, so
they share alpha.

Fewer requests than `minimum` do not pass: they may all have been of one kind. To fail they are enough. Requests are
taken to fail one by one: a burst of errors with one cause counts as many times as it has errors.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent
from meshtest.lib.race import Race, Rules, conclusion
from meshtest.lib.sequential import confidence_sequence
from meshtest.model.verdict import Outcome

Verdict = Literal["pass", "fail", "inconclusive"]
OUTCOMES = {"pass": Outcome.PASS, "fail": Outcome.FAIL, "inconclusive": Outcome.UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Of requests that ended since the last time."""

    requests: int = 0
    errors: int = 0
    slow: int = 0
    """Answered later than the bound; those without an answer are errors."""

    def __post_init__(self) -> None:
        if not 0 <= max(self.errors, self.slow) <= self.requests or min(self.errors, self.slow) < 0:
            raise UsageError(f"{self.errors} errors and {self.slow} slow ones of {self.requests} requests cannot be")


NOTHING = Counts()


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """What is fine, what must be found, and how often it may go wrong."""

    allowed: float = 0.001
    """The error rate of a version that is fine."""
    worse: float = 0.01
    """The error rate of a version that must be found."""
    ratio: float = 2.0
    """How many times more often than the baseline a bad version errs."""
    slow_allowed: float = 0.01
    """The share of slow answers of a version that is fine: 1 % if the bound is a p99."""
    slow_worse: float = 0.05
    alpha: float = 0.01
    """How often a version that is fine may fail."""
    beta: float = 0.05
    """How often a version that is bad may pass."""
    minimum: int = 100
    """Requests of the canary below which nothing passes."""
    compared: bool = True
    """There is a baseline. One that errs as often excuses the canary."""
    latency: bool = False
    """Slow answers are counted."""

    def __post_init__(self) -> None:
        for name in ("allowed", "worse", "slow_allowed", "slow_worse", "alpha", "beta"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)!r}: a share above 0 and below 1")
        for low, high in (("allowed", "worse"), ("slow_allowed", "slow_worse")):
            if getattr(self, low) >= getattr(self, high):
                raise UsageError(f"{low} {getattr(self, low)!r} must be below {high} {getattr(self, high)!r}")
        if not self.ratio > 1:
            raise UsageError(f"ratio {self.ratio!r}: how many times more often a bad version errs, above 1")
        if self.minimum < 0:
            raise UsageError(f"minimum {self.minimum!r}: a number of requests")

    def of(self, aspect: str) -> Rules:
        """Of `errors` or `slow`."""
        allowed, worse = (self.slow_allowed, self.slow_worse) if aspect == "slow" else (self.allowed, self.worse)
        alpha = self.alpha / 2 if self.latency else self.alpha
        return Rules(
            allowed=allowed, worse=worse, alpha=alpha, beta=self.beta, ratio=self.ratio, compared=self.compared
        )


@dataclass
class Gate:
    """Of one canary."""

    rules: GateRules = field(default_factory=GateRules)

    def __post_init__(self) -> None:
        aspects = ("errors", "slow") if self.rules.latency else ("errors",)
        self._races = {aspect: Race(self.rules.of(aspect)) for aspect in aspects}

    def add(self, canary: Counts, baseline: Counts = NOTHING) -> Verdict:
        for aspect, race in self._races.items():
            race.count((canary.requests, getattr(canary, aspect)), (baseline.requests, getattr(baseline, aspect)))
        return self.verdict

    @property
    def requests(self) -> int:
        """Of the canary, so far."""
        return self._races["errors"].n

    @property
    def verdict(self) -> Verdict:
        decided = {race.decided for race in self._races.values()}
        if "failed" in decided:
            return "fail"
        return "pass" if decided == {"passed"} and self.requests >= self.rules.minimum else "inconclusive"

    @property
    def outcome(self) -> Outcome:
        return OUTCOMES[self.verdict]

    @property
    def reason(self) -> str:
        """One line: of what it failed, of what is not decided, or why it may pass."""
        if not self.requests:
            return "the canary has had no requests: nothing is proven"
        order = {"fail": "failed", "pass": "passed", "inconclusive": ""}[self.verdict]
        if order == "" and all(race.decided for race in self._races.values()):
            return f"{self.requests} requests of the canary, and {self.rules.minimum} are the least to pass with"
        return next(self._said(aspect) for aspect, race in self._races.items() if race.decided == order)

    def _said(self, aspect: str) -> str:
        race = self._races[aspect]
        low, high = confidence_sequence(race.hits, race.n, race.rules.alpha)
        verb = "failed" if aspect == "errors" else "were too slow"
        sure = percent(1 - race.rules.alpha)
        what = f"{race.hits} of {race.n} requests {verb} ({percent(round(low, 6))} to {percent(high)}, {sure} sure)"
        other = f", of the baseline {race.other_hits} of {race.others}" if self.rules.compared else ""
        why = conclusion(race, race.decided, "the baseline" if self.rules.compared else "")
        return f"{what}{other}: {why}{_declared(race)}"

    def as_data(self) -> dict[str, Any]:
        """The result, for programs; the names are those that Argo's web provider is pointed at."""
        return {
            "verdict": self.verdict,
            "ok": self.verdict == "pass",
            "reason": self.reason,
            "samples": self.requests,
            "alpha": self.rules.alpha,
            "beta": self.rules.beta,
            "aspects": {aspect: _figures(race) for aspect, race in self._races.items()},
        }


def _declared(race: Race) -> str:
    """What may be wrong about a decision; the interval is of another error, and may well hold what is ruled out."""
    if race.decided == "failed":
        return f"; a version that is fine fails in {percent(race.rules.alpha)} of the cases at most"
    if race.decided == "passed":
        return f"; a version that bad passes in {percent(race.rules.beta)} of the cases at most"
    return ""


def _figures(race: Race) -> dict[str, Any]:
    return {
        "requests": race.n,
        "bad": race.hits,
        "baselineRequests": race.others,
        "baselineBad": race.other_hits,
        "interval": list(confidence_sequence(race.hits, race.n, race.rules.alpha)),
        "decided": race.decided or None,
        "decidedAfter": race.failed_at or race.passed_at or None,
        "needed": race.needed(),
    }
