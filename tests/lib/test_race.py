"""Two bets against a canary, request by request and stretch by stretch."""

from __future__ import annotations

from math import comb, exp

import pytest

from meshtest.lib.race import Race, Rules, conclusion
from meshtest.lib.sequential import RATIOS, stake, stakes

RULES = Rules(allowed=0.001, worse=0.01, alpha=0.05, beta=0.05)
BESIDE = Rules(allowed=0.001, worse=0.01, alpha=0.05, beta=0.05, compared=True)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize(("canary", "others", "errors"), [(3, 47, 4), (1, 99, 1), (30, 30, 7), (5, 2, 6)])
def test_a_stretch_is_a_fair_bet_if_both_err_alike(canary: int, others: int, errors: int, ratio: float) -> None:
    ways = {k: comb(canary, k) * comb(others, errors - k) for k in range(errors + 1)}
    possible = {k: n for k, n in ways.items() if n}
    won = sum(n * exp(stakes(k, canary, others, errors, ratio)) for k, n in possible.items()) / sum(possible.values())
    assert won == pytest.approx(1.0)


def test_a_stretch_of_one_error_is_what_a_sequence_would_make_of_it() -> None:
    assert stakes(1, 5, 95, 1, 3.0) == pytest.approx(stake(True, 0.05, 3.0))
    assert stakes(0, 5, 95, 1, 3.0) == pytest.approx(stake(False, 0.05, 3.0))


def test_counted_and_seen_come_to_the_same() -> None:
    """A canary alone: only at which request it was decided is known more exactly where each is seen."""
    seen, counted = Race(RULES), Race(RULES)
    for _ in range(4):
        for position in range(100):
            seen.see(True, position == 99)
        counted.count((100, 1))
    assert (seen.hits, seen.n, seen.failed_at) == (counted.hits, counted.n, counted.failed_at)
    assert counted.decided == "failed"


def test_a_clean_canary_passes_with_the_stretch_that_brings_it_over_the_bound() -> None:
    race = Race(RULES)
    race.count((331, 0))
    assert (race.decided, race.missing()) == ("", 1)
    race.count((10, 0))
    assert (race.decided, race.passed_at) == ("passed", 341)
    assert conclusion(race, "passed") == "a rate of 1 % is ruled out, decided after 341 of its requests"
    race.count((100, 30))
    assert race.decided == "failed", "it broke later"


def test_a_baseline_that_errs_alike_excuses_it() -> None:
    race = Race(BESIDE)
    for _ in range(3):
        race.count((10, 1), (990, 99))
    assert race.above
    assert race.decided == ""
    assert conclusion(race, "", "v1") == "more than the 0.1 % allowed, but whether v1 does better is not decided"
    for _ in range(27):
        race.count((10, 1), (990, 99))
    assert race.decided == "passed", "twice as often as the baseline is ruled out"
    alone = Race(BESIDE)
    for _ in range(3):
        alone.count((10, 1), (990, 0))
    assert alone.decided == "failed"


def test_without_requests_of_both_a_stretch_compares_nothing() -> None:
    race = Race(BESIDE)
    race.count((0, 0), (100, 5))
    race.count((10, 5), (0, 0))
    assert race.compared.highest == 0.0
    assert race.decided == ""
