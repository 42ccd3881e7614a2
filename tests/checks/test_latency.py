"""Was it fast enough? Exact quantiles, and too few requests prove nothing."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import latency
from meshtest.errors import UsageError
from meshtest.model.request import Fate
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, every, history, mixed, request


def test_too_few_samples_prove_nothing() -> None:
    finding = latency(below=1).judge(history(every(0.01, [V1] * 298)))
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.sentence == "298 requests are too few for p99; it takes 299"


def test_the_quantile_is_exact() -> None:
    requests = [request(i, i / 100, latency=(i + 1) / 1000) for i in range(1000)]
    assert latency(below=0.9901).judge(history(requests)).outcome is Outcome.PASS
    finding = latency(below=0.990).judge(history(requests))
    assert finding.outcome is Outcome.FAIL
    assert finding.figures["value"] == 0.990


def test_a_request_without_an_answer_is_infinitely_slow() -> None:
    requests = [request(i, i / 100, fate=Fate.REFUSED if i < 10 else Fate.ANSWERED) for i in range(500)]
    finding = latency(below=10).judge(history(requests))
    assert finding.outcome is Outcome.FAIL
    assert finding.sentence == "p99 is never, limit 10.00 s"


def test_one_version_can_be_held_against_another() -> None:
    slow = {V1: 0.010, V2: 0.025}
    requests = [request(i, i / 100, s, latency=slow[s]) for i, s in enumerate(mixed(v2=400, v1=400))]
    same: dict[str, Any] = {"version": "v2", "relative_to": "v1"}
    assert latency(ratio=3, **same).judge(history(requests)).outcome is Outcome.PASS
    finding = latency(ratio=2, **same).judge(history(requests))
    assert finding.outcome is Outcome.FAIL
    assert finding.sentence == "p99 of v2 is 25 ms, v1 has 10 ms, 2 times that is allowed"


def test_an_unseen_version_proves_nothing_and_says_who_was_seen() -> None:
    finding = latency(below=1, version="v3").judge(history(every(0.01, [V1] * 500)))
    assert finding.outcome is Outcome.UNKNOWN
    assert "seen: web/v1" in finding.sentence


@pytest.mark.parametrize("options", [{}, {"p": 99, "below": 1}, {"relative_to": "v1"}])
def test_it_needs_a_limit(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        latency(**options)
