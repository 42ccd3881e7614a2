"""Our exact statistics against scipy's, on a grid; and what they mean."""

from __future__ import annotations

import pytest
from scipy.stats import binom, binomtest

from meshtest.lib.stats import (
    binomial_test,
    enough_for_quantile,
    interval,
    lower_tail,
    median,
    needed,
    power,
    upper_tail,
)

SHARES = (0.001, 0.01, 0.05, 0.1, 1 / 3, 0.5, 0.9, 0.999)
SIZES = (1, 2, 7, 50, 1_000, 100_000, 1_000_000)


def _counts(n: int, p: float) -> list[int]:
    """In the middle, in the tails, and at the ends."""
    sigma = (n * p * (1 - p)) ** 0.5
    return sorted({min(n, max(0, round(n * p + z * sigma))) for z in (-30, -4, -2, -0.5, 0, 0.5, 2, 4, 30)} | {0, n})


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("p", SHARES)
def test_p_values_and_tails_equal_those_of_scipy(n: int, p: float) -> None:
    for k in _counts(n, p):
        assert binomial_test(k, n, p) == pytest.approx(binomtest(k, n, p).pvalue, rel=1e-6, abs=1e-300)
        assert lower_tail(k, n, p) == pytest.approx(binom.cdf(k, n, p), rel=1e-6, abs=1e-14)
        assert upper_tail(k, n, p) == pytest.approx(binom.sf(k - 1, n, p), rel=1e-6, abs=1e-14)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (91, 1_000), (1, 3), (500_000, 1_000_000)])
def test_intervals_equal_those_of_scipy(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(0.99, method="exact")
    assert interval(k, n, 0.99) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


def test_the_median_of_an_even_number_is_between_two() -> None:
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5


def test_nothing_counted_says_nothing() -> None:
    assert interval(0, 0) == (0.0, 1.0)
    assert binomial_test(0, 0, 0.3) == 1.0


@pytest.mark.parametrize(("k", "p", "expected"), [(0, 0.0, 1.0), (1, 0.0, 0.0), (9, 1.0, 0.0), (10, 1.0, 1.0)])
def test_a_share_of_nothing_or_all_allows_no_stray(k: int, p: float, expected: float) -> None:
    assert binomial_test(k, 10, p) == expected


@pytest.mark.parametrize(("n", "p", "other"), [(50, 0.1, 0.3), (400, 0.1, 0.2), (1_000, 0.5, 0.55), (30, 0.5, 1.0)])
def test_power_is_the_chance_of_a_rejection(n: int, p: float, other: float) -> None:
    rejected = [k for k in range(n + 1) if binomtest(k, n, p).pvalue < 0.001]
    assert power(n, p, other, 0.001) == pytest.approx(sum(binom.pmf(rejected, n, other)), rel=1e-6)


@pytest.mark.parametrize(("p", "delta"), [(0.01, 0.01), (0.05, 0.05), (0.1, 0.1), (0.2, 0.05), (0.5, 0.05)])
def test_so_many_requests_are_needed_and_not_many_more(p: float, delta: float) -> None:
    n = needed(p, delta, 0.001, 0.99)
    worst = min(power(n, p, q, 0.001) for q in (p - delta, p + delta))
    fewer = min(power(int(n * 0.93), p, q, 0.001) for q in (p - delta, p + delta))
    assert worst >= 0.99 > fewer


def test_a_share_of_nothing_needs_enough_to_see_a_stray() -> None:
    assert needed(0.0, 0.05) == needed(1.0, 0.05) == 90  # 0.95 ** 90 < 0.01


@pytest.mark.parametrize(("p", "n"), [(0.5, 5), (0.95, 59), (0.99, 299), (0.999, 2_995)])
def test_a_quantile_needs_enough_samples_to_leave_a_trace(p: float, n: int) -> None:
    assert enough_for_quantile(p) == n
    assert 1 - p**n >= 0.95 > 1 - p ** (n - 1)
