"""What could have been missed."""

from __future__ import annotations

import random

import pytest

from meshtest.checks import certificate
from meshtest.checks.certificate import sends_needed
from meshtest.model.history import Event
from meshtest.model.request import Fate, Lane
from tests.checks.histories import V1, every, history, request


def test_the_largest_gap_limits_what_touches_all_traffic() -> None:
    requests = every(0.001, [V1] * 1000)
    del requests[500:507]
    found = certificate(history(requests))
    assert found.whole == pytest.approx(0.008)
    assert str(found) == "no outage longer than 8.0 ms (14 ms if it touched half of the requests) can have been missed"


@pytest.mark.parametrize(("share", "sends"), [(1.0, 1), (0.5, 7), (0.1, 44)])
def test_a_part_of_the_traffic_needs_more_sends_inside(share: float, sends: int) -> None:
    assert sends_needed(share) == sends
    found = certificate(history(every(0.001, [V1] * 1000)))
    assert found.shares[share] == pytest.approx(sends * 0.001)


def test_an_outage_as_long_as_certified_is_seen_99_times_in_100() -> None:
    length, draw = certificate(history(every(0.001, [V1] * 1000))).shares[0.5], random.Random(1)
    seen = 0
    for _ in range(2000):
        begin = draw.random()
        seen += any(draw.random() < 0.5 for i in range(2000) if begin <= i * 0.001 < begin + length)
    assert seen >= 1970


def test_lanes_have_gaps_of_their_own() -> None:
    requests = [request(i, i * 0.001, lane=Lane(i % 2)) for i in range(100)]
    found = certificate(history(requests))
    assert found.lanes == {"keepalive": pytest.approx(0.002), "fresh": pytest.approx(0.002)}
    assert "(2.0 ms in one lane; " in str(found)


def test_requests_that_never_left_watched_nothing() -> None:
    requests = [request(i, i * 0.001, fate=Fate.NOT_SENT if 40 < i < 50 else Fate.ANSWERED) for i in range(100)]
    assert certificate(history(requests)).whole == pytest.approx(0.010)


def test_where_a_window_cuts_the_load_its_edges_count() -> None:
    requests = every(0.010, [V1] * 100)
    begun = [Event(-0.01, "load.start", "load")]
    assert certificate(history(requests, begun).between(0.493, 0.6)).whole == pytest.approx(0.010)
    assert certificate(history(requests[:57], begun).between(0.493, 0.6)).whole == pytest.approx(0.040)
    ended = [*begun, Event(0.565, "load.end", "load")]
    assert certificate(history(requests[:57], ended).between(0.493, 0.6)).whole == pytest.approx(0.010)


def test_the_worst_of_several_loads_counts() -> None:
    slow = [request(i, i / 10, load="slow") for i in range(10)]
    assert certificate(history([*every(0.001, [V1] * 100), *slow])).whole == pytest.approx(0.1)


def test_one_request_says_nothing() -> None:
    assert str(certificate(history(every(1, [V1])))) == "a single request says nothing about outages"
