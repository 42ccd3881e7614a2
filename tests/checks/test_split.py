"""Did the versions get their shares?"""

from __future__ import annotations

import random

import pytest

from meshtest.checks import split
from meshtest.errors import UsageError
from meshtest.model import deeper
from meshtest.model.history import Event, History
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, V3, config, every, history, hop, mixed, request

TENTH = {"v1": 90.0, "v2": 10.0}


def test_nothing_served_proves_nothing() -> None:
    assert split(host="web").judge(history(events=config(1, 0.0, TENTH))).outcome is Outcome.UNKNOWN


def test_requests_without_known_shares_prove_nothing() -> None:
    finding = split(host="web").judge(history(every(0.001, [V1] * 100)))
    assert finding.outcome is Outcome.UNKNOWN
    assert "no shares of web were set" in finding.sentence


def test_shares_as_intended_pass_with_counts_and_p_value() -> None:
    requests = every(0.001, mixed(v2=98, v1=902), start=0.02)
    finding = split(host="web").judge(history(requests, config(1, 0.0, TENTH)))
    assert finding.outcome is Outcome.PASS
    assert finding.sentence == (
        "config 1: web v2 got 9.8 % (98 of 1000), intended 10 % (p = 0.87), 1352 requests would tell 5 points"
    )


def test_a_share_that_is_off_fails() -> None:
    requests = every(0.001, mixed(v2=200, v1=800), start=0.02)
    finding = split(host="web").judge(history(requests, config(1, 0.0, TENTH)))
    assert finding.outcome is Outcome.FAIL
    assert "v2 got 20 % (200 of 1000), intended 10 %" in finding.sentence


def test_too_few_requests_prove_nothing_and_say_how_many_it_takes() -> None:
    requests = every(0.001, mixed(v2=10, v1=90), start=0.02)
    finding = split(host="web").judge(history(requests, config(1, 0.0, TENTH)))
    assert finding.outcome is Outcome.UNKNOWN
    assert "100 requests prove nothing, it takes 387" in finding.sentence


def test_what_a_change_started_from_may_have_met_too_few_requests() -> None:
    """A test that shifts right after its load began leaves the first window a request or two, by chance."""
    requests = [request(1000, 0.015, V1), *every(0.001, mixed(v2=500, v1=500), start=0.04)]
    events = [*config(1, 0.0, {"v1": 100.0, "v2": 0.0}), *config(2, 0.02, {"v1": 50.0, "v2": 50.0})]
    finding = split(host="web").judge(history(requests, events))
    assert finding.outcome is Outcome.PASS, finding.sentence
    assert [w["outcome"] for w in finding.figures["windows"]] == ["UNKNOWN", "PASS"]


def test_what_a_change_started_from_still_fails_when_it_is_wrong() -> None:
    requests = [request(1000, 0.015, V2), *every(0.001, mixed(v2=500, v1=500), start=0.04)]
    events = [*config(1, 0.0, {"v1": 100.0, "v2": 0.0}), *config(2, 0.02, {"v1": 50.0, "v2": 50.0})]
    assert split(host="web").judge(history(requests, events)).outcome is Outcome.FAIL


def test_a_later_window_with_too_few_requests_holds_the_check() -> None:
    requests = [*every(0.001, mixed(v2=500, v1=500), start=0.02), request(1000, 1.06, V1)]
    events = [*config(1, 0.0, {"v1": 50.0, "v2": 50.0}), *config(2, 1.03, {"v1": 100.0, "v2": 0.0})]
    assert split(host="web").judge(history(requests, events)).outcome is Outcome.UNKNOWN


def test_a_wished_resolution_decides_how_many_it_takes() -> None:
    requests = every(0.001, mixed(v2=100, v1=900), start=0.02)
    finding = split(host="web", resolution=0.05).judge(history(requests, config(1, 0.0, TENTH)))
    assert finding.outcome is Outcome.UNKNOWN
    assert "it takes 1352" in finding.sentence


@pytest.mark.parametrize("shares", [{"v1": 100.0, "v2": 0.0}, {"v1": 1.0}])
def test_one_stray_request_is_one_too_many(shares: dict[str, float]) -> None:
    requests = every(0.001, [V1] * 999 + [V2], start=0.02)
    finding = split(host="web").judge(history(requests, config(1, 0.0, shares)))
    assert finding.outcome is Outcome.FAIL
    assert "v2 got 0.1 % (1 of 1000), intended 0 % (any stray is one too many)" in finding.sentence


def test_all_to_one_passes_with_enough_requests_to_have_seen_a_stray() -> None:
    check, events = split(host="web"), config(1, 0.0, {"v1": 100.0, "v2": 0.0})
    assert check.judge(history(every(0.001, [V1] * 90, start=0.02), events)).outcome is Outcome.PASS
    assert check.judge(history(every(0.001, [V1] * 89, start=0.02), events)).outcome is Outcome.UNKNOWN


def test_requests_sent_while_the_shares_change_count_for_neither_side() -> None:
    before = every(0.001, [V1] * 500, start=0.0)
    during = every(0.001, [V2] * 30, start=0.505)
    after = every(0.001, [V2] * 500, start=0.55)
    requests = [request(i, r.at, r.server) for i, r in enumerate([*before, *during, *after])]
    events = [*config(1, -0.1, {"v1": 1, "v2": 0}), *config(2, 0.5005, {"v1": 0, "v2": 1}, took=0.04)]
    finding = split(host="web").judge(history(requests, events))
    assert finding.outcome is Outcome.PASS
    assert [w["n"] for w in finding.figures["windows"]] == [500, 500]


def test_a_late_request_belongs_to_the_time_when_it_was_sent() -> None:
    late = [request(i, 0.4, V2, late=0.2) for i in range(200)]
    events = [*config(1, 0.0, {"v1": 1, "v2": 0}), *config(2, 0.5, {"v1": 0, "v2": 1})]
    finding = split(host="web").judge(history([*every(0.001, [V1] * 300, start=0.02), *late], events))
    assert finding.outcome is Outcome.PASS


def test_a_rejected_change_leaves_the_shares_as_they_were() -> None:
    asked, _ = config(2, 0.5, {"v1": 0, "v2": 1})
    events = [*config(1, 0.0, {"v1": 1, "v2": 0}), asked, Event(0.51, "config.rejected", data={"number": 2})]
    finding = split(host="web").judge(history(every(0.001, [V1] * 1000, start=0.02), events))
    assert finding.outcome is Outcome.PASS


def test_three_versions_are_tested_each() -> None:
    servers = [(V1, V1, V2, V3)[i % 4] for i in range(2000)]
    requests = every(0.001, servers)
    fair = split(host="web", weights={"v1": 2, "v2": 1, "v3": 1}).judge(history(requests))
    assert fair.outcome is Outcome.PASS
    wrong = split(host="web", weights={"v1": 2, "v2": 1.4, "v3": 0.6}).judge(history(requests))
    assert wrong.outcome is Outcome.FAIL
    assert "v3 got 25 %" in wrong.sentence


def test_a_version_that_no_one_meant_to_serve_fails() -> None:
    finding = split(host="web", weights={"v1": 50, "v2": 50}).judge(history(every(0.001, [V1, V2] * 500 + [V3])))
    assert finding.outcome is Outcome.FAIL
    assert "v3" in finding.sentence


def test_a_host_deeper_in_the_mesh_is_judged_by_hops() -> None:
    deep = [hop(i, i * 0.001, server) for i, server in enumerate(mixed(v2=500, v1=500))]
    inner = [hop(i, i * 0.001, V2, "inbound") for i in range(1000)]
    entry = every(0.001, [V3.__class__("front", "v1", "front-1")] * 1000)
    finding = split(host="web", weights={"v1": 50, "v2": 50}).judge(history(entry, hops=[*deep, *inner]))
    assert finding.outcome is Outcome.PASS
    assert finding.figures["windows"][0]["n"] == 1000


def test_a_fair_mesh_is_called_wrong_no_more_often_than_declared() -> None:
    draw = random.Random(7)
    wrong = 0
    check = split(host="web", weights={"v1": 70, "v2": 30}, error=0.05)
    for _ in range(300):
        requests = every(0.001, [V2 if draw.random() < 0.3 else V1 for _ in range(300)])
        wrong += check.judge(history(requests)).outcome is Outcome.FAIL
    assert wrong <= 28  # of 300 at 5 %: the binomial's 99.9 % point


@pytest.mark.parametrize("weights", [{}, {"v1": 0}, {"v1": -1, "v2": 2}])
def test_weights_must_mean_something(weights: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="weights"):
        split(host="web", weights=weights)


def test_a_namespace_tells_hosts_apart() -> None:
    events = config(1, 0.0, {"v1": 1})
    requests = every(0.001, [V1] * 100, start=0.02)
    assert split(host="web.default").judge(history(requests, events)).outcome is Outcome.PASS
    assert split(host="web.other").judge(history(requests, events)).outcome is Outcome.UNKNOWN


def test_a_host_that_was_only_connected_to_has_no_timeline_of_requests() -> None:
    assert deeper.timeline(History(), "mongo", 10) == {}
