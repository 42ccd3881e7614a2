"""Shares decided as soon as it can be."""

from __future__ import annotations

import random
from typing import Any

import pytest

from meshtest.checks import split_sequential
from meshtest.errors import UsageError
from meshtest.model.history import Event, History
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, V3, every, history, request

CHECK = split_sequential(host="web", weights={"v1": 90, "v2": 10}, against={"v1": 80, "v2": 20})


def drawn(n: int, share: float, seed: int = 1) -> History:
    draw = random.Random(seed)
    servers = [V2 if draw.random() < share else V1 for _ in range(n)]
    return history(every(0.001, servers), [Event(99.0, "load.end", "load")])


def test_nothing_served_proves_nothing() -> None:
    assert CHECK.judge(history()).outcome is Outcome.UNKNOWN


def test_right_shares_pass_wrong_ones_fail_and_too_few_are_not_decided() -> None:
    passed, failed = CHECK.judge(drawn(2000, 0.1)), CHECK.judge(drawn(2000, 0.2))
    assert (passed.outcome, failed.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert "10 % as intended, not 20 %" in passed.sentence
    assert "not the intended 10 %; 20 % is" in failed.sentence
    finding = CHECK.judge(drawn(20, 0.1))
    assert finding.outcome is Outcome.UNKNOWN
    assert "requests on average" in finding.sentence


def test_the_first_decision_stays() -> None:
    past = drawn(400, 0.1)
    more = [request(400 + i, 1 + i / 1000, V2) for i in range(300)]
    again = history([*past.requests, *more], past.events)
    assert CHECK.judge(past).figures["decided_after"] == CHECK.judge(again).figures["decided_after"]


def test_a_stray_decides_at_once() -> None:
    finding = CHECK.judge(history(every(0.001, [V1] * 5 + [V3])))
    assert finding.outcome is Outcome.FAIL
    assert "web v3 got" in finding.sentence


def test_three_versions_are_one_test() -> None:
    check = split_sequential(host="web", weights={"v1": 2, "v2": 1, "v3": 1}, against={"v1": 1, "v2": 1, "v3": 2})
    assert check.judge(history(every(0.001, [V1, V2, V1, V3] * 100))).outcome is Outcome.PASS
    assert check.judge(history(every(0.001, [V1, V2, V3, V3] * 100))).outcome is Outcome.FAIL


def test_the_declared_errors_hold_though_it_looks_every_time() -> None:
    wrong = sum(CHECK.judge(drawn(600, 0.1, seed)).outcome is Outcome.FAIL for seed in range(30))
    missed = sum(CHECK.judge(drawn(600, 0.2, seed)).outcome is Outcome.PASS for seed in range(30))
    assert wrong <= 3  # far beyond 30 at 1 %; tests/bench/statistics.py draws 10,000
    assert missed <= 3


@pytest.mark.parametrize(
    "options", [{"weights": {}}, {"against": {"v1": -1}}, {"against": {"v1": 9, "v2": 1}}, {"alpha": 0}]
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    values = {"weights": {"v1": 90, "v2": 10}, "against": {"v1": 80, "v2": 20}, **options}
    with pytest.raises(UsageError):
        split_sequential(host="web", **values)
