"""Does the canary fail more often? Sequential: right at any number of looks, so a rollout can stop as soon as it knows.

    fine    it fails at a rate of `allowed` at most, or no more often than the baseline
    bad     it fails at a rate of `worse` at least, and `ratio` times as often as the baseline

PASS says it is not bad (wrong with probability beta at most), FAIL that it is not fine (alpha); between the two either
may come, and until then it is UNKNOWN. Without a baseline only the rates count.

The rate is tested by Wald's likelihood ratio, which is fast at `worse`, mixed with a bet on any rate above `allowed`,
which also sees a canary that broke late. The baseline's rate is not known, so the comparison looks at the errors only:
cut the sequence of requests behind each error, of either version. If both err alike, which of a piece's requests is its
last has nothing to do with its version; so an error is the canary's with probability (canary's requests in the piece) /
(all in the piece), whatever the rates, and also while the weights move. Each piece is a fair bet then (lib/sequential).
"""

from __future__ import annotations

from dataclasses import field, replace
from math import log
from typing import Any, ClassVar

from meshtest.checks.arms import Arms, arms, within
from meshtest.checks.base import BaseCheck
from meshtest.checks.overload import saturated
from meshtest.checks.rates import Rate, rate
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent, seconds
from meshtest.lib.sequential import BetaMixture, RatioMixture, Sprt, confidence_sequence, log_mean, stake
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.verdict import Finding, Outcome

STAKES = (0.9, 0.1)
"""On the likelihood ratio, and on any higher rate: the second costs the first a tenth of its wealth, 3 requests."""
CLEAN = (0.95, 0.05)
"""On the canary's own rate, and on its comparison with the baseline: a canary without an error passes by the first."""


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
        outcome = race.outcome
        if outcome is Outcome.PASS and seen.unknown and self._race(own, seen.unknown).outcome is not Outcome.PASS:
            outcome = Outcome.UNKNOWN
        why = saturated(history)
        if why and (outcome is Outcome.PASS or self.slow is not None):
            return self.finding(Outcome.UNKNOWN, why, **race.figures(), unknown=seen.unknown)
        text = race.sentence(outcome)
        if outcome is not race.outcome:
            text = f"{plural(seen.unknown, 'failed request')} may have been those of {self.canary}: {text}"
        return self.finding(outcome, text, **race.figures(), unknown=seen.unknown)

    def _race(self, own: Arms, errors: int = 0) -> _Race:
        """`errors` more of the canary, before all others: there they weigh most."""
        race = _Race(self)
        limit = self.slow
        for _ in range(errors):
            race.see(True, True)
        for version, failed, took in zip(own.versions, own.failed, own.seconds, strict=True):
            race.see(version == self.canary, failed or (limit is not None and took > limit))
        race.look()
        return race


@dataclass
class _Race:
    """Both bets, request by request."""

    check: Canary
    hits: int = 0
    n: int = 0
    others: int = 0
    other_hits: int = 0
    piece: int = 0
    piece_of_canary: int = 0
    passed_at: int = 0
    """Requests of the canary at which that was decided; 0 if it was not."""
    failed_at: int = 0
    above: bool = False
    """Its rate was found to be above what is allowed."""
    compared: RatioMixture = field(default_factory=RatioMixture)
    against: float = 0.0
    """log likelihood ratio of `ratio` times as many errors, against as many."""

    def __post_init__(self) -> None:
        check = self.check
        self.sprt = Sprt(rate(check.allowed, "allowed"), rate(check.worse, "worse"), check.alpha, check.beta)
        self.mixture = BetaMixture(self.sprt.p0)

    @property
    def outcome(self) -> Outcome:
        if self.failed_at:
            return Outcome.FAIL
        return Outcome.PASS if self.passed_at else Outcome.UNKNOWN

    def see(self, of_canary: bool, bad: bool) -> None:
        self.piece += 1
        if of_canary:
            self.piece_of_canary += 1
        if bad:
            self.look()
            self._compare(of_canary)
        if not of_canary:
            self.others += 1
            self.other_hits += bad
            return
        self.n += 1
        if bad:
            self.hits += 1
            self._suspect()

    def look(self) -> None:
        """Has it passed? Without an error the evidence only grows, so it is enough to look before the next one."""
        if not self.passed_at and self._clean(self.n) >= -log(self.check.beta):
            self.passed_at = self._earliest()

    def _clean(self, n: int) -> float:
        ratio = -self.sprt.ratio(self.hits, n)
        return log_mean((ratio, -self.against), CLEAN) if self.check.baseline else ratio

    def _earliest(self) -> int:
        """At which request of the canary since its last error the bound was reached."""
        low, high = self.hits - 1, self.n
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._clean(middle) >= -log(self.check.beta) else (middle, high)
        return high

    def _compare(self, of_canary: bool) -> None:
        """A piece of the sequence ends here."""
        if self.check.baseline and 0 < self.piece_of_canary < self.piece:
            chance = self.piece_of_canary / self.piece
            self.compared.see(of_canary, chance)
            self.against += stake(of_canary, chance, self.check.ratio)
        self.piece = self.piece_of_canary = 0
        self._decide()

    def _suspect(self) -> None:
        """The canary has erred: is its rate too high?"""
        if not self.above:
            bets = self.sprt.ratio(self.hits, self.n), self.mixture.log_e(self.hits, self.n)
            self.above = log_mean(bets, STAKES) >= -log(self.check.alpha)
        self._decide()

    def _decide(self) -> None:
        worse = not self.check.baseline or self.compared.highest >= -log(self.check.alpha)
        if self.above and worse and not self.failed_at:
            self.failed_at = self.n

    # ---- in words

    def sentence(self, outcome: Outcome) -> str:
        check = self.check
        low, high = confidence_sequence(self.hits, self.n, check.alpha)
        what = "failed" if check.slow is None else f"failed or took more than {seconds(check.slow)}"
        own = f"{check.canary} {what} in {self.hits} of {self.n} ({percent(round(low, 6))} to {percent(high)})"
        other = f", {check.baseline} in {self.other_hits} of {self.others}" if check.baseline else ""
        return f"{own}{other}: {self._conclusion(outcome)}"

    def _conclusion(self, outcome: Outcome) -> str:
        allowed, worse = percent(self.sprt.p0), percent(self.sprt.p1)
        than = f" and more often than {self.check.baseline}" if self.check.baseline else ""
        if outcome is Outcome.FAIL:
            return f"more than the {allowed} allowed{than}, decided after {self.failed_at} of its requests"
        if outcome is Outcome.PASS:
            relative = f", or {self.check.ratio:g} times {self.check.baseline}'s," if self.check.baseline else ""
            return f"a rate of {worse}{relative} is ruled out, decided after {self.passed_at} of its requests"
        if self.above and self.check.baseline:
            return f"more than the {allowed} allowed, but whether {self.check.baseline} does better is not decided"
        return f"not decided between {allowed} and {worse}; without a further error it takes {self._missing()} more"

    def _missing(self) -> int:
        """Clean requests of the canary until it passes."""
        wanted, more = -log(self.check.beta), 1
        while self._clean(self.n + more) < wanted:
            more *= 2
        low = more // 2
        while more - low > 1:
            middle = (low + more) // 2
            low, more = (low, middle) if self._clean(self.n + middle) >= wanted else (middle, more)
        return more

    def figures(self) -> dict[str, Any]:
        own = self.hits / self.n if self.n else 0.0
        base = (self.other_hits / self.others if self.others else None) if self.check.baseline else self.sprt.p0
        return {
            "n": self.n, "errors": self.hits, "rate": own, "baseline_n": self.others,
            "baseline_errors": self.other_hits, "effect": None if base is None else own - base,
            "interval": list(confidence_sequence(self.hits, self.n, self.check.alpha)),
            "decided_after": self.failed_at or self.passed_at or None,
            "needed": self.sprt.clean if not self.check.baseline else _clean_needed(self),
            "evidence": {"rate": self.sprt.ratio(self.hits, self.n), "comparison": self.compared.highest},
        }  # fmt: skip


def _clean_needed(race: _Race) -> int:
    """Requests without an error after which a canary passes, from the start."""
    return _Race(replace(race.check))._missing()
