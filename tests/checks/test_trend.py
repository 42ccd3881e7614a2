"""Does it get slower, the longer it runs?"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import sin
from typing import Any

import pytest

from meshtest.checks import trend
from meshtest.errors import UsageError
from meshtest.model.history import Event, History
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, history, request


def drawn(n: int, latency: Callable[[float], float], *, errors: Callable[[float], float] = lambda _: 0.0) -> History:
    """100 requests a second; what a function of the time says, times a lognormal factor."""
    draw = random.Random(4)
    requests = [
        request(
            i, i / 100, V2 if i % 2 else V1,
            latency=latency(i / 100) * draw.lognormvariate(0, 0.3),
            status=503 if draw.random() < errors(i / 100) else 200,
        )
        for i in range(n)
    ]  # fmt: skip
    return history(requests, [Event(n, "load.end", "load")])


def test_too_few_prove_nothing() -> None:
    finding = trend().judge(drawn(150, lambda _: 0.005))
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.sentence == "150 requests are too few to see a trend; it takes 160"


def test_a_level_one_passes_and_says_how_much_it_may_be() -> None:
    finding = trend().judge(drawn(3000, lambda _: 0.005))
    assert finding.outcome is Outcome.PASS
    assert finding.sentence.startswith("the latency changes by ")
    assert finding.sentence.endswith(" s: no trend that matters")
    low, high = finding.figures["interval"]
    assert low < 0 < high


def test_a_leak_fails_with_its_growth_a_minute() -> None:
    finding = trend().judge(drawn(3000, lambda t: 0.005 + 0.0001 * t))
    assert finding.outcome is Outcome.FAIL
    assert finding.figures["effect"] == pytest.approx(0.006, rel=0.2)
    assert "ms a minute" in finding.sentence


def test_one_that_grows_faster_and_faster_fails_too() -> None:
    assert trend().judge(drawn(3000, lambda t: 0.005 + 0.000006 * t * t)).outcome is Outcome.FAIL


def test_falling_latencies_are_welcome() -> None:
    assert trend().judge(drawn(3000, lambda t: 0.010 - 0.0002 * t)).outcome is Outcome.PASS


def test_a_slow_wave_is_no_trend() -> None:
    past = drawn(3000, lambda t: 0.005 + 0.002 * sin(t / 30 * 6.283 * 1.25))
    assert trend().judge(past).outcome is not Outcome.FAIL


def test_a_sure_rise_that_is_small_does_not_matter() -> None:
    finding = trend().judge(drawn(6000, lambda t: 0.005 * (1 + 0.001 * t)))
    assert finding.outcome is Outcome.PASS
    assert trend(growth=0.01, least=0).judge(drawn(6000, lambda t: 0.005 * (1 + 0.001 * t))).outcome is not Outcome.PASS


def test_a_version_can_be_looked_at_by_itself() -> None:
    past = drawn(3000, lambda t: 0.005)
    leaking = [
        request(i, r.at, r.server, latency=(r.latency or 0.0) + (0.0002 * r.at if r.server is V2 else 0.0))
        for i, r in enumerate(past.requests)
    ]
    assert trend(host="web", version="v2").judge(history(leaking, past.events)).outcome is Outcome.FAIL
    assert trend(host="web", version="v1").judge(history(leaking, past.events)).outcome is Outcome.PASS


def test_errors_have_trends_too() -> None:
    growing = drawn(4000, lambda _: 0.005, errors=lambda t: t / 400)
    finding = trend(of="errors", growth=0.02).judge(growing)
    assert finding.outcome is Outcome.FAIL
    assert "points a minute" in finding.sentence
    assert trend(of="errors", growth=0.02).judge(drawn(4000, lambda _: 0.005)).outcome is Outcome.PASS


def test_level_latencies_raise_no_alarm() -> None:
    alarms = 0
    for seed in range(30):
        draw = random.Random(seed)
        requests = [request(i, i / 100, V1, latency=0.005 * draw.lognormvariate(0, 0.8)) for i in range(500)]
        check = trend(growth=0.0001, least=0, alpha=0.05)
        alarms += check.judge(history(requests, [Event(9.0, "load.end", "load")])).outcome is Outcome.FAIL
    assert alarms <= 6  # 99.9 % point of 30 at 5 %


@pytest.mark.parametrize("options", [{"of": "x"}, {"growth": 0}, {"alpha": 0}, {"least": -1}])
def test_what_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        trend(**options)
