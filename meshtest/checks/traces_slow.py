"""Where does the time go? A limit on a service's calls, and the name of the dependency that used it up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from meshtest.checks.traces import TraceCheck
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent, seconds
from meshtest.lib.stats import enough_for_quantile
from meshtest.lib.words import plural
from meshtest.model.history import History
from meshtest.model.tables import quantile
from meshtest.model.trace import Call
from meshtest.model.traces import Traces
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class SpanDuration(TraceCheck):
    """The p-quantile of the calls of `service` (`web`, `web@v2`), as their callers' proxies saw them, is below so many
    seconds. `own`: without the calls that it made itself. Too few traces are UNKNOWN, as in `latency`."""

    name: ClassVar[str] = "span_duration"
    service: str
    below: float
    p: float = 0.95
    own: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.p < 1:
            raise UsageError(f"p is {self.p!r}; a quantile lies between 0 and 1, such as 0.95")
        if self.below <= 0:
            raise UsageError(f"below is {self.below!r}; the limit is a time in seconds, above 0")

    def judge(self, history: History) -> Finding:
        traces = Traces.of(history)
        if nothing := self.unproven(traces):
            return nothing
        calls = [call for call in traces.calls if call.is_of(self.service)]
        enough = enough_for_quantile(self.p)
        if len(calls) < enough:
            there = "" if calls else f" (there are: {', '.join(traces.services)})"
            few = f"{plural(len(calls), 'call')} of {self.service} are too few for {self._label}"
            return self.finding(Outcome.UNKNOWN, f"{few}; it takes {enough}{there}", traces=len(traces), n=len(calls))
        took = sorted(map(self._took, calls))
        value = quantile(took, self.p)
        figures = {"n": len(calls), "value": value, "p50": quantile(took, 0.5), "max": took[-1]}
        text = f"{self._label} of {self.service} is {seconds(value)}, limit {seconds(self.below)}"
        if value < self.below:
            return self.unless_dropped(traces, Outcome.PASS, text, **figures)
        slow = [call for call in calls if self._took(call) >= self.below]
        if not self.own:
            text += f"; {blame(slow)}"
        return self.finding(Outcome.FAIL, text, traces=len(traces), **figures)

    @property
    def _label(self) -> str:
        return f"p{self.p * 100:g}" + (" of the own time" if self.own else "")

    def _took(self, call: Call) -> float:
        return call.own_seconds if self.own else call.seconds


span_duration = SpanDuration


def blame(slow: Sequence[Call]) -> str:
    """`price@v1 took 98 % of that time (400 ms a call, delay injected)`: whose own time it was."""
    spent: defaultdict[str, float] = defaultdict(float)
    parts: dict[str, list[Call]] = {}
    for call in slow:
        for part in call.walk():
            spent[part.label] += part.own_seconds
            parts.setdefault(part.label, []).append(part)
    name, took = max(spent.items(), key=lambda item: item[1])
    faults = {part.fault for part in parts[name]} - {""}
    injected = f", {' and '.join(sorted(faults))} injected" if faults else ""
    each = seconds(took / len(parts[name]))
    share = took / sum(call.seconds for call in slow)
    return f"{name} took {percent(share)} of that time ({each} a call{injected})"
