"""The family's exact p-value, against full enumeration."""

from __future__ import annotations

import itertools

import pytest
from scipy.stats import multinomial

from meshtest.lib.multinomial import box_probability, family_p
from meshtest.lib.stats import binomial_test


def outcomes(n: int, versions: int) -> list[tuple[int, ...]]:
    return [c for c in itertools.product(range(n + 1), repeat=versions) if sum(c) == n]


@pytest.mark.parametrize(
    ("n", "shares"), [(12, (0.5, 0.3, 0.2)), (30, (0.6, 0.3, 0.1)), (10, (0.4, 0.3, 0.2, 0.1)), (25, (0.7, 0.3))]
)
def test_it_is_the_chance_of_a_smaller_p_value_anywhere(n: int, shares: tuple[float, ...]) -> None:
    law = multinomial(n, shares)
    smallest = {
        c: min(binomial_test(k, n, p) for k, p in zip(c, shares, strict=True)) for c in outcomes(n, len(shares))
    }
    for limit in sorted(set(smallest.values()))[:: max(1, len(set(smallest.values())) // 9)]:
        exact = sum(law.pmf(c) for c, p in smallest.items() if p <= limit * (1 + 1e-9))
        assert family_p(limit, n, shares) == pytest.approx(min(exact, 1.0), rel=1e-6, abs=1e-9)


def test_a_box_of_everything_is_certain() -> None:
    assert box_probability(500, (0.5, 0.3, 0.2), [(0, 500)] * 3) == pytest.approx(1.0)


@pytest.mark.parametrize("p", [1e-30, 1e-6, 0.001, 0.01, 0.2])
def test_it_is_never_above_the_bound_of_bonferroni_nor_below_the_single_test(p: float) -> None:
    assert p <= family_p(p, 3000, (0.5, 0.3, 0.2)) <= 3 * p


def test_two_shares_that_add_up_to_all_are_one_test() -> None:
    p = binomial_test(330, 1000, 0.3)
    assert family_p(p, 1000, (0.7, 0.3)) == pytest.approx(p)
