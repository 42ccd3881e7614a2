"""Tests that may be looked at after every request, and stop as soon as they know: no correction for peeking is needed.

Each is a bet against a hypothesis: its wealth (e-value, likelihood ratio) starts at 1 and, if the hypothesis is true,
is a fair or losing game. Ville's inequality then bounds how likely it *ever* reaches 1 / alpha: by alpha, however often
and whenever one looks. All values here are logarithms.

    Sprt            one share against another (Wald 1945): the fastest there is for the two
    BetaMixture     a share above a limit, by how much is not known: the mean of all such bets
    RatioMixture    each event is the canary's with a known chance if nothing is wrong; more often if something is

Not here: what is counted (checks/).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil, exp, inf, lgamma, log, log1p

from meshtest.lib.dataclass import dataclass
from meshtest.lib.stats import lower_tail


@dataclass(frozen=True)
class Sprt:
    """Hits with share `p0` against `p1`. Accepts p0 wrongly at most with probability beta, p1 with alpha."""

    p0: float
    p1: float
    alpha: float
    beta: float

    @property
    def hit(self) -> float:
        """What a hit adds to the log-likelihood ratio; it counts for p1 if that is the greater share."""
        return log(self.p1 / self.p0)

    @property
    def miss(self) -> float:
        return log1p(-self.p1) - log1p(-self.p0)

    def ratio(self, hits: int, n: int) -> float:
        """log P(seen | p1) / P(seen | p0)."""
        return hits * self.hit + (n - hits) * self.miss

    @property
    def upper(self) -> float:
        """Where p1 is accepted at any time, also after p0 was: by Ville's inequality alone."""
        return -log(self.alpha)

    @property
    def lower(self) -> float:
        return log(self.beta)

    @property
    def clean(self) -> int:
        """So many requests without a hit accept p0 (if p1 is the greater)."""
        return ceil(self.lower / self.miss - 1e-9)

    @property
    def bounds(self) -> tuple[float, float]:
        """Where to stop for good: as near together as the declared errors allow, exactly computed."""
        return _bounds(self.p0, self.p1, self.alpha, self.beta)

    def course(self, p: float) -> Course:
        """What happens with `bounds` if the true share is p."""
        return _course(self.hit, self.miss, *self.bounds, p)


@dataclass(frozen=True)
class Course:
    """Of a sequential test: exact but for what has not ended after a million in a million."""

    rejected: float
    """Probability that it stops at the upper bound."""
    accepted: float
    requests: float
    """Mean number until it stops."""


_STEPS = 30_000
"""Requests up to which the exact bounds are worth the time; a design that takes longer gets Wald's, a little wide."""


@lru_cache(maxsize=64)
def _bounds(p0: float, p1: float, alpha: float, beta: float) -> tuple[float, float]:
    """Wald's bounds hold the errors but for the jump over the upper one; it is lowered as far as alpha allows."""
    sprt = Sprt(p0, p1, alpha, beta)
    wald = log(beta / (1 - alpha)), log((1 - beta) / alpha)
    longest = 10 * max(wald[1] - wald[0], 1.0) / abs(p0 * sprt.hit + (1 - p0) * sprt.miss)
    if p1 < p0 or longest > _STEPS:
        return sprt.lower, sprt.upper
    low, high = wald[1] - sprt.hit, wald[1]
    for _ in range(7):
        middle = (low + high) / 2
        kept = _course(sprt.hit, sprt.miss, wald[0], middle, p0).rejected <= alpha
        low, high = (low, middle) if kept else (middle, high)
    kept = _course(sprt.hit, sprt.miss, wald[0], high, p1).accepted <= beta
    return (wald[0] if kept else sprt.lower), high


def _course(hit: float, miss: float, lower: float, upper: float, p: float) -> Course:
    """Step by step, the distribution of the hits among those who go on: few values, as the bounds are near."""
    going, hits, n = [1.0], 0, 0
    rejected = accepted = requests = 0.0
    mass = 1.0
    while mass > 1e-6:
        requests += mass
        n += 1
        going = [a * (1 - p) + b * p for a, b in zip([*going, 0.0], [0.0, *going], strict=True)]
        while going and (hits * hit + (n - hits) * miss) <= lower:
            accepted += going.pop(0)
            hits += 1
        while going and ((hits + len(going) - 1) * hit + (n - hits - len(going) + 1) * miss) >= upper:
            rejected += going.pop()
        mass = sum(going)
    return Course(rejected + mass, accepted, requests)


@dataclass(frozen=True)
class BetaMixture:
    """A bet that a share lies above `limit`: the mean over all shares p > limit, weighted as Beta(1, b) cut off there.

    By default b puts the mean of the prior at ten times the limit. In closed form: the integral of p^k (1-p)^(n-k) from
    the limit to 1 is an incomplete beta function, which for whole numbers is a binomial tail.
    """

    limit: float
    b: int = 0

    def log_e(self, hits: int, n: int) -> float:
        """Its wealth after `hits` in n, for any share up to the limit fair or losing."""
        b = self.b or max(1, round(0.1 / self.limit))
        seen = _log_above(hits + 1, n - hits + b, self.limit)
        prior = _log_above(1, b, self.limit)
        return seen - prior - hits * log(self.limit) - (n - hits) * log1p(-self.limit)


def _log_above(a: int, b: int, limit: float) -> float:
    """log of the integral of p^(a-1) (1-p)^(b-1) from the limit to 1."""
    above = lower_tail(a - 1, a + b - 1, limit)
    return lgamma(a) + lgamma(b) - lgamma(a + b) + log(above) if above > 0 else -inf


RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""How many times worse than the baseline the canary may be: one bet each, all with the same stake."""


class RatioMixture:
    """Two arms, of which only the errors count: under the hypothesis each is the canary's with a known chance.

    The chance may differ from error to error, as long as it is known: see `lib/race.py` for where it comes from.
    """

    def __init__(self, ratios: Sequence[float] = RATIOS) -> None:
        self._ratios = ratios
        self._wealth = [0.0] * len(ratios)
        self.highest = 0.0
        """log of the most it ever had: what Ville's inequality is about."""

    def see(self, of_canary: bool, chance: float) -> None:
        """An error that was the canary's with this chance."""
        self._wealth = [w + stake(of_canary, chance, r) for w, r in zip(self._wealth, self._ratios, strict=True)]
        self.highest = max(self.highest, self.log_e)

    def see_many(self, hits: int, canary: int, others: int, errors: int) -> None:
        """Of so many errors among the requests of both, `hits` were the canary's."""
        drawn = [stakes(hits, canary, others, errors, ratio) for ratio in self._ratios]
        self._wealth = [w + won for w, won in zip(self._wealth, drawn, strict=True)]
        self.highest = max(self.highest, self.log_e)

    @property
    def log_e(self) -> float:
        return log_mean(self._wealth)


def stake(of_canary: bool, chance: float, ratio: float) -> float:
    """log likelihood ratio of one error: the canary errs `ratio` times as often, against equally often."""
    share = chance * ratio / (chance * ratio + 1 - chance)
    if of_canary:
        return log(share / chance)
    return log1p(-share) - log1p(-chance)


def stakes(hits: int, canary: int, others: int, errors: int, ratio: float) -> float:
    """The same of all errors of a stretch at once: Fisher's noncentral hypergeometric distribution against the central
    one. The ratio is that of the odds, which for rare errors is that of the rates."""
    if errors == 1:
        return stake(bool(hits), canary / (canary + others), ratio)
    possible = range(max(0, errors - others), min(canary, errors) + 1)
    ways = [_log_ways(canary, k) + _log_ways(others, errors - k) for k in possible]
    tilted = [way + k * log(ratio) for way, k in zip(ways, possible, strict=True)]
    return hits * log(ratio) - (_log_sum(tilted) - _log_sum(ways))


def _log_ways(n: int, k: int) -> float:
    """log of n over k."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _log_sum(values: Sequence[float]) -> float:
    """log of the sum of values given by their logarithms."""
    top = max(values)
    return top + log(sum(exp(value - top) for value in values))


def log_mean(values: Sequence[float], weights: Sequence[float] = ()) -> float:
    """log of the (weighted) mean of values given by their logarithms: a mean of fair bets is a fair bet."""
    weights = weights or [1 / len(values)] * len(values)
    top = max(values)
    if top == -inf:
        return -inf
    return top + log(sum(w * exp(v - top) for w, v in zip(weights, values, strict=True)))


def confidence_sequence(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Bounds of a share that hold at all n at once, with probability 1 - alpha: an interval one may stop at.

    Those shares against which the mean of all bets (Beta(1, 1)) has not yet reached 1 / alpha; Robbins 1970.
    """
    if not n:
        return 0.0, 1.0
    best = lgamma(hits + 1) + lgamma(n - hits + 1) - lgamma(n + 2) + log(alpha)

    def kept(p: float) -> bool:
        return best <= hits * log(p) + (n - hits) * log1p(-p)

    middle = min(max(hits / n, 1e-12), 1 - 1e-12)
    return (_edge(kept, middle, 0.0) if hits else 0.0), (_edge(kept, middle, 1.0) if hits < n else 1.0)


def _edge(kept: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return outside
