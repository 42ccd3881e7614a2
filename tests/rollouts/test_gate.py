"""The gate: counts in, a verdict out as soon as there is one."""

from __future__ import annotations

import json
import random

import pytest

from meshtest.errors import UsageError
from meshtest.model.verdict import Outcome
from meshtest.rollouts.judge.gate import Counts, Gate, GateRules


def test_nothing_seen_proves_nothing() -> None:
    gate = Gate()
    assert gate.add(Counts(), Counts(requests=1000)) == "inconclusive"
    assert gate.reason == "the canary has had no requests: nothing is proven"
    assert gate.outcome is Outcome.UNKNOWN


def test_a_clean_canary_passes_and_a_bad_one_fails_early() -> None:
    good, bad = Gate(), Gate()
    for _ in range(40):
        good.add(Counts(requests=10), Counts(requests=990, errors=1))
    assert (good.verdict, good.outcome) == ("pass", Outcome.PASS)
    assert good.reason.startswith("0 of 400 requests failed (0 % to ")
    assert good.reason.endswith(
        "a rate of 1 %, or 2 times the baseline's, is ruled out, decided after 340 of its requests; "
        "a version that bad passes in 5 % of the cases at most"
    )
    while bad.add(Counts(requests=10, errors=1), Counts(requests=990, errors=1)) == "inconclusive":
        pass
    assert (bad.verdict, bad.requests) == ("fail", 30)
    assert "more than the 0.1 % allowed and more often than the baseline, decided after 30" in bad.reason
    assert bad.reason.endswith("; a version that is fine fails in 1 % of the cases at most")


def test_few_requests_may_fail_but_not_pass() -> None:
    rules = GateRules(minimum=1000, compared=False)
    gate = Gate(rules)
    assert gate.add(Counts(requests=500)) == "inconclusive"
    assert gate.reason == "500 requests of the canary, and 1000 are the least to pass with"
    assert gate.add(Counts(requests=500)) == "pass"
    assert Gate(rules).add(Counts(requests=8, errors=6)) == "fail"


def test_slow_answers_are_an_aspect_of_their_own() -> None:
    gate = Gate(GateRules(latency=True, compared=False))
    assert gate.add(Counts(requests=500)) == "pass"
    slow = Gate(GateRules(latency=True, compared=False))
    assert slow.add(Counts(requests=500, slow=100)) == "fail"
    assert slow.reason.startswith("100 of 500 requests were too slow (")
    half = Gate(GateRules(latency=True, compared=False))
    assert half.add(Counts(requests=500, slow=12)) == "inconclusive"
    assert half.reason.startswith("12 of 500 requests were too slow")


def test_false_alarms_and_misses_are_as_rare_as_declared() -> None:
    """400 canaries beside a baseline that errs as often, and 400 that are bad; asked after each ten seconds. Seeded; an
    hour of each and a thousand of them: `python -m tests.bench judge`."""
    draw = random.Random(5)
    rules = GateRules(alpha=0.05, beta=0.05)

    def counts(requests: int, rate: float) -> Counts:
        return Counts(requests=requests, errors=sum(draw.random() < rate for _ in range(requests)))

    def ends(own: float, other: float) -> str:
        gate = Gate(rules)
        for _ in range(60):
            if gate.add(counts(20, own), counts(60, other)) != "inconclusive":
                break
        return gate.verdict

    assert sum(ends(0.02, 0.02) == "fail" for _ in range(100)) <= 5
    assert sum(ends(0.03, 0.001) == "pass" for _ in range(100)) <= 5


def test_the_result_is_json() -> None:
    gate = Gate(GateRules(latency=True))
    gate.add(Counts(requests=10, errors=1, slow=2), Counts(requests=90))
    data = json.loads(json.dumps(gate.as_data()))
    assert (data["verdict"], data["ok"], data["samples"]) == ("inconclusive", False, 10)
    assert data["aspects"]["slow"]["bad"] == 2
    assert data["aspects"]["errors"]["baselineRequests"] == 90


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"allowed": 0.01}, "allowed 0.01 must be below worse 0.01"),
        ({"slow_allowed": 0.5}, "slow_allowed 0.5 must be below slow_worse 0.05"),
        ({"alpha": 0}, "alpha 0: a share above 0 and below 1"),
        ({"ratio": 1}, "ratio 1: how many times more often"),
        ({"minimum": -1}, "minimum -1: a number of requests"),
    ],
)
def test_rules_that_are_none(given: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GateRules(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", [{"requests": 1, "errors": 2}, {"requests": 1, "slow": 2}, {"requests": 1, "errors": -1}]
)
def test_counts_that_cannot_be(given: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        Counts(**given)
