"""A load that is watched until a check is decided."""

from __future__ import annotations

import pytest

from meshtest.checks import canary, no_downtime
from meshtest.errors import UsageError
from meshtest.mesh.decide import until_decided
from meshtest.mesh.view import View
from meshtest.model.request import Fate, Request
from meshtest.model.verdict import Outcome
from tests.checks.histories import V2, history, request


class Growing:
    """A load of which each look sees 50 requests more."""

    def __init__(self, bad: int = 0, total: int = 100_000) -> None:
        self.bad, self.total, self.seen, self.clock = bad, total, 0, 0.0

    @property
    def sending(self) -> bool:
        return self.seen < self.total

    @property
    def here(self) -> View:
        self.seen = min(self.seen + 50, self.total)
        return View.settled(history(self._request(i) for i in range(self.seen)), "load")

    def _request(self, i: int) -> Request:
        return request(i, i / 100, V2, status=503 if self.bad and i % self.bad == 0 else 200)

    def now(self) -> float:
        self.clock += 0.1
        return self.clock

    def decide(self, *, requests: int | None = None, seconds: float | None = None) -> Outcome:
        check = canary(host="web", canary="v2")
        return until_decided(
            self, check, requests=requests, seconds=seconds, now=self.now, pause=lambda _: None
        ).outcome


def test_it_returns_as_soon_as_the_check_passes() -> None:
    load = Growing()
    assert load.decide(requests=10_000) is Outcome.PASS
    assert load.seen == 350  # 332 are enough


def test_or_fails() -> None:
    load = Growing(bad=20)
    assert load.decide(requests=10_000) is Outcome.FAIL
    assert load.seen <= 150


def test_a_limit_ends_it_undecided() -> None:
    assert Growing().decide(requests=200) is Outcome.UNKNOWN
    assert Growing().decide(seconds=0.5) is Outcome.UNKNOWN


def test_and_so_does_the_end_of_the_load() -> None:
    assert Growing(total=200).decide(requests=10_000) is Outcome.UNKNOWN


def test_a_check_for_one_look_is_refused() -> None:
    with pytest.raises(UsageError, match="for one look at its end"):
        until_decided(Growing(), no_downtime(), requests=10)


@pytest.mark.parametrize("limits", [{}, {"requests": 1, "seconds": 1.0}])
def test_it_needs_a_limit(limits: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="needs a limit"):
        until_decided(Growing(), canary(host="web", canary="v2"), **limits)


def test_requests_behind_one_that_has_not_ended_do_not_count_yet() -> None:
    """A canary that hangs must not pass by its fast answers."""
    past = history(request(i, i / 100, V2) for i in range(1000) if i != 100)
    assert canary(host="web", canary="v2").judge(past).figures["n"] == 100
    hung = history([*past.requests, request(100, 1.0, V2, fate=Fate.TIMEOUT)])
    assert canary(host="web", canary="v2").judge(hung).figures["n"] == 999
