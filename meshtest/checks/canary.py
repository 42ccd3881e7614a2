"""Does the canary fail more often? Sequential: right at any number of looks, so a rollout can stop as soon as it knows.

    fine    it fails at a rate of `allowed` at most, or no more often than the baseline
    bad     it fails at a rate of `worse` at least, and `ratio` times as often as the baseline

PASS says it is not bad (wrong with probability beta at most), FAIL that it is not fine (alpha); between the two either
may come, and until then it is UNKNOWN. How that is found out: lib/race.py.
"""

from __future__ import annotations

from typing import Any, ClassVar

from meshtest.checks.arms import Arms, arms, within
from meshtest.checks.base import BaseCheck
from meshtest.checks.overload import saturated
from meshtest.checks.rates import Rate, rate
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent, seconds
from meshtest.lib.race import Race, Rules, conclusion
from meshtest.lib.sequential import confidence_sequence
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class Canary(BaseCheck):
    """Version `canary` of `host` fails no more than `allowed`, nor more often than `baseline` (if there is one)."""

    name: ClassVar[str] = "canary"
    sequential: ClassVar[bool] = True
    host: str
    canary: str
    baseline: str | None = None
    allowed: Rate = 0.001
    """The error rate of a version that is fine."""
    worse: Rate = 0.01
    """The error rate of a version that must be found."""
    ratio: float = 2.0
    """How many times more often than the baseline a bad version fails."""
    slow: float | None = None
    """Seconds; an answer that takes longer counts as an error, too."""
    alpha: float = 0.05
    """How often a version that is fine may fail, at any number of looks."""
    beta: float = 0.05
    """How often a version that is bad may pass."""
    step: str = ""
    """Only the requests of this step."""

    def __post_init__(self) -> None:
        if rate(self.allowed, "allowed") >= rate(self.worse, "worse"):
            raise UsageError(f"allowed {self.allowed!r} must be below worse {self.worse!r}")
        rate(self.alpha, "alpha")
        rate(self.beta, "beta")
        if not self.ratio > 1:
            raise UsageError(f"ratio {self.ratio!r}: how many times more often a bad version fails, above 1")
        if self.canary == self.baseline:
            raise UsageError(f"canary and baseline are both {self.canary!r}")
        if self.slow is not None and not self.slow > 0:
            raise UsageError(f"slow {self.slow!r}: seconds above 0")

    def judge(self, history: History) -> Finding:
        history = within(history, self.step)
        seen = arms(history, self.host)
        own = seen.only([version for version in (self.canary, self.baseline) if version])
        if self.canary not in own.versions:
            known = listed(sorted(set(seen.versions))) or "nobody"
            text = f"no request is known to have reached {self.host} {self.canary}; {known} served"
            return self.finding(Outcome.UNKNOWN, text, n=0)
        race = self._race(own)
        found = outcome = outcome_of(race)
        if found is Outcome.PASS and seen.unknown and outcome_of(self._race(own, seen.unknown)) is not Outcome.PASS:
            outcome = Outcome.UNKNOWN
        why = saturated(history)
        if why and (outcome is Outcome.PASS or self.slow is not None):
            return self.finding(Outcome.UNKNOWN, why, **self._figures(race), unknown=seen.unknown)
        text = self._sentence(race, outcome)
        if outcome is not found:
            text = f"{plural(seen.unknown, 'failed request')} may have been those of {self.canary}: {text}"
        return self.finding(outcome, text, **self._figures(race), unknown=seen.unknown)

    @property
    def rules(self) -> Rules:
        return Rules(
            allowed=rate(self.allowed, "allowed"),
            worse=rate(self.worse, "worse"),
            alpha=self.alpha,
            beta=self.beta,
            ratio=self.ratio,
            compared=bool(self.baseline),
        )

    def _race(self, own: Arms, errors: int = 0) -> Race:
        """`errors` more of the canary, before all others: there they weigh most."""
        race = Race(self.rules)
        limit = self.slow
        for _ in range(errors):
            race.see(True, True)
        for version, failed, took in zip(own.versions, own.failed, own.seconds, strict=True):
            race.see(version == self.canary, failed or (limit is not None and took > limit))
        race.look()
        return race

    # ---- in words

    def _sentence(self, race: Race, outcome: Outcome) -> str:
        low, high = confidence_sequence(race.hits, race.n, self.alpha)
        what = "failed" if self.slow is None else f"failed or took more than {seconds(self.slow)}"
        own = f"{self.canary} {what} in {race.hits} of {race.n} ({percent(round(low, 6))} to {percent(high)})"
        other = f", {self.baseline} in {race.other_hits} of {race.others}" if self.baseline else ""
        decided = {Outcome.FAIL: "failed", Outcome.PASS: "passed"}.get(outcome, "")
        return f"{own}{other}: {conclusion(race, decided, self.baseline or '')}"

    def _figures(self, race: Race) -> dict[str, Any]:
        own = race.hits / race.n if race.n else 0.0
        base = (race.other_hits / race.others if race.others else None) if self.baseline else race.rules.allowed
        return {
            "n": race.n, "errors": race.hits, "rate": own, "baseline_n": race.others,
            "baseline_errors": race.other_hits, "effect": None if base is None else own - base,
            "interval": list(confidence_sequence(race.hits, race.n, self.alpha)),
            "decided_after": race.failed_at or race.passed_at or None,
            "needed": race.needed(),
            "evidence": {"rate": race.sprt.ratio(race.hits, race.n), "comparison": race.compared.highest},
        }  # fmt: skip


def outcome_of(race: Race) -> Outcome:
    return {"failed": Outcome.FAIL, "passed": Outcome.PASS}.get(race.decided, Outcome.UNKNOWN)


canary = Canary
