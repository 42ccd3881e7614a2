"""canary_users: what the rollout lost is told apart from what the new version itself failed."""

from __future__ import annotations

import pytest

from meshtest.checks import from_parameters
from meshtest.checks.canary_users import CanaryUsers, met_by_users
from meshtest.model.history import Event, History
from meshtest.model.request import Request, Server
from meshtest.model.verdict import Outcome
from tests.checks.histories import history, request

OLD, NEW, LATER = "web/web/web-0", "web/web/web-1", "web/web/web-primary-1"


def started(pod: str, template: str, at: float) -> Event:
    return Event(at, "pod.start", pod.rpartition("/")[2], {"template": template})


EVENTS = [
    Event(0.0, "canary.revision", "", {"template": "aaa", "revision": "v1"}),
    started(OLD, "aaa", 0.0),
    Event(0.5, "canary.start", "web.test", {"before": "v1", "users": ["load1"]}),
    Event(0.6, "canary.revision", "", {"template": "bbb", "revision": "v2"}),
    started(NEW, "bbb", 0.7),
    Event(2.0, "proxy.starved", "", {"seconds": 0.25}),
    Event(3.0, "canary.revision", "", {"template": "ccc", "revision": "v2"}),
    Event(3.0, "canary.promoted", "web.test", {"revision": "v2"}),
    started(LATER, "ccc", 3.1),
    Event(5.0, "canary.end", "web.test", {"ending": "promoted"}),
]


def seen(*requests: Request) -> History:
    return history(requests, EVENTS)


def served(pod: str, at: float, status: int = 200, load: str = "load1", index: int = 0) -> Request:
    return request(index=index, at=at, status=status, server=Server.parse(pod), load=load)


def test_a_failure_of_the_new_version_is_its_own() -> None:
    found = CanaryUsers().judge(
        seen(served(OLD, 1.0), served(NEW, 1.1, 503, index=1), served(LATER, 4.0, 503, index=2))
    )
    assert found.outcome is Outcome.PASS
    assert "2 requests failed by the new version itself" in found.sentence
    assert found.figures["failed_by_new_version"] == 2


def test_one_of_the_old_version_is_lost() -> None:
    assert CanaryUsers().judge(seen(served(OLD, 1.0, 503))).outcome is Outcome.FAIL


def test_load_tests_are_no_users() -> None:
    lost = served(OLD, 1.0, 503, load="load2")
    assert CanaryUsers().judge(seen(lost, served(OLD, 1.1, index=1))).outcome is Outcome.PASS
    assert CanaryUsers().judge(seen(lost)).outcome is Outcome.UNKNOWN, "nobody was there"


def test_exposure_ends_with_the_promotion() -> None:
    told = seen(
        served(OLD, 1.0), served(NEW, 1.1, index=1), served(NEW, 1.2, 503, index=2), served(NEW, 3.5, index=3),
        served(LATER, 4.0, index=4), served(OLD, 0.2, index=5),
    )  # fmt: skip
    (start,) = told.of("canary.start")
    met = met_by_users(told, start)
    assert (met.requests, met.failed, met.exposed, met.exposed_failed) == (5, 1, 2, 1)
    assert met.starved == 0.25


def test_without_a_rehearsal_nothing_is_proven() -> None:
    assert CanaryUsers().judge(history([served(OLD, 1.0)], [])).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("name", ["canary_users"])
def test_a_stored_run_can_be_judged_again(name: str) -> None:
    assert from_parameters(name, CanaryUsers().parameters()) == CanaryUsers()
