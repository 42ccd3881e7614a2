"""More beyond a limit: against scipy, and what it means."""

from __future__ import annotations

import random

import pytest
from scipy.stats import binom, hypergeom

from meshtest.lib.exceedance import more_needed, more_p, more_power, ratio_interval


@pytest.mark.parametrize(
    "counts", [(3, 10, 1, 10), (0, 5, 2, 9), (50, 1000, 20, 2000), (5, 5, 0, 5), (400, 900, 600, 800)]
)
def test_it_is_the_hypergeometric_tail_of_scipy(counts: tuple[int, int, int, int]) -> None:
    x, n, y, m = counts
    assert more_p(x, n, y, m) == pytest.approx(hypergeom.sf(x - 1, n + m, n, x + y), rel=1e-6)


def test_large_counts_are_no_trouble() -> None:
    expected = hypergeom.sf(10_299, 2_000_000, 1_000_000, 20_300)
    assert more_p(10_300, 1_000_000, 10_000, 1_000_000) == pytest.approx(expected, rel=1e-4)


def test_beyond_a_quantile_of_the_other_sample_it_is_exact_whatever_the_distribution() -> None:
    draw, alarms = random.Random(1), 0
    for _ in range(2000):
        ours, theirs = ([draw.expovariate(1) ** 3 for _ in range(60)] for _ in range(2))
        limit = sorted(theirs)[53]  # six lie beyond
        alarms += more_p(sum(v > limit for v in ours), 60, 6, 60) < 0.05
    assert 40 <= alarms <= 2000 * 0.05 + 29


def test_power_is_the_chance_of_a_rejection() -> None:
    found = sum(binom.pmf(x, 500, 0.05) for x in range(501) if more_p(x, 500, 5, 500) < 0.005)
    assert more_power(500, 500, 0.01, 5, 0.005) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("part", [0.1, 0.5])
def test_so_many_are_needed(part: float) -> None:
    total = more_needed(part, 0.01, 5, 0.005, 0.95)
    n = round(total * part)
    assert more_power(n, total - n, 0.01, 5, 0.005) >= 0.94
    assert more_power(n // 2, (total - n) // 2, 0.01, 5, 0.005) < 0.95


def test_the_ratio_has_an_interval() -> None:
    low, high = ratio_interval(50, 1000, 10, 1000, 0.95)
    assert low < 5 < high
    assert ratio_interval(5, 10, 0, 10, 0.95)[1] == float("inf")
