"""Does every service pass the trace context on? One that does not hides from its callers all that it calls."""

from __future__ import annotations

from typing import ClassVar

from meshtest.checks.traces import TraceCheck
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.traces import Traces
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class TracesPropagated(TraceCheck):
    """No trace broke because a service did not forward its context (model/propagation.py). UNKNOWN if no service was
    seen to call another."""

    name: ClassVar[str] = "traces_propagated"

    def judge(self, history: History) -> Finding:
        traces = Traces.of(history)
        broken = traces.broken
        figures = {
            "broken": [dict(one._asdict(), pieces=one.pieces[:10], requests=one.requests[:10]) for one in broken]
        }
        if broken:
            text = listed(map(str, broken), most=3)
            if any(one.pieces for one in broken):  # seen, where the rest is told by spans that are not there
                return self.finding(Outcome.FAIL, text, traces=len(traces), **figures)
            return self.unless_dropped(traces, Outcome.FAIL, text, **figures)
        if nothing := self.unproven(traces):
            return nothing
        callers = sorted({call.parent.label for call in traces.calls if call.parent and not call.parent.gateway})
        if not callers:
            return self.finding(Outcome.UNKNOWN, "no service was seen to call another", traces=len(traces), **figures)
        text = f"{listed(callers)} passed the context on, in {plural(len(traces.of_loads), 'trace')}"
        return self.unless_dropped(traces, Outcome.PASS, text, **figures)


traces_propagated = TracesPropagated
