"""The chances of an analysis: against published figures, against brute force, and where Flagger has no data."""

from __future__ import annotations

import itertools
from math import exp, prod
from random import Random
from typing import Any

import pytest

from meshtest.lib.stats import log_pmf, lower_tail
from meshtest.manifests.reader import read_text
from meshtest.rollouts.canary import Canary, draws
from meshtest.rollouts.canary.chances import passes
from meshtest.rollouts.canary.limits import Limit, limits
from meshtest.rollouts.canary.power import Power, Version, power
from meshtest.rollouts.canary.traffic import Arrivals, Traffic, declared
from tests.rollouts.podinfo import document, hook, podinfo


def success(least: float = 99, window: str = "1m", **more: Any) -> dict[str, Any]:
    return {"name": "request-success-rate", "interval": window, "thresholdRange": {"min": least}, **more}


def canary(*metrics: dict[str, Any], **told: Any) -> Canary:
    return podinfo(
        **{"stepWeight": 10, "maxWeight": 50, "threshold": 5, "metrics": list(metrics) or [success()], **told}
    )


def chances(told: Canary, rps: float, *, even: bool = True, direct: float = 0.0) -> Power:
    found = power(told, Traffic(rps=rps, even=even, direct=direct))
    assert found is not None
    return found


def promoted(told: Canary, rps: float, errors: float, **how: Any) -> float:
    return chances(told, rps, **how).of(Version(errors=errors)).promoted


class TestLowTraffic:
    """Steps of 10 % to 50 %, one a minute, at least 99 % success, 5 failed checks."""

    TABLE = (
        (0.5, (0.997, 0.949, 0.763, 0.210)),
        (1, (0.951, 0.648, 0.229, 0.004)),
        (2, (0.654, 0.124, 0.006, 0.0)),
        (10, (0.154, 0.0, 0.0, 0.0)),
    )

    @pytest.mark.parametrize(("rps", "expected"), TABLE)
    def test_a_bad_version_is_promoted(self, rps: float, expected: tuple[float, ...]) -> None:
        found = [round(promoted(canary(), rps, errors), 3) for errors in (0.015, 0.03, 0.05, 0.1)]
        assert found == list(expected)

    def test_a_split_that_is_drawn_makes_little_difference(self) -> None:
        assert promoted(canary(), 1, 0.03, even=False) == pytest.approx(0.648, abs=0.02)

    def test_enough_traffic_tells_them_apart(self) -> None:
        found = chances(canary(), 50, even=False)
        assert found.enough
        assert found.needed == 1.0
        assert found.of(found.good).promoted > 0.9999

    def test_what_is_needed_is_found(self) -> None:
        found = chances(canary(), 1, even=False)
        assert not found.enough
        assert found.needed is not None
        more = Traffic(rps=found.needed)
        assert found.of(found.bad, more).promoted <= 0.05
        assert found.of(found.bad, more.times(0.9)).promoted > 0.05

    def test_versions_between_which_no_bound_lies_need_more_than_there_is(self) -> None:
        found = power(canary(), Traffic(rps=5), bad=0.005)
        assert found is not None
        assert found.needed is None

    def test_every_course_has_an_end(self) -> None:
        for one in chances(canary(), 2).table:
            assert one.promoted + one.rolled_back == pytest.approx(1.0)
            assert one.undecided == pytest.approx(0.0, abs=1e-9)

    def test_a_version_that_always_fails_costs_what_the_plan_says(self) -> None:
        one = chances(canary(), 50).of(Version(errors=1.0))
        assert one.rolled_back == pytest.approx(1.0)
        assert one.served == pytest.approx(50 * 60 * 0.1 * 6)
        assert one.paid == pytest.approx(one.served)
        assert one.intervals == pytest.approx(7)


class TestNoData:
    def test_no_request_is_a_failed_check(self) -> None:
        """At one request a minute, and a tenth of them, most windows are empty: even a perfect version fails."""
        assert chances(canary(), 1 / 60, even=False).of(Version()).rolled_back == pytest.approx(0.95, abs=0.001)

    def test_blue_green_has_no_user_to_measure(self) -> None:
        assert promoted(canary(iterations=3, stepWeight=None), 50, 0.0) == 0.0

    def test_unless_a_load_test_asks_it(self) -> None:
        assert promoted(canary(iterations=3, stepWeight=None), 50, 0.0, direct=10) == pytest.approx(1.0)

    def test_only_bad_answers_are_no_values_found(self) -> None:
        everything = Limit(metric="m", kind="errors", most=1.0, window=60)
        assert passes([everything], Arrivals(3, 1.0), 0.5) == pytest.approx(1 - 0.5**3)

    def test_an_error_rate_without_its_series_fails_a_version_without_errors(self) -> None:
        bounds = {"interval": "1m", "thresholdRange": {"max": 1}}
        query = 'sum(rate(requests{{code=~"5.*"}}[1m])) {}/ sum(rate(requests[1m])) * 100'
        bare = {"name": "errors", "query": query.format(""), **bounds}
        guarded = {"name": "errors", "query": query.format("or vector(0) "), **bounds}
        assert promoted(canary(bare), 50, 0.0) == 0.0
        assert promoted(canary(guarded), 50, 0.0) == pytest.approx(1.0)
        assert promoted(canary(bare), 50, 0.001) > promoted(canary(bare), 5, 0.001)


class TestChanceOfOneCheck:
    """Against every possibility, request by request."""

    @pytest.mark.parametrize("share", [0.25, 1.0])
    @pytest.mark.parametrize(
        "limit",
        [
            Limit(metric="m", kind="errors", most=0.34, window=60),
            Limit(metric="m", kind="errors", most=0.0, window=60),
            Limit(metric="m", kind="errors", most=1.0, least=0.5, window=60),
            Limit(metric="m", kind="errors", most=0.5, window=60, needs_one=True),
            Limit(metric="m", kind="slow", most=0.5, window=60),
        ],
        ids=["a third", "none", "at least half", "needs one", "slow"],
    )
    @pytest.mark.parametrize("seen_bad", [True, False])
    def test_it_is_the_sum_over_what_each_request_may_be(self, limit: Limit, share: float, seen_bad: bool) -> None:
        users, rate, expected = 5, 0.3, 0.0
        chances = {"elsewhere": 1 - share, "good": share * (1 - rate), "bad": share * rate}
        for fates in itertools.product(chances, repeat=users):
            bad, requests = fates.count("bad"), users - fates.count("elsewhere")
            if limit.accepts(bad, requests) and (seen_bad or bad or not limit.needs_one):
                expected += prod(chances[fate] for fate in fates)
        assert passes([limit], Arrivals(users, share), rate, seen_bad=seen_bad) == pytest.approx(expected)

    def test_a_fraction_of_a_request_comes_in_that_part_of_the_windows(self) -> None:
        limit = Limit(metric="m", kind="errors", most=0.0, window=60)
        assert passes([limit], Arrivals(2.25, 1.0), 0.5) == pytest.approx(0.75 * 0.5**2 + 0.25 * 0.5**3)


class TestOverlap:
    """A window that is longer than the interval: one request is read by several checks."""

    def test_it_lets_more_bad_versions_through_than_fresh_requests_would(self) -> None:
        overlapping = chances(canary(interval="15s"), 4)
        fresh = chances(canary(success(window="15s"), interval="15s"), 16)
        assert (overlapping.overlap, overlapping.exact, fresh.overlap) == (4, True, 1)
        assert overlapping.of(overlapping.bad).promoted > 10 * fresh.of(fresh.bad).promoted

    def test_it_is_what_counting_every_possibility_comes_to(self) -> None:
        told = canary(success(window="1m"), interval="30s", stepWeights=[50, 100], stepWeight=None, threshold=2)
        rps, rate = 2 / 15, 0.2  # 2 and 4 requests an interval
        found = chances(told, rps).of(Version(errors=rate)).promoted
        assert found == pytest.approx(brute_force(rate), abs=1e-12)

    def test_a_window_of_a_part_of_an_interval_is_a_smaller_sample(self) -> None:
        half = chances(canary(success(window="30s")), 2)
        whole = chances(canary(), 1)
        assert half.exact
        version = Version(errors=0.03)
        assert half.of(version).promoted == pytest.approx(whole.of(version).promoted)


class TestDraws:
    """Where windows share more requests than the chain remembers."""

    @pytest.mark.parametrize(
        ("metric", "interval", "rps"),
        [(success(), "10s", 500.0), (success(), "40s", 50.0), (success(), "20s", 0.5)],
        ids=["too many pasts", "a window of one and a half intervals", "hardly a request"],
    )
    def test_what_cannot_be_summed_up_is_drawn_and_that_is_told(
        self, metric: dict[str, Any], interval: str, rps: float
    ) -> None:
        found = chances(canary(metric, interval=interval), rps, even=False)
        assert found.of(found.bad).runs == draws.RUNS

    def test_drawn_runs_come_to_what_counting_every_possibility_does(self) -> None:
        told = canary(success(window="1m"), interval="30s", stepWeights=[50, 100], stepWeight=None, threshold=2)
        summed = chances(told, 2 / 15)
        assert summed.of(summed.bad).runs == 0
        drawn = draws.drawn(told, summed.nodes, summed.limits.known, summed.traffic, Version(errors=0.2))
        assert drawn.promoted == pytest.approx(brute_force(0.2), abs=0.03)
        assert drawn.promoted + drawn.rolled_back == 1.0

    def test_checks_that_read_the_same_requests_fail_together(self) -> None:
        """By a simulation of each request, 20.6 +- 1 %; taken as independent it was 3.8 %."""
        found = chances(canary(interval="10s"), 20, even=False).of(Version(errors=0.015))
        assert found.promoted == pytest.approx(0.206, abs=0.03)

    def test_a_part_of_an_interval_is_read_as_a_part(self) -> None:
        """By a simulation of each request, 33 +- 1 %."""
        found = chances(canary(interval="40s"), 5, even=False).of(Version(errors=0.015))
        assert found.promoted == pytest.approx(0.33, abs=0.03)

    @pytest.mark.parametrize(("n", "p"), [(10, 0.3), (200, 0.02), (40_000, 0.01), (1000, 0.7), (5, 0.0), (5, 1.0)])
    def test_a_draw_is_binomial(self, n: int, p: float) -> None:
        random = Random(1)
        found = [draws.binomial(random, n, p) for _ in range(2000)]
        for k in {int(n * p * part) for part in (0.8, 1.0, 1.2)}:
            below = sum(one <= k for one in found) / len(found)
            assert below == pytest.approx(lower_tail(k, n, p) if 0 < p < 1 else float(n * p <= k), abs=0.04)


def brute_force(rate: float, requests: int = 2, before: int = 0, failures: int = 0) -> float:
    """Two steps, of 2 and 4 requests an interval; a check reads two intervals, the second failed one ends it."""
    if failures == 2:
        return 0.0
    total = 0.0
    for bad in range(requests + 1):
        chance = exp(log_pmf(bad, requests, rate))
        if before + bad:
            total += chance * brute_force(rate, requests, bad, failures + 1)
        else:
            total += chance * (1.0 if requests == 4 else brute_force(rate, 4, bad, failures))
    return total


TEMPLATE = """
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {{name: errors, namespace: test}}
spec:
  provider: {{type: prometheus, address: "http://prometheus:9090"}}
  query: |
    {query}
"""


class TestLimits:
    @pytest.mark.parametrize(
        ("query", "bounds", "most", "needs_one"),
        [
            ('sum(rate(r{code=~"5.*"}[1m])) / sum(rate(r[1m]))', {"max": 0.02}, 0.02, True),
            ('100 * sum(rate(r{code=~"5.*"}[1m])) / sum(rate(r[1m])) * 100', {"max": 2}, 0.02, True),
            ('(sum(rate(r{code=~"5.."}[1m])) or vector(0)) / sum(rate(r[1m])) * 100', {"max": 2}, 0.02, False),
            ('sum(rate(r{code!~"5.*"}[1m])) / sum(rate(r[1m])) * 100', {"min": 98}, 0.02, False),
            ('100 - sum(rate(r{code!~"5.*"}[1m])) / sum(rate(r[1m])) * 100', {"max": 2}, 0.02, False),
            ('1 - sum(rate(r{path="/a/b",code!~"5.*"}[1m])) / sum(rate(r[1m]))', {"max": 0.02}, 0.02, False),
        ],
    )
    def test_a_template_that_is_a_ratio_is_understood(
        self, query: str, bounds: dict[str, float], most: float, needs_one: bool
    ) -> None:
        metric = {"name": "e", "interval": "1m", "templateRef": {"name": "errors"}, "thresholdRange": bounds}
        (limit,) = limits(canary(metric), read_text(TEMPLATE.format(query=query), "t.yaml")).known
        assert (limit.most, limit.kind, limit.needs_one) == (pytest.approx(most), "errors", needs_one)

    def test_what_is_not_understood_is_named_with_the_reason(self) -> None:
        absent = {"name": "a", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}
        other = {"name": "b", "query": "avg(cpu)", "thresholdRange": {"max": 1}}
        found = limits(canary(absent, other))
        assert (found.known, set(found.unknown)) == ((), {"a", "b"})
        assert "not among the files" in found.unknown["a"]

    def test_a_duration_takes_one_slow_request_in_a_hundred(self) -> None:
        slow = {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}}
        found = chances(canary(slow), 50)
        assert found.kind == "slow"
        assert found.of(Version(slow=0.03)).promoted < 0.001 < 0.999 < found.of(Version(slow=0.001)).promoted

    def test_without_any_of_them_there_are_no_chances(self) -> None:
        assert power(canary({"name": "b", "query": "avg(cpu)"}), Traffic(rps=1)) is None

    @pytest.mark.parametrize(("bad", "fewest"), [(0, 1), (1, 99), (2, 198)])
    def test_how_many_good_requests_make_up_for_bad_ones(self, bad: int, fewest: int) -> None:
        limit = Limit(metric="m", kind="errors", most=0.01, window=60)
        assert limit.fewest(bad) == fewest
        assert limit.accepts(bad, bad + fewest)
        assert not limit.accepts(bad, bad + fewest - 1)


class TestDeclaredTraffic:
    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("hey -z 1m -q 10 -c 2 http://podinfo.test:9898/", Traffic(rps=20)),
            ("hey -z 1m -q 10 -c 2 http://podinfo-canary.test:9898/", Traffic(rps=0, direct=20)),
            ("hey -z 1m -q 2 http://podinfo.test/", Traffic(rps=100)),
            ("hey -z 1m http://podinfo.test/", None),
            ("curl http://podinfo.test/", None),
        ],
    )
    def test_a_load_test_tells(self, command: str, expected: Traffic | None) -> None:
        assert declared(document(webhooks=[hook("rollout", metadata={"cmd": command})])) == expected
