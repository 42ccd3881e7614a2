"""Do more of these lie beyond a limit than of those? Fisher's exact test for two counts, one-sided, with its power.

It is also exact where the limit is a quantile of the second sample: that at least x of one sample lie above the (y+1)th
largest of the other is the same as that among the x + y largest of all at least x are of the first - a hypergeometric
probability, whatever the distributions, if they are the same.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, exp, inf, lgamma

from meshtest.lib.stats import interval, last, upper_tail

_NEGLIGIBLE = 1e-17


def more_p(x: int, n: int, y: int, m: int) -> float:
    """P(at least x of the x + y are of the n), if each of the n + m was as likely: the p-value of "more often"."""
    beyond = x + y
    first = max(0, beyond - m)
    if x <= first:
        return 1.0
    if x * (n + m) < beyond * n:  # below the mean: the other tail is the shorter
        return max(0.0, 1.0 - _sum(x - 1, first, -1, n, m, beyond))
    return _sum(x, min(n, beyond), 1, n, m, beyond)


def _sum(start: int, end: int, step: int, n: int, m: int, beyond: int) -> float:
    """Probabilities from `start` to `end`, away from the mean, where each is smaller than the one before."""
    k, term = start, exp(_log_pmf(start, n, m, beyond))
    total = term
    while k != end and term > total * _NEGLIGIBLE:
        if step > 0:
            term *= (n - k) * (beyond - k) / ((k + 1) * (m - beyond + k + 1))
        else:
            term *= k * (m - beyond + k) / ((n - k + 1) * (beyond - k + 1))
        k += step
        total += term
    return min(1.0, total)


def _log_pmf(k: int, n: int, m: int, beyond: int) -> float:
    return _log_choose(n, k) + _log_choose(m, beyond - k) - _log_choose(n + m, beyond)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


@lru_cache(maxsize=1024)
def more_power(n: int, m: int, share: float, ratio: float, error: float) -> float:
    """How likely `ratio` times the share is found, where `share` of the m lie beyond the limit."""
    y = int(m * share)
    critical = last(lambda x: more_p(x, n, y, m) >= error, 0, n) + 1
    return upper_tail(critical, n, min(1.0, share * ratio)) if critical <= n else 0.0


@lru_cache(maxsize=256)
def more_needed(part: float, share: float, ratio: float, error: float, sure: float) -> int:
    """So many of both together, of which `part` are of the first, find it with this power."""
    high = 64
    while not _enough(high, part, share, ratio, error, sure):
        high *= 2
        if high > 1 << 40:
            return high
    low = high // 2
    while high - low > max(1, high // 256):
        middle = (low + high) // 2
        low, high = (low, middle) if _enough(middle, part, share, ratio, error, sure) else (middle, high)
    return high


def _enough(total: int, part: float, share: float, ratio: float, error: float, sure: float) -> bool:
    n = max(1, ceil(total * part))
    return total > n and more_power(n, total - n, share, ratio, error) >= sure


def ratio_interval(x: int, n: int, y: int, m: int, confidence: float) -> tuple[float, float]:
    """How many times as often: of the events of both, the first's share (exact binomial) as odds."""
    low, high = interval(x, x + y, confidence)
    return low / (1 - low) * m / n if low < 1 else inf, high / (1 - high) * m / n if high < 1 else inf
