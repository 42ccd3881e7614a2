"""A run as its reports see it, made by hand: a shift with failures in it, a fault, a load, a judgement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshtest.model.history import Event, History
from meshtest.model.report import Change, RunReport
from meshtest.model.request import Fate, Requests
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.reporters.html.material import Material
from tests.checks.histories import every, mixed, request

ABOUT = {"wall_start": 1000.0, "provider": "envoy", "seed": 7, "command": "pytest -k shift", "ended": 1010.0}
LOST = "2 of 200 failed"

SPLIT = {"web": {"v1": 90, "v2": 10}}
EVENTS = (
    Event(0.1, "config.apply", data={"number": 1, "reason": "apply web.yaml", "shares": {"web": {"v1": 100, "v2": 0}}}),
    Event(0.5, "config.ack", data={"number": 1}),
    Event(1.0, "load.start", "load", {"request": "GET http://web/", "rate": 100.0}),
    Event(1.5, "step.start", "v2 at 10 %"),
    Event(1.6, "config.apply", data={"number": 2, "reason": "shift web v2=10", "shares": SPLIT}),
    Event(1.7, "config.ack", data={"number": 2}),
    Event(2.5, "step.end", "v2 at 10 %"),
    Event(2.6, "fault.start", "web", {"fault": {"delay": 0.8, "abort": None, "percent": 30, "headers": {"x": "y"}}}),
    Event(2.7, "config.apply", data={"number": 3, "reason": "fault for callers of web", "shares": {}}),
    Event(2.8, "config.rejected", data={"number": 3, "text": "no such cluster"}),
    Event(2.9, "fault.end", "web", {"evidence": {"delays_injected": 12}}),
    Event(3.2, "load.end", "load", {"sent": 200, "error": ""}),
)  # fmt: skip


def requests(*lost: int) -> Requests:
    """100 a second from second 1 to 3, every tenth by v2; those of these numbers reset."""
    made = every(0.01, mixed(v1=180, v2=20), start=1.0)
    for number in lost:
        made[number] = request(number, made[number].at, fate=Fate.RESET)
    return Requests.of(made)


def made(
    *lost: int, events: Sequence[Event] = EVENTS, findings: Sequence[Finding] = (), about: dict[str, Any] | None = None
) -> RunReport:
    changes = [Change(number=n, reason=f"change {n}", diff=f"+ line {n}\n") for n in (1, 2)]
    past = History(events=[*events, *_judged(findings)], requests=requests(*lost))
    return RunReport(about={**ABOUT, **(about or {})}, history=past, verdict=Verdict(tuple(findings)), changes=changes)


def material(*lost: int, **more: Any) -> Material:
    return Material(made(*lost, **more))


def failed(**figures: Any) -> Finding:
    return Finding(check="no_downtime", outcome=Outcome.FAIL, sentence=LOST, figures=figures)


def _judged(findings: Sequence[Finding]) -> list[Event]:
    verdict = Verdict(tuple(findings))
    return [Event(3.3, "verdict", verdict.outcome.name, verdict.as_data())] if findings else []
