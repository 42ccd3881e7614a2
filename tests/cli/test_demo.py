"""What `meshtest demo` says of a machine on which it cannot prove anything."""

from __future__ import annotations

import pytest

from meshtest.cli.demo import advice
from meshtest.model.history import Event
from meshtest.model.verdict import Finding, Outcome, Verdict
from tests.checks.histories import history

STARVED = (Event(1.0, "proxy.starved", data={"seconds": 0.25}),)


@pytest.mark.parametrize(
    ("outcome", "events", "said"),
    [
        (Outcome.UNKNOWN, STARVED, True),
        (Outcome.UNKNOWN, (), False),
        (Outcome.PASS, STARVED, False),
        (Outcome.FAIL, STARVED, False),
    ],
)
def test_only_where_the_machine_is_why_nothing_was_proven(
    outcome: Outcome, events: tuple[Event, ...], said: bool
) -> None:
    found = Verdict((Finding(check="no_downtime", outcome=outcome, sentence=""),))
    assert any("when other programs leave it a core" in line for line in advice(found, history((), events))) == said
