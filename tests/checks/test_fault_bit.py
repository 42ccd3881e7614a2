"""A fault counts only with evidence that it bit."""

from __future__ import annotations

import pytest

from meshtest.checks import fault_bit
from meshtest.model.history import Event
from meshtest.model.verdict import Outcome
from tests.checks.histories import history


def test_no_fault_proves_nothing() -> None:
    assert fault_bit().judge(history()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [({"aborts": 3, "delays": 0}, Outcome.PASS), ({"aborts": 0}, Outcome.UNKNOWN), ({}, Outcome.UNKNOWN)],
)
def test_evidence_decides(evidence: dict[str, int], outcome: Outcome) -> None:
    events = [
        Event(1.0, "fault.start", data={"id": "a"}),
        Event(2.0, "fault.end", data={"id": "a", "evidence": evidence}),
    ]
    assert fault_bit().judge(history(events=events)).outcome is outcome


def test_a_fault_that_is_still_on_has_no_evidence_yet() -> None:
    finding = fault_bit().judge(history(events=[Event(1.0, "fault.start", data={"id": "a"})]))
    assert finding.outcome is Outcome.UNKNOWN
    assert "a is not over" in finding.sentence


def test_faults_before_the_window_do_not_count() -> None:
    events = [Event(1.0, "fault.start", "a"), Event(2.0, "fault.end", "a", {"evidence": {"x": 1}})]
    assert fault_bit().judge(history(events=events).between(3.0)).outcome is Outcome.UNKNOWN
