"""Outages that a retry hid."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import masked, masked_outages, no_downtime
from meshtest.errors import UsageError
from meshtest.model.history import HOP_FIELDS, Event, Hops
from meshtest.model.request import Fate, Request
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, every, history, request


def saved(count: int, hit: range, **more: Any) -> list[Request]:
    return [request(i, i * 0.001, **(more if i in hit else {})) for i in range(count)]


def test_attempts_show_them() -> None:
    events = [Event(0.095, "pod.exit", "web-v1-0")]
    (found,) = masked_outages(history(saved(300, range(100, 105), attempts=2, latency=0.02), events))
    assert (found.retried, found.worst) == (5, 0.02)
    assert found.window.seconds == pytest.approx(0.005)
    assert found.around == ("-5.0 ms pod.exit web-v1-0",)


def test_no_downtime_tells_them_and_fails_only_if_asked() -> None:
    past = history(saved(300, range(100, 105), attempts=2, latency=0.02))
    finding = no_downtime().judge(past)
    assert finding.outcome is Outcome.PASS
    assert "; 5 requests were saved by a retry, the slowest took 20 ms, in 1 masked outage, longest 5.0 ms" in (
        finding.sentence
    )
    assert finding.figures["masked"]["retried"] == 5
    assert no_downtime(masked=5).judge(past).outcome is Outcome.PASS
    assert no_downtime(masked=4).judge(past).outcome is Outcome.FAIL
    assert no_downtime(masked="6ms").judge(past).outcome is Outcome.PASS


def test_a_step_in_latency_shows_them_where_no_proxy_tells_its_attempts() -> None:
    requests = [request(i, i * 0.001, attempts=0, latency=0.040 if 100 <= i < 110 else 0.001) for i in range(300)]
    (found,) = masked_outages(history(requests))
    assert (found.retried, found.slow) == (0, 10)
    assert "10 requests were held up, the slowest took 40 ms" in str(found)


def test_the_time_before_its_sending_does_not_make_a_request_slow() -> None:
    requests = [
        request(i, i * 0.001, late=0.039 if 100 <= i < 110 else 0.0, latency=0.040 if 100 <= i < 110 else 0.001)
        for i in range(300)
    ]
    assert masked_outages(history(requests)) == []


def test_a_tail_or_a_slow_version_is_no_step() -> None:
    tail = [request(i, i * 0.001, latency=0.040 if i % 20 == 0 else 0.001) for i in range(1000)]
    slow = [request(i, i * 0.001, V2 if i % 2 else V1, latency=0.040 if i % 2 else 0.001) for i in range(1000)]
    assert masked_outages(history(tail)) == masked_outages(history(slow)) == []


def test_a_failure_is_not_masked() -> None:
    requests = saved(300, range(100, 105), attempts=3, status=503)
    assert masked_outages(history(requests)) == []


def test_a_retry_deeper_in_the_mesh_counts() -> None:
    def line(index: int, attempts: int) -> str:
        values = dict.fromkeys(HOP_FIELDS, "-") | {
            "at": "1.0",
            "request_id": f"load-{index}",
            "attempts": str(attempts),
        }
        return "\t".join(values.values())

    hops = Hops([line(i, 1 + (i == 7)) for i in range(10)])
    (found,) = masked_outages(history(every(0.01, [V1] * 10), hops=hops))
    assert found.retried == 1


class TestCheck:
    def test_nothing_sent_proves_nothing(self) -> None:
        assert masked().judge(history()).outcome is Outcome.UNKNOWN

    def test_it_passes_says_how_it_knows_and_fails_beyond_its_budget(self) -> None:
        past = history(saved(300, range(100, 105), attempts=2, latency=0.02))
        finding = masked().judge(past)
        assert finding.outcome is Outcome.FAIL
        assert finding.sentence.startswith(
            "5 requests were saved by a retry, the slowest took 20 ms, in 1 masked outage"
        )
        assert masked(budget=5).judge(past).outcome is Outcome.PASS
        clean = masked().judge(history(every(0.001, [V1] * 100)))
        assert clean.sentence == "100 of 100 requests went at the first attempt"
        silent = [request(i, i * 0.001, attempts=0) for i in range(100)]
        assert "no proxy told its attempts" in masked().judge(history(silent)).sentence

    def test_a_budget_is_checked(self) -> None:
        with pytest.raises(UsageError, match="budget"):
            masked(budget="x")
        with pytest.raises(UsageError, match="masked 'x'"):
            no_downtime(masked="x")

    def test_a_lost_request_is_another_matter(self) -> None:
        requests = [request(i, i / 100, fate=Fate.RESET if i == 5 else Fate.ANSWERED) for i in range(20)]
        assert masked().judge(history(requests)).outcome is Outcome.PASS
