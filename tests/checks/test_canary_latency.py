"""Is the canary slower? In the centre, in the tail, beyond a limit."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest

from meshtest.checks import canary_latency
from meshtest.checks.canary_latency import holm
from meshtest.errors import UsageError
from meshtest.model.history import Event, History
from meshtest.model.request import Server
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, history, request

CHECK = canary_latency(host="web", canary="v2", baseline="v1")
Change = Callable[[float, random.Random], float]


def drawn(n: int, change: Change, *, seed: int = 1, status: int = 200) -> History:
    """So many of each, interleaved: v1 lognormal around 5 ms, v2 the same but changed."""
    draw = random.Random(seed)

    def one(i: int, server: Server) -> float:
        value = 0.005 * draw.lognormvariate(0, 0.5)
        return value if server is V1 else change(value, draw)

    servers = [V1, V2] * n
    requests = [request(i, i / 1000, s, latency=one(i, s)) for i, s in enumerate(servers)]
    return history(requests, [Event(n, "load.end", "load")])


def same(value: float, draw: random.Random) -> float:
    return value


def faster_but_for_a_slow_tail(value: float, draw: random.Random) -> float:
    return value * (4 if draw.random() < 0.05 else 0.7)


def test_nothing_seen_or_too_few_prove_nothing() -> None:
    assert CHECK.judge(history()).outcome is Outcome.UNKNOWN
    finding = CHECK.judge(drawn(100, same))
    assert finding.outcome is Outcome.UNKNOWN
    assert "100 requests of v2 and 100 of v1 are too few" in finding.sentence
    assert finding.figures["needed"] > 500


def test_one_that_is_as_fast_passes_with_effect_and_interval() -> None:
    finding = CHECK.judge(drawn(1000, same))
    assert finding.outcome is Outcome.PASS
    assert finding.sentence.startswith("v2 is not slower than v1: median ")
    low, high = finding.figures["interval"]
    assert low < 0.0 < high or abs(finding.figures["effect"]) < 0.0005
    assert finding.figures["power"] > 0.95


def test_one_that_is_slower_in_the_centre_fails() -> None:
    finding = CHECK.judge(drawn(1000, lambda value, _: value * 1.3))
    assert finding.outcome is Outcome.FAIL
    assert finding.sentence.startswith("v2 is slower than v1: median")


def test_one_that_is_faster_but_for_a_slow_tail_fails_by_its_tail_alone() -> None:
    finding = CHECK.judge(drawn(2000, faster_but_for_a_slow_tail))
    assert finding.outcome is Outcome.FAIL
    assert finding.figures["p_values"]["centre"] > 0.5
    assert finding.figures["p_values"]["tail"] < 0.01
    assert "% beyond " in finding.sentence
    assert finding.figures["tail"]["interval"][0] > 1


def test_a_difference_that_nobody_minds_passes_however_sure_it_is() -> None:
    def a_little(value: float, _: random.Random) -> float:
        return value + 0.0001

    past = drawn(15_000, a_little)
    assert CHECK.judge(past).outcome is Outcome.PASS
    strict = canary_latency(host="web", canary="v2", baseline="v1", tolerance=0, least=0)
    assert strict.judge(past).outcome is Outcome.FAIL


def test_a_limit_finds_what_is_rarer_than_the_tail() -> None:
    def rarely(value: float, draw: random.Random) -> float:
        return value + (0.2 if draw.random() < 0.006 else 0.0)

    strict = canary_latency(host="web", canary="v2", baseline="v1", slo=0.1)
    finding = strict.judge(drawn(3000, rarely))
    assert finding.outcome is Outcome.FAIL
    assert "slower than 100 ms or failed, against 0 %" in finding.sentence


def test_a_failed_request_is_infinitely_slow() -> None:
    past = drawn(1000, same)
    broken = [
        r if i % 40 != 1 else request(i, r.at, V2, status=503, latency=0.0001) for i, r in enumerate(past.requests)
    ]
    assert CHECK.judge(history(broken, past.events)).outcome is Outcome.FAIL


def test_a_saturated_generator_proves_nothing() -> None:
    past = drawn(1000, same)
    end = [Event(99.0, "load.end", "load", {"saturated": "late"})]
    assert CHECK.judge(history(past.requests, end)).outcome is Outcome.UNKNOWN


def test_holm_multiplies_the_smallest_by_their_number() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_without_scipy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(UsageError, match=r"'canary_latency' needs scipy: pip install 'meshtest\[stats\]'"):
        CHECK.judge(drawn(10, same))


@pytest.mark.parametrize(
    "options", [{"tail": 1}, {"alpha": 0}, {"tolerance": -1}, {"slo": 0}, {"baseline": "v2"}, {"least": -1}]
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        canary_latency(**{"host": "web", "canary": "v2", "baseline": "v1", **options})
