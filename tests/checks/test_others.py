"""Latency, reach, mirrors, faults; and asking several at once."""

from __future__ import annotations

from typing import Any

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
)  # fmt: skip
from meshtest.errors import UsageError
from meshtest.model.history import Event
from meshtest.model.request import Fate
from meshtest.model.verdict import Outcome
from meshtest.spi.check import Check
from tests.checks.histories import V1, V2, every, history, hop, mixed, request


class TestLatency:
    def test_too_few_samples_prove_nothing(self) -> None:
        finding = latency(below=1).judge(history(every(0.01, [V1] * 298)))
        assert finding.outcome is Outcome.UNKNOWN
        assert finding.sentence == "298 requests are too few for p99; it takes 299"

    def test_the_quantile_is_exact(self) -> None:
        requests = [request(i, i / 100, latency=(i + 1) / 1000) for i in range(1000)]
        assert latency(below=0.9901).judge(history(requests)).outcome is Outcome.PASS
        finding = latency(below=0.990).judge(history(requests))
        assert finding.outcome is Outcome.FAIL
        assert finding.figures["value"] == 0.990

    def test_a_request_without_an_answer_is_infinitely_slow(self) -> None:
        requests = [request(i, i / 100, fate=Fate.REFUSED if i < 10 else Fate.ANSWERED) for i in range(500)]
        finding = latency(below=10).judge(history(requests))
        assert finding.outcome is Outcome.FAIL
        assert finding.sentence == "p99 is never, limit 10.00 s"

    def test_one_version_can_be_held_against_another(self) -> None:
        slow = {V1: 0.010, V2: 0.025}
        requests = [request(i, i / 100, s, latency=slow[s]) for i, s in enumerate(mixed(v2=400, v1=400))]
        same: dict[str, Any] = {"version": "v2", "relative_to": "v1"}
        assert latency(ratio=3, **same).judge(history(requests)).outcome is Outcome.PASS
        finding = latency(ratio=2, **same).judge(history(requests))
        assert finding.outcome is Outcome.FAIL
        assert finding.sentence == "p99 of v2 is 25 ms, v1 has 10 ms, 2 times that is allowed"

    def test_an_unseen_version_proves_nothing_and_says_who_was_seen(self) -> None:
        finding = latency(below=1, version="v3").judge(history(every(0.01, [V1] * 500)))
        assert finding.outcome is Outcome.UNKNOWN
        assert "seen: web/v1" in finding.sentence

    @pytest.mark.parametrize("options", [{}, {"p": 99, "below": 1}, {"relative_to": "v1"}])
    def test_it_needs_a_limit(self, options: dict[str, Any]) -> None:
        with pytest.raises(UsageError):
            latency(**options)


class TestReached:
    def test_nothing_served_proves_nothing(self) -> None:
        assert reached(host="web", versions=("v1",)).judge(history()).outcome is Outcome.UNKNOWN

    @pytest.mark.parametrize(
        ("options", "outcome"),
        [
            ({"versions": ("v1",)}, Outcome.PASS),
            ({"versions": "v2"}, Outcome.PASS),
            ({"exactly": ["v2", "v1"]}, Outcome.PASS),
            ({"only": ("v1", "v2", "v3")}, Outcome.PASS),
            ({"versions": ("v3",)}, Outcome.FAIL),
            ({"only": ("v1",)}, Outcome.FAIL),
            ({"exactly": ("v1",)}, Outcome.FAIL),
        ],
    )
    def test_who_must_and_who_may(self, options: dict[str, Any], outcome: Outcome) -> None:
        assert reached(host="web", **options).judge(history(every(0.01, [V1, V2]))).outcome is outcome

    def test_it_says_who_served(self) -> None:
        finding = reached(host="web", exactly=("v1", "v3")).judge(history(every(0.01, [V1, V2, V1])))
        assert finding.sentence == "web: v3 served none and v2 (1) served but must not; served: v1 2, v2 1"


class TestMirrored:
    def hops(self, n: int, copied: int, **more: Any) -> list[Any]:
        originals = [h for i in range(n) for h in (hop(i, i / 100, V1, **more), hop(i, i / 100, V1, "inbound"))]
        return originals + [hop(i, i / 100, V2, "inbound", proxy="web-v2-1") for i in range(copied)]

    def test_without_hops_nothing_is_known(self) -> None:
        assert mirrored(host="web", to="v2").judge(history(every(0.01, [V1]))).outcome is Outcome.UNKNOWN

    def test_all_copied_passes(self) -> None:
        finding = mirrored(host="web", to="v2").judge(history(every(0.01, [V1] * 200), hops=self.hops(200, 200)))
        assert finding.outcome is Outcome.PASS
        assert (finding.figures["originals"], finding.figures["shadows"]) == (200, 200)

    def test_one_missing_copy_fails_a_whole_mirror(self) -> None:
        past = history(every(0.01, [V1] * 200), hops=self.hops(200, 199))
        assert mirrored(host="web", to="v2").judge(past).outcome is Outcome.FAIL

    @pytest.mark.parametrize(("copied", "outcome"), [(480, Outcome.PASS), (700, Outcome.FAIL)])
    def test_a_part_is_judged_by_an_exact_test(self, copied: int, outcome: Outcome) -> None:
        past = history(every(0.01, [V1] * 1000), hops=self.hops(1000, copied))
        assert mirrored(host="web", to="v2", percent=50).judge(past).outcome is outcome

    def test_a_shadow_that_answers_a_user_fails(self) -> None:
        past = history(every(0.01, [V1] * 199 + [V2]), hops=self.hops(199, 199))
        finding = mirrored(host="web", to="v2").judge(past)
        assert finding.outcome is Outcome.FAIL
        assert "v2 answered 1 request of users" in finding.sentence

    def test_a_retried_request_is_no_evidence(self) -> None:
        past = history(every(0.01, [V1] * 200), hops=self.hops(200, 200, attempts=2))
        assert mirrored(host="web", to="v2").judge(past).outcome is Outcome.UNKNOWN


class TestFaultBit:
    def test_no_fault_proves_nothing(self) -> None:
        assert fault_bit().judge(history()).outcome is Outcome.UNKNOWN

    @pytest.mark.parametrize(
        ("evidence", "outcome"),
        [({"aborts": 3, "delays": 0}, Outcome.PASS), ({"aborts": 0}, Outcome.UNKNOWN), ({}, Outcome.UNKNOWN)],
    )
    def test_evidence_decides(self, evidence: dict[str, int], outcome: Outcome) -> None:
        events = [
            Event(1.0, "fault.start", data={"id": "a"}),
            Event(2.0, "fault.end", data={"id": "a", "evidence": evidence}),
        ]
        assert fault_bit().judge(history(events=events)).outcome is outcome

    def test_a_fault_that_is_still_on_has_no_evidence_yet(self) -> None:
        finding = fault_bit().judge(history(events=[Event(1.0, "fault.start", data={"id": "a"})]))
        assert finding.outcome is Outcome.UNKNOWN
        assert "a is not over" in finding.sentence

    def test_faults_before_the_window_do_not_count(self) -> None:
        events = [Event(1.0, "fault.start", "a"), Event(2.0, "fault.end", "a", {"evidence": {"x": 1}})]
        assert fault_bit().judge(history(events=events).between(3.0)).outcome is Outcome.UNKNOWN


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
