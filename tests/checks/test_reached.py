"""Who served, who had to, and who was not allowed to."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import reached
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, every, history


def test_nothing_served_proves_nothing() -> None:
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
def test_who_must_and_who_may(options: dict[str, Any], outcome: Outcome) -> None:
    assert reached(host="web", **options).judge(history(every(0.01, [V1, V2]))).outcome is outcome


def test_it_says_who_served() -> None:
    finding = reached(host="web", exactly=("v1", "v3")).judge(history(every(0.01, [V1, V2, V1])))
    assert finding.sentence == "web: v3 served none and v2 (1) served but must not; served: v1 2, v2 1"
