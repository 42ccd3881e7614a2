"""Does the canary fail more often? Two bets, as requests are seen: fine, bad, or not known yet.

    fine    it fails at a rate of `allowed` at most, or no more often than the baseline
    bad     it fails at a rate of `worse` at least, and `ratio` times as often as the baseline

It has passed if it is not bad (wrong with probability beta at most) and failed if it is not fine (alpha), at any number
of looks (lib/sequential.py); between the two either may come. Without a baseline only the rates count.

The rate is tested by Wald's likelihood ratio, which is fast at `worse`, mixed with a bet on any rate above `allowed`,
which also sees a canary that broke late. The baseline's rate is not known, so the comparison looks at the errors only:
cut the sequence of requests behind each error, of either version. If both err alike, which of a piece's requests is its
last has nothing to do with its version; so an error is the canary's with probability (canary's requests in the piece) /
(all in the piece), whatever the rates. Each piece is a fair bet then; only the one in which weights are raised is a
little too good (5 to 50 % in six steps: 2.8 % false alarms where 5 % are declared). Where requests are only counted,
each stretch of time is a piece, and the canary's share of its errors is hypergeometric.

Not here: where requests come from (checks/canary.py, rollouts/judge/gate.py), and what is said about them.
"""

from __future__ import annotations

from dataclasses import field
from math import log

from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent
from meshtest.lib.sequential import BetaMixture, RatioMixture, Sprt, log_mean, stake, stakes

STAKES = (0.9, 0.1)
"""On the likelihood ratio, and on any higher rate: the second costs the first a tenth of its wealth, 3 requests."""
CLEAN = (0.95, 0.05)
"""On the canary's own rate, and on its comparison with the baseline: a canary without an error passes by the first."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is fine, what is bad, and how often each may be taken for the other."""

    allowed: float
    worse: float
    alpha: float
    beta: float
    ratio: float = 2.0
    compared: bool = False
    """There is a baseline."""


@dataclass
class Race:
    """Both bets, request by request or stretch by stretch."""

    rules: Rules
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
        rules = self.rules
        self.sprt = Sprt(rules.allowed, rules.worse, rules.alpha, rules.beta)
        self.mixture = BetaMixture(self.sprt.p0)

    # ---- request by request

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
        if not self.passed_at and self._clean(self.n) >= -log(self.rules.beta):
            self.passed_at = self._earliest()

    def _clean(self, n: int) -> float:
        ratio = -self.sprt.ratio(self.hits, n)
        return log_mean((ratio, -self.against), CLEAN) if self.rules.compared else ratio

    def _earliest(self) -> int:
        """At which request of the canary since its last error the bound was reached."""
        low, high = self.hits - 1, self.n
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._clean(middle) >= -log(self.rules.beta) else (middle, high)
        return high

    def _compare(self, of_canary: bool) -> None:
        """A piece of the sequence ends here."""
        if self.rules.compared and 0 < self.piece_of_canary < self.piece:
            chance = self.piece_of_canary / self.piece
            self.compared.see(of_canary, chance)
            self.against += stake(of_canary, chance, self.rules.ratio)
        self.piece = self.piece_of_canary = 0
        self._decide()

    def _suspect(self) -> None:
        """The canary has erred: is its rate too high?"""
        if not self.above:
            bets = self.sprt.ratio(self.hits, self.n), self.mixture.log_e(self.hits, self.n)
            self.above = log_mean(bets, STAKES) >= -log(self.rules.alpha)
        self._decide()

    def _decide(self) -> None:
        worse = not self.rules.compared or self.compared.highest >= -log(self.rules.alpha)
        if self.above and worse and not self.failed_at:
            self.failed_at = self.n

    # ---- stretch by stretch

    def count(self, canary: tuple[int, int], baseline: tuple[int, int] = (0, 0)) -> None:
        """(requests, errors) of both since the last time. In which order they came is not known and does not matter."""
        (n, hits), (others, other_hits) = canary, baseline
        self.n, self.hits = self.n + n, self.hits + hits
        self.others, self.other_hits = self.others + others, self.other_hits + other_hits
        if self.rules.compared and n and others and hits + other_hits:
            self.compared.see_many(hits, n, others, hits + other_hits)
            self.against += stakes(hits, n, others, hits + other_hits, self.rules.ratio)
            self._decide()
        if hits:
            self._suspect()
        if not self.passed_at and self._clean(self.n) >= -log(self.rules.beta):
            self.passed_at = self.n

    @property
    def decided(self) -> str:
        """`failed`, `passed`, or "": not yet. Once failed it stays so."""
        if self.failed_at:
            return "failed"
        return "passed" if self.passed_at else ""

    # ---- how far

    def missing(self) -> int:
        """Clean requests of the canary until it passes."""
        wanted, more = -log(self.rules.beta), 1
        while self._clean(self.n + more) < wanted:
            more *= 2
        low = more // 2
        while more - low > 1:
            middle = (low + more) // 2
            low, more = (low, middle) if self._clean(self.n + middle) >= wanted else (middle, more)
        return more

    def needed(self) -> int:
        """Requests without an error after which a canary passes, from the start."""
        return self.sprt.clean if not self.rules.compared else Race(self.rules).missing()


def conclusion(race: Race, decided: str, baseline: str = "") -> str:
    """Why that was `failed`, `passed`, or "": not decided. `baseline` is the name of what it is compared with."""
    allowed, worse = percent(race.rules.allowed), percent(race.rules.worse)
    if decided == "failed":
        than = f" and more often than {baseline}" if baseline else ""
        return f"more than the {allowed} allowed{than}, decided after {race.failed_at} of its requests"
    if decided == "passed":
        relative = f", or {race.rules.ratio:g} times {baseline}'s," if baseline else ""
        return f"a rate of {worse}{relative} is ruled out, decided after {race.passed_at} of its requests"
    if race.above and baseline:
        return f"more than the {allowed} allowed, but whether {baseline} does better is not decided"
    return f"not decided between {allowed} and {worse}; without a further error it takes {race.missing()} more"
