"""How a check of a Canary comes out by chance: exact sums over binomial counts, no simulation.

Each request of users goes to the canary with the chance of its weight, as Envoy draws it, and is bad with the chance of
the version. Not here: which checks there are, and what follows from them (power.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, floor, inf, sqrt

from meshtest.lib.stats import log_pmf, lower_tail, upper_tail
from meshtest.rollouts.canary.limits import Limit
from meshtest.rollouts.canary.traffic import Arrivals

_SPREAD = 8.0
"""Standard deviations beyond which a count is not looked at: 1e-15."""


def mixed(count: float) -> Iterator[tuple[int, float]]:
    """2.25 requests are 2 in three of four windows, and 3 in the fourth."""
    whole = floor(count + 1e-9)
    part = max(0.0, count - whole)
    if part < 1e-9:
        yield whole, 1.0
    else:
        yield from ((whole, 1.0 - part), (whole + 1, part))


def passes(limits: Sequence[Limit], arrivals: Arrivals, rate: float, *, seen_bad: bool = True) -> float:
    """The chance that all these limits accept a window of requests that are bad at this rate.

    `seen_bad`: there has been a bad request before, so a query that needs one has its series.
    """
    return sum(part * _passes(limits, users, arrivals.share, rate, seen_bad) for users, part in mixed(arrivals.users))


def none_bad(arrivals: Arrivals, rate: float) -> float:
    """The chance of a window without a bad request."""
    return sum(part * (1.0 - arrivals.share * rate) ** users for users, part in mixed(arrivals.users))


def _passes(limits: Sequence[Limit], users: int, share: float, rate: float, seen_bad: bool) -> float:
    """By the number of bad requests; the good ones are then drawn from the other users."""
    bad_share = share * rate
    rest = share * (1.0 - rate) / (1.0 - bad_share) if bad_share < 1.0 else 0.0
    least = 0 if seen_bad or not any(limit.needs_one for limit in limits) else 1
    total = 0.0
    for bad in _likely(users, bad_share, least):
        fewest, greatest = max(limit.fewest(bad) for limit in limits), min(limit.greatest(bad) for limit in limits)
        total += exp(log_pmf(bad, users, bad_share)) * _between(fewest, greatest, users - bad, rest)
    return min(total, 1.0)


def _likely(n: int, p: float, least: int) -> range:
    spread = _SPREAD * sqrt(n * p * (1 - p)) + _SPREAD
    return range(max(least, floor(n * p - spread)), min(n, floor(n * p + spread)) + 1)


def _between(fewest: float, greatest: float, n: int, p: float) -> float:
    """P(fewest <= K <= greatest) for K ~ Binomial(n, p)."""
    if fewest > n or greatest < fewest:
        return 0.0
    above = upper_tail(int(fewest), n, p) if fewest > 0 else 1.0
    return above if greatest == inf or greatest >= n else max(0.0, above - (1.0 - lower_tail(int(greatest), n, p)))


def bad_counts(requests: float, rate: float, most: int) -> list[tuple[int, float]]:
    """How many of an exact number of requests are bad, with the chances; `most` stands for itself and all above."""
    found = [0.0] * (most + 1)
    for whole, part in mixed(requests):
        for bad in range(most):
            found[bad] += part * exp(log_pmf(bad, whole, rate)) if bad <= whole else 0.0
    found[most] = max(0.0, 1.0 - sum(found))
    return [(bad, chance) for bad, chance in enumerate(found) if chance > 0.0]
