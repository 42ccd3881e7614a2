"""Several shares at once: how likely is it, with all as intended, that any of them looks as strange as one does?

The exact distribution of the smallest p-value of the versions' binomial tests, in place of Bonferroni's bound on it:

    p = P(min_i p_i(X_i) <= smallest p seen),  X ~ Multinomial(n, shares)

Each test accepts an interval of counts, so 1 - p is the probability that all counts lie in a box, and that is exact by
Levin's representation (Annals of Statistics 9, 1981): independent Poisson counts, given that they add up to n, are
multinomial. Ordering outcomes by their smallest p-value, not by their probability as an enumeration would, keeps the
answer to who is off, and costs n * sqrt(n) steps instead of n ** (versions - 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import exp, lgamma, log
from operator import mul

from meshtest.lib.stats import binomial_test, last

_TIE = 1 + 1e-9
_COSTLY = 60_000_000
"""Steps from which Bonferroni's bound, which is never too small, must do: about two seconds."""
_TINY = 1e-9
"""Below this the difference 1 - P(box) has no digits left, and the bound is as good."""


@lru_cache(maxsize=1024)
def family_p(p: float, n: int, shares: tuple[float, ...]) -> float:
    """The p-value of the family, for the smallest p of its tests; `shares` are above 0 and add up to 1."""
    bound = min(1.0, p * len(shares))
    if len(shares) < 2 or bound <= _TINY or p >= 1.0:
        return bound if len(shares) > 1 else p
    boxes = [_accepted(p, n, share) for share in shares]
    if any(low > high for low, high in boxes):
        return 1.0
    widths = sorted(high - low + 1 for low, high in boxes)
    if widths[-1] * sum(widths[:-1]) * (len(widths) - 2) > _COSTLY:
        return bound
    return min(bound, max(0.0, 1.0 - box_probability(n, shares, boxes)))


def _accepted(p: float, n: int, share: float) -> tuple[int, int]:
    """Counts whose own p-value is above p."""
    limit = p * _TIE
    middle = min(n, int(n * share))
    low = last(lambda k: binomial_test(k, n, share) <= limit, 0, middle) + 1
    high = n - last(lambda k: binomial_test(n - k, n, share) <= limit, 0, n - middle) - 1
    return low, high


def box_probability(n: int, shares: Sequence[float], boxes: Sequence[tuple[int, int]]) -> float:
    """P(low_i <= X_i <= high_i for all i)."""
    factors = [_poisson(n * share, low, high) for share, (low, high) in zip(shares, boxes, strict=True)]
    factors.sort(key=lambda factor: len(factor[1]))
    start, sums = factors[0]
    for low, weights in factors[1:-1]:
        start, sums = start + low, _convolved(sums, weights)
    low, weights = factors[-1]
    # the last count is what is left of n
    total = sum(
        value * weights[n - start - i - low] for i, value in enumerate(sums) if 0 <= n - start - i - low < len(weights)
    )
    return total / exp(_log_poisson(n, n))


def _poisson(mean: float, low: int, high: int) -> tuple[int, list[float]]:
    return low, [exp(_log_poisson(k, mean)) for k in range(low, high + 1)]


def _log_poisson(k: int, mean: float) -> float:
    return k * log(mean) - mean - lgamma(k + 1)


def _convolved(one: list[float], other: list[float]) -> list[float]:
    """The distribution of the sum; `other` is the longer."""
    backwards = other[::-1]
    m, size = len(one), len(other)
    result = []
    for s in range(m + size - 1):
        first, final = max(0, s - size + 1), min(s, m - 1)
        offset = size - 1 - s
        result.append(sum(map(mul, one[first : final + 1], backwards[offset + first : offset + final + 1])))
    return result
