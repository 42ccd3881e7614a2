"""What holds for every check: made again from its parameters, written as JSON; and several judged at once."""

from __future__ import annotations

import pytest

from meshtest.checks import (
    CHECKS,
    canary,
    canary_latency,
    fault_bit,
    from_parameters,
    judge,
    latency,
    masked,
    mirrored,
    no_downtime,
    reached,
    split,
    split_sequential,
    trend,
)
from meshtest.errors import UsageError
from meshtest.model.request import Fate
from meshtest.model.verdict import Outcome
from meshtest.spi.check import Check
from tests.checks.histories import V1, every, history, mixed, request

ALL: list[Check] = [
    no_downtime(budget=1), split(host="web", weights={"v1": 1}), latency(below=1.0), reached(host="web", only=("v1",)),
    mirrored(host="web", to="v2"), fault_bit(), masked(budget="1%"),
    canary(host="web", canary="v2", allowed="0.1%"), canary_latency(host="web", canary="v2", baseline="v1"),
    split_sequential(host="web", weights={"v1": 9, "v2": 1}, against={"v1": 8, "v2": 2}), trend(of="errors"),
]  # fmt: skip


@pytest.mark.parametrize("check", ALL, ids=lambda c: c.name)
def test_a_check_can_be_made_again_from_its_parameters(check: Check) -> None:
    import json

    assert from_parameters(check.name, json.loads(json.dumps(check.parameters()))) == check


@pytest.mark.parametrize("check", ALL, ids=lambda c: c.name)
@pytest.mark.parametrize("lost", [False, True], ids=["all-answered", "some-lost"])
def test_a_finding_can_be_written_as_json(check: Check, lost: bool) -> None:
    import json

    requests = [
        request(i, i / 100, server, fate=Fate.TIMEOUT if lost and i % 7 == 0 else Fate.ANSWERED, attempts=1 + (i == 9))
        for i, server in enumerate(mixed(v2=400, v1=400))
    ]
    finding = check.judge(history(requests))
    json.dumps(finding.as_data(), allow_nan=False)
    assert finding.sentence


def test_all_checks_are_known_by_name() -> None:
    assert list(CHECKS) == [check.name for check in ALL]


def test_unknown_checks_and_parameters_are_refused() -> None:
    with pytest.raises(UsageError, match="no check 'nope'"):
        from_parameters("nope", {})
    with pytest.raises(UsageError, match="cannot be made of"):
        from_parameters("no_downtime", {"bugdet": 1})


def test_the_worst_answer_decides() -> None:
    verdict = judge(history(every(0.01, [V1] * 10)), [no_downtime(), fault_bit()])
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.sentence == "UNKNOWN: fault_bit: no fault was injected"


def test_a_record_that_was_cut_short_never_passes() -> None:
    verdict = judge(history(every(0.01, [V1] * 10), truncated=True), [no_downtime()])
    assert verdict.outcome is Outcome.UNKNOWN
    assert "cut short" in verdict.sentence


def test_a_window_judges_only_requests_sent_in_it() -> None:
    requests = [request(i, i / 10, fate=Fate.RESET if i < 5 else Fate.ANSWERED) for i in range(10)]
    whole = history(requests)
    assert no_downtime().judge(whole.between(0.5)).outcome is Outcome.PASS
    assert no_downtime().judge(whole.between(0.4)).outcome is Outcome.FAIL
