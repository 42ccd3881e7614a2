"""Errors that only traces show: the user got a good answer, and something behind it had failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from meshtest.checks.traces import TraceCheck
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.proxy_span import failed
from meshtest.model.request import Request
from meshtest.model.trace import Call, Trace
from meshtest.model.traces import Traces
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class NoHiddenErrors(TraceCheck):
    """No call failed in the trace of a request that was answered well. A try that a retry made good is none: that is
    what `masked` asks. `allowed` services (`ratings`, `ratings@v2`) may fail: their callers do without."""

    name: ClassVar[str] = "no_hidden_errors"
    allowed: str | Iterable[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", (self.allowed,) if isinstance(self.allowed, str) else tuple(self.allowed))

    def judge(self, history: History) -> Finding:
        traces = Traces.of(history)
        if nothing := self.unproven(traces):
            return nothing
        answered = [trace for trace in traces.of_loads if _good(traces.request_of(trace))]
        culprits: dict[str, list[Trace]] = {}
        for trace in answered:
            for what in dict.fromkeys(map(_told, self._culprits(trace))):
                culprits.setdefault(what, []).append(trace)
        figures = {what: [trace.request for trace in found[:10]] for what, found in culprits.items()}
        if culprits:
            hit = {trace.id for found in culprits.values() for trace in found}
            return self.finding(
                Outcome.FAIL,
                f"{len(hit)} of {plural(len(answered), 'good answer')} hid an error: {_listed(culprits)}",
                traces=len(traces), errors=figures,
            )  # fmt: skip
        if not answered:
            return self.finding(Outcome.UNKNOWN, "no request that was traced got a good answer", traces=len(traces))
        text = f"nothing failed behind {plural(len(answered), 'good answer')}"
        return self.unless_dropped(traces, Outcome.PASS, text, errors=figures)

    def _culprits(self, trace: Trace) -> Iterator[Call]:
        """Calls that failed although none of those they made had."""
        for call in trace.calls:
            below = any(child.status == "error" for child in call.children)
            if call.status == "error" and not below and not any(map(call.is_of, self.allowed)):
                yield call


no_hidden_errors = NoHiddenErrors


def _good(request: Request | None) -> bool:
    return request is not None and not request.failed


def _told(call: Call) -> str:
    """`ratings@v1 (500)`, `price (503 FI, abort)`, `orders@v1 (charge: card refused)`."""
    own = next((span for span in call.own if failed(span) and span.source != "proxy"), None)
    if own is not None and call.code < 500:
        return f"{call.label} ({': '.join(filter(None, (own.name, own.text)))})"
    why = " ".join((str(call.code or "no answer"), *sorted(call.flags - {"URX"})))
    return f"{call.label} ({why}{', ' + call.fault if call.fault else ''})"


def _listed(culprits: dict[str, list[Trace]]) -> str:
    worst = sorted(culprits.items(), key=lambda item: -len(item[1]))
    return listed((f"{what} in {len(found)}, first {found[0].request}" for what, found in worst), most=3)
