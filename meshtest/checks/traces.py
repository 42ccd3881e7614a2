"""Are the traces whole? And what all checks of traces share: when traces prove nothing.

Spans that were dropped, a collector that was down, requests that were not sampled: what is not seen then is no fact
about the mesh. What is seen still is, so a failure that spans show stays a failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.budget import Amount, Budget
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.request import Fate
from meshtest.model.trace_ids import ALL_TRACED
from meshtest.model.traces import Traces
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class TraceCheck(BaseCheck):
    """A question to the traces of the window."""

    of_spans: ClassVar[bool] = True
    """The mesh waits for traces to be complete before it asks."""

    def unproven(self, traces: Traces) -> Finding | None:
        """UNKNOWN if there is not one trace to look at."""
        return None if len(traces.of_loads) else self.finding(Outcome.UNKNOWN, why_none(traces), traces=0)

    def unless_dropped(self, traces: Traces, outcome: Outcome, sentence: str, **figures: Any) -> Finding:
        """What rests on all spans being there; UNKNOWN where some were dropped."""
        if lost := dropped(traces.history):
            return self.finding(Outcome.UNKNOWN, lost, traces=len(traces), **figures)
        return self.finding(outcome, sentence, traces=len(traces), **figures)


def dropped(history: History) -> str:
    """`3 spans were dropped (more came than could be written): ...`; "" if none were."""
    events = [event for event in history.of("spans.dropped") if event.at >= history.start]
    if not events:
        return ""
    count = sum(int(event.data.get("count") or 0) for event in events)
    reasons = dict.fromkeys(str(event.data.get("reason") or "no reason told") for event in events)
    lost = f"{plural(count, 'span')} {'was' if count == 1 else 'were'} dropped" if count else "spans were lost"
    return f"{lost} ({listed(reasons, most=2)}): what is not in the traces proves nothing"


def why_none(traces: Traces) -> str:
    history, sampled = traces.history, traces.ids.sampled
    if lost := dropped(history):
        return lost
    if not len(history.requests):
        return "no request was sent; was a load running?"
    if not any(sampled.get(load) for load in history.requests.loads):
        return f"none of {plural(len(history.requests), 'request')} was sampled; {ALL_TRACED}"
    asked = sum(1 for _ in untold(traces))
    if not asked:
        shares = listed(f"{percent(share)} of {load}" for load, share in sampled.items())
        return f"none of {plural(len(history.requests), 'request')} was sampled ({shares} are traced); {ALL_TRACED}"
    return (
        f"none of {plural(asked, 'sampled request')} left a span: is the setting `traces` off, or the collector down?"
    )


def untold(traces: Traces) -> Iterator[str]:
    """Ids of the requests that were sampled and answered, and have no trace at all."""
    requests, ids = traces.history.requests, traces.ids
    known = {trace.request for trace in traces if trace.of_load}
    for name in requests.ids(lambda kind: kind.fate == Fate.ANSWERED):
        load, _, index = name.rpartition("-")
        if load in ids.sampled and name not in known and ids.traced(load, int(index)):
            yield name


@dataclass(frozen=True, kw_only=True)
class TracesComplete(TraceCheck):
    """Each sampled request has a whole trace; `budget` (`3`, `"1%"`) may be incomplete."""

    name: ClassVar[str] = "traces_complete"
    budget: Amount = 0

    def __post_init__(self) -> None:
        if Budget.parse(self.budget).seconds is not None:
            raise UsageError(f"budget {self.budget!r} of traces_complete: a number of traces (3), or a share (1%)")

    def judge(self, history: History) -> Finding:
        traces = Traces.of(history)
        if nothing := self.unproven(traces):
            return nothing
        whole = sum(trace.complete for trace in traces.of_loads)
        missing = Counter(what for trace in traces.of_loads for what in trace.missing[:1])
        missing.update(["all spans of a request that was sampled"] * sum(1 for _ in untold(traces)))
        total = whole + missing.total()
        figures = {"complete": whole, "incomplete": missing.total(), "missing": dict(missing.most_common(10))}
        if Budget.parse(self.budget).judge(missing.total(), total, ()) is Outcome.FAIL:
            worst = listed((f"{what} ({n})" for what, n in missing.most_common(3)), most=3)
            text = f"{missing.total()} of {plural(total, 'trace')} are incomplete; missing: {worst}"
            return self.unless_dropped(traces, Outcome.FAIL, text, **figures)
        text = f"{whole} of {plural(total, 'trace')} are complete"
        return self.unless_dropped(traces, Outcome.PASS, text, **figures)


traces_complete = TracesComplete
