"""Tests that may be looked at any time: their wealth, their errors, and how long they take."""

from __future__ import annotations

import random
from math import exp, log

import pytest
from scipy.integrate import quad
from scipy.stats import binom

from meshtest.lib.sequential import BetaMixture, RatioMixture, Sprt, log_mean, stake


@pytest.mark.parametrize(("k", "n"), [(0, 50), (3, 400), (40, 1000)])
def test_a_likelihood_ratio_is_that_of_scipy(k: int, n: int) -> None:
    expected = binom.logpmf(k, n, 0.02) - binom.logpmf(k, n, 0.01)
    assert Sprt(0.01, 0.02, 0.01, 0.01).ratio(k, n) == pytest.approx(expected)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (2, 300), (9, 500), (60, 200)])
def test_the_beta_mixture_is_the_mean_over_all_shares_above_the_limit(k: int, n: int) -> None:
    limit, b = 0.01, 10
    bets = quad(lambda p: binom.pmf(k, n, p) / binom.pmf(k, n, limit) * (1 - p) ** (b - 1), limit, 1, limit=500)[0]
    prior = quad(lambda p: (1 - p) ** (b - 1), limit, 1)[0]
    assert BetaMixture(limit, b).log_e(k, n) == pytest.approx(log(bets / prior), abs=1e-4)


def test_a_bet_is_fair_at_the_limit() -> None:
    mixture, n = BetaMixture(0.05), 60
    mean = sum(exp(mixture.log_e(k, n)) * binom.pmf(k, n, 0.05) for k in range(n + 1))
    assert mean == pytest.approx(1.0)
    below = sum(exp(mixture.log_e(k, n)) * binom.pmf(k, n, 0.02) for k in range(n + 1))
    assert below < 1.0


@pytest.mark.parametrize("chance", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("ratio", [1.5, 10.0])
def test_a_stake_is_fair_if_the_arms_err_alike(chance: float, ratio: float) -> None:
    mean = chance * exp(stake(True, chance, ratio)) + (1 - chance) * exp(stake(False, chance, ratio))
    assert mean == pytest.approx(1.0)


def test_the_mean_of_bets_is_taken_without_overflow() -> None:
    assert log_mean([1000.0, 1000.0]) == pytest.approx(1000.0)
    assert log_mean([0.0, float("-inf")], (0.9, 0.1)) == pytest.approx(log(0.9))


class TestSprt:
    def test_its_errors_are_as_declared_and_nearly_used_up(self) -> None:
        sprt = Sprt(0.01, 0.02, 0.01, 0.01)
        good, bad = sprt.course(0.01), sprt.course(0.02)
        assert 0.009 < good.rejected <= 0.01
        assert bad.accepted <= 0.01
        assert good.accepted + good.rejected == pytest.approx(1.0, abs=1e-5)

    def test_one_against_two_percent_takes_1450_requests_on_average_at_most(self) -> None:
        sprt = Sprt(0.01, 0.02, 0.01, 0.01)
        assert sprt.course(0.01).requests <= 1450
        assert sprt.course(0.02).requests <= 1450

    def test_about_330_clean_requests_tell_a_tenth_of_a_percent_from_one(self) -> None:
        assert Sprt(0.001, 0.01, 0.05, 0.05).clean == 332

    def test_a_long_design_or_a_falling_share_is_bounded_without_computing(self) -> None:
        for sprt in (Sprt(0.00001, 0.00002, 0.01, 0.01), Sprt(0.02, 0.01, 0.01, 0.01)):
            assert sprt.bounds == (sprt.lower, sprt.upper)

    def test_what_is_computed_is_what_happens(self) -> None:
        sprt, draw = Sprt(0.1, 0.3, 0.05, 0.05), random.Random(2)
        lower, upper = sprt.bounds
        rejected = total = 0
        for _ in range(2000):
            hits = n = 0
            while lower < sprt.ratio(hits, n) < upper:
                n += 1
                hits += draw.random() < 0.1
            rejected += sprt.ratio(hits, n) >= upper
            total += n
        course = sprt.course(0.1)
        assert rejected / 2000 == pytest.approx(course.rejected, abs=0.02)
        assert total / 2000 == pytest.approx(course.requests, rel=0.05)


def test_peeking_after_every_request_does_not_raise_the_false_alarms() -> None:
    """Ville's inequality, by simulation: at the limit itself, looked at after each of 400 requests."""
    mixture, draw, alarms = BetaMixture(0.05), random.Random(3), 0
    for _ in range(1500):
        hits, at = 0, 0
        for n in range(1, 401):
            if draw.random() < 0.05:
                hits += 1
                at = n
                if mixture.log_e(hits, at) >= log(20):
                    alarms += 1
                    break
    assert alarms <= 1500 * 0.05 + 26  # three standard deviations


def test_errors_spread_as_the_traffic_raise_no_alarm_and_others_do() -> None:
    draw, alarms, caught = random.Random(4), 0, 0
    for _ in range(300):
        fair, unfair = RatioMixture(), RatioMixture()
        for _ in range(60):
            fair.see(draw.random() < 0.2, 0.2)
            unfair.see(draw.random() < 0.7, 0.2)
        alarms += fair.highest >= log(20)
        caught += unfair.highest >= log(20)
    assert alarms <= 300 * 0.05 + 12
    assert caught == 300
