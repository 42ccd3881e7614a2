"""Copies: as many as configured, and never an answer of theirs to a user."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import mirrored
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, every, history, hop


def hops(n: int, copied: int, **more: Any) -> list[Any]:
    originals = [h for i in range(n) for h in (hop(i, i / 100, V1, **more), hop(i, i / 100, V1, "inbound"))]
    return originals + [hop(i, i / 100, V2, "inbound", proxy="web-v2-1") for i in range(copied)]


def test_without_hops_nothing_is_known() -> None:
    assert mirrored(host="web", to="v2").judge(history(every(0.01, [V1]))).outcome is Outcome.UNKNOWN


def test_all_copied_passes() -> None:
    finding = mirrored(host="web", to="v2").judge(history(every(0.01, [V1] * 200), hops=hops(200, 200)))
    assert finding.outcome is Outcome.PASS
    assert (finding.figures["originals"], finding.figures["shadows"]) == (200, 200)


def test_one_missing_copy_fails_a_whole_mirror() -> None:
    past = history(every(0.01, [V1] * 200), hops=hops(200, 199))
    assert mirrored(host="web", to="v2").judge(past).outcome is Outcome.FAIL


@pytest.mark.parametrize(("copied", "outcome"), [(480, Outcome.PASS), (700, Outcome.FAIL)])
def test_a_part_is_judged_by_an_exact_test(copied: int, outcome: Outcome) -> None:
    past = history(every(0.01, [V1] * 1000), hops=hops(1000, copied))
    assert mirrored(host="web", to="v2", percent=50).judge(past).outcome is outcome


def test_a_shadow_that_answers_a_user_fails() -> None:
    past = history(every(0.01, [V1] * 199 + [V2]), hops=hops(199, 199))
    finding = mirrored(host="web", to="v2").judge(past)
    assert finding.outcome is Outcome.FAIL
    assert "v2 answered 1 request of users" in finding.sentence


def test_a_retried_request_is_no_evidence() -> None:
    past = history(every(0.01, [V1] * 200), hops=hops(200, 200, attempts=2))
    assert mirrored(host="web", to="v2").judge(past).outcome is Outcome.UNKNOWN
