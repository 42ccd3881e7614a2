"""Outages: how long, how sure, what was hit, and what happened then."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from meshtest.checks import no_downtime, outages
from meshtest.errors import UsageError
from meshtest.mesh.view import View
from meshtest.model.history import Event
from meshtest.model.request import Fate, Lane, Request
from meshtest.model.verdict import Outcome
from tests.checks.histories import V2, history, request

PERIOD = 0.001


def hit(count: int, failed: Iterable[int], **more: Any) -> list[Request]:
    """So many requests, a millisecond apart; these are reset."""
    lost = set(failed)
    return [request(i, i * PERIOD, fate=Fate.RESET if i in lost else Fate.ANSWERED, **more) for i in range(count)]


class TestLength:
    def test_of_everything_is_count_times_period_between_hard_bounds(self) -> None:
        (outage,) = outages(history(hit(200, range(100, 120))))
        assert outage.at_least == pytest.approx(0.019)
        assert outage.seconds == pytest.approx(0.020)
        assert outage.at_most == pytest.approx(0.021)
        assert (outage.lost, outage.share) == (20, 1.0)
        assert outage.begin == pytest.approx(0.0995)
        assert outage.end == pytest.approx(0.1195)

    def test_is_measured_by_when_requests_left_not_when_they_should_have(self) -> None:
        requests = hit(200, range(100, 120))
        requests[120] = request(120, 0.120, late=0.010)
        requests[121:130] = [request(i, i * PERIOD, late=0.0101 - (i - 120) * PERIOD) for i in range(121, 130)]
        (outage,) = outages(history(requests))
        assert outage.at_most == pytest.approx(0.031)

    @pytest.mark.parametrize("length", [0.003, 0.020, 0.0505])
    def test_the_bounds_hold_and_the_error_is_below_a_period(self, length: float) -> None:
        draw = random.Random(11)
        for _ in range(50):
            begin = 0.1 + draw.random() * PERIOD
            lost = [i for i in range(300) if begin <= i * PERIOD < begin + length]
            (outage,) = outages(history(hit(300, lost)))
            assert outage.at_least - 1e-9 <= length <= outage.at_most + 1e-9
            assert abs(outage.seconds - length) <= PERIOD

    def test_where_endpoints_share_the_traffic_the_bracket_counts_not_the_number(self) -> None:
        """One of two endpoints is down for 20 ms: the count says 10 ms."""
        draw = random.Random(5)
        inside = 0
        for _ in range(100):
            lost = [i for i in range(300) if 0.1 <= i * PERIOD < 0.12 and draw.random() < 0.5]
            (outage,) = outages(history(hit(300, lost)))
            inside += outage.at_least <= 0.020 <= outage.at_most
            assert outage.share < 1
        assert inside >= 97  # bounds at 99 %

    def test_one_lane_is_judged_by_its_own_sends(self) -> None:
        requests = [
            request(i, i * PERIOD, lane=Lane(i % 2), fate=Fate.REFUSED if i % 2 and 100 <= i < 120 else Fate.ANSWERED)
            for i in range(300)
        ]
        (outage,) = outages(history(requests))
        assert outage.streams == ["fresh"]
        assert outage.at_most == pytest.approx(0.022)
        assert outage.seconds == pytest.approx(0.020)
        assert outage.share == pytest.approx(0.5, abs=0.05)

    def test_an_outage_at_the_end_of_the_record_is_open(self) -> None:
        (outage,) = outages(history(hit(100, range(90, 100))))
        assert outage.window.open_end
        assert not outage.window.open_start
        assert outage.seconds == pytest.approx(0.010)


class TestClusters:
    def test_two_short_ones_are_not_a_long_half_one(self) -> None:
        found = outages(history(hit(400, [*range(100, 110), *range(160, 170)])))
        assert [outage.lost for outage in found] == [10, 10]

    def test_one_in_three_is_one_outage(self) -> None:
        draw = random.Random(3)
        (outage,) = outages(history(hit(900, [i for i in range(200, 700) if draw.random() < 1 / 3])))
        assert outage.share == pytest.approx(1 / 3, abs=0.05)

    def test_loads_are_looked_at_by_themselves(self) -> None:
        one = hit(200, range(100, 120))
        two = hit(200, range(100, 110), load="two")
        found = outages(history([*one, *two]))
        assert sorted((o.load, o.lost) for o in found) == [("load", 20), ("two", 10)]
        assert [o.lost for o in outages(history([*one, *two]), load="two")] == [10]
        assert "30 of 400 failed in 1 outage" in no_downtime().judge(history([*one, *two])).sentence


def test_a_load_or_a_part_of_one_will_do() -> None:
    view = View.of_load(history(hit(200, range(100, 120))), "load")
    assert [outage.lost for outage in outages(view)] == [outage.lost for outage in view.outages] == [20]
    assert view.masked_outages == []
    assert view.certificate.whole == pytest.approx(0.001)


def test_it_says_who_how_and_after_what() -> None:
    requests = hit(200, range(100, 105))
    requests[102] = request(102, 0.102, V2, status=503)
    events = [Event(0.090, "config.ack", data={"number": 2}), Event(0.103, "pod.exit", "web-v1-0")]
    (outage,) = outages(history(requests, events))
    assert outage.kinds == {"reset": 4, "503": 1}
    assert outage.fates == {"reset": 4, "answered": 1}
    assert outage.versions == {"": 4, "v2": 1}
    assert outage.around == ["-10 ms config.ack 2", "+3.0 ms pod.exit web-v1-0"]
    assert str(outage).startswith("t=0.100s for 5.0 ms (4.0 ms to 6.0 ms): 5 failed (reset); -10 ms config.ack 2")


class TestBudget:
    @pytest.mark.parametrize(
        ("budget", "outcome"),
        [
            (19, Outcome.FAIL), (20, Outcome.PASS), ("21", Outcome.PASS), ("1.9%", Outcome.FAIL), ("2%", Outcome.PASS),
            ("18ms", Outcome.FAIL), ("20 ms", Outcome.UNKNOWN), ("21ms", Outcome.PASS), ("1s", Outcome.PASS),
        ],
    )  # fmt: skip
    def test_in_requests_share_or_time(self, budget: int | str, outcome: Outcome) -> None:
        past = history(hit(1000, range(100, 120)))
        assert no_downtime(budget=budget).judge(past).outcome is outcome

    def test_a_length_between_the_bounds_is_told(self) -> None:
        finding = no_downtime(budget="20ms").judge(history(hit(1000, range(100, 120))))
        assert finding.sentence == (
            "the outages last 19 ms to 21 ms; the budget of 20 ms lies between: a higher rate would tell"
        )

    def test_an_outage_that_was_not_over_has_no_length(self) -> None:
        finding = no_downtime(budget="1s").judge(history(hit(100, range(90, 100))))
        assert finding.outcome is Outcome.UNKNOWN
        assert "reaches beyond what was observed" in finding.sentence

    @pytest.mark.parametrize("budget", [-1, True, 0.5, "half", "3 apples", "101%", "-5ms", "", None, "2.5"])
    def test_others_are_refused(self, budget: Any) -> None:
        with pytest.raises(UsageError, match=r"budget .*: give requests"):
            no_downtime(budget=budget)
