"""What the framework itself did in a run, as spans: steps, changes of configuration, faults, loads, requests. Pure.

    run ── step "v2 at 10%" ── config "shift web"
        └─ load load1 ┄┄ links ┄┄► the traces of its requests

They are worked out of the events, so they cost a run nothing, and are in every export. Each is linked to the traces of
the requests that were sent in its time. A user's own SDK sees the same steps live (mesh/own_spans.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from meshtest.model.choices import salt
from meshtest.model.history import Event, History
from meshtest.model.request import Request
from meshtest.model.span import Span, nanoseconds
from meshtest.model.trace import Trace
from meshtest.model.traces import Traces

SERVICE = "meshtest"
MOST_LINKS = 128
"""OpenTelemetry's SDKs keep as many of a span."""
PAIRS = {
    "step.start": ("step", "step.end"),
    "fault.start": ("fault", "fault.end"),
    "load.start": ("load", "load.end"),
    "config.apply": ("config", "config.ack", "config.rejected"),
}
"""What begins a span: its sort, and what ends it."""


class _Part(NamedTuple):
    sort: str
    name: str
    start: float
    end: float
    data: Mapping[str, Any]
    rejected: bool = False


def steps(history: History, name: str = "", wall_start: float = 0.0) -> list[Span]:
    """In order of their beginning, the run itself first; none of a run without events. `name` tells runs of one seed
    apart (that of the folder); `wall_start` is the run's second 0 on the wall clock."""
    if not history.events:
        return []
    begin = next((event for event in history.events if event.kind == "run.start"), history.events[0])
    seed = int(begin.data.get("seed") or 0)
    trace = f"{salt(seed, name, 'steps'):016x}{salt(seed, name, 'steps', 'trace'):016x}"
    last = max(event.at for event in history.events)
    whole = _Part("run", begin.subject or "run", begin.at, last, begin.data)
    parts = [whole, *sorted(_parts(history.events, last), key=lambda part: (part.start, -part.end))]
    ids = [f"{salt(seed, name, 'step', str(number)) or 1:016x}" for number in range(len(parts))]
    traces = Traces.of(history).of_loads
    spans = [_span(trace, ids, parts, number, traces) for number in range(len(parts))]
    return [spans[0]._replace(events=tuple(_events(history.events, wall_start))), *spans[1:]]


def _parts(events: Sequence[Event], last: float) -> Iterator[_Part]:
    """Those that have not ended reach to the end of what is recorded."""
    for position, event in enumerate(events):
        if event.kind in PAIRS:
            sort, *ends = PAIRS[event.kind]
            after = events[position + 1 :]
            end = next((other for other in after if other.kind in ends and _key(other) == _key(event)), None)
            data = {**event.data, **(end.data if end else {})}
            rejected = end is not None and end.kind == "config.rejected"
            yield _Part(sort, _name(event), event.at, end.at if end else last, data, rejected)


def _key(event: Event) -> Any:
    return event.data.get("number") if event.kind.startswith("config.") else event.data.get("id") or event.subject


def _name(event: Event) -> str:
    if event.kind == "config.apply":
        return str(event.data.get("reason") or event.data.get("number"))
    return event.subject


def _span(trace: str, ids: Sequence[str], parts: Sequence[_Part], number: int, traces: Traces) -> Span:
    part = parts[number]
    within = [other for other in range(number) if _holds(parts[other], part)]
    caused = [one for one in traces if _caused(part, one)]
    return Span(
        trace,
        ids[number],
        ids[within[-1]] if within else "",
        SERVICE,
        f"{part.sort} {part.name}",
        part.start,
        part.end,
        status="error" if part.rejected else "ok",
        source="framework",
        text=str(part.data.get("text", "")) if part.rejected else "",
        attributes={"meshtest.traces": len(caused), **_attributes(part)},
        links=tuple(map(_link, caused[:MOST_LINKS])),
    )


def _link(trace: Trace) -> dict[str, Any]:
    """To the client's request, which caused the first span."""
    return {"trace": trace.id, "id": trace.first.parent or trace.first.id, "attributes": {}}


def requests(traces: Traces) -> list[Span]:
    """The client's own span of each request that was traced: the root of its trace, which nobody else tells."""
    seen = ((trace, traces.request_of(trace)) for trace in traces.of_loads if trace.first.parent)
    return [_request(trace, request) for trace, request in seen if request is not None]


def _request(trace: Trace, request: Request) -> Span:
    start = request.at if request.sent_at is None else request.sent_at
    told = {"http.status_code": request.status} if request.answered else {}
    return Span(
        trace.id,
        trace.first.parent,
        "",
        SERVICE,
        f"request {request.id}",
        start,
        max(request.ended_at, start),
        kind="client",
        status="error" if request.failed else "ok",
        source="framework",
        text="" if request.answered else request.fate.name.lower(),
        attributes={"meshtest.load": request.load, "meshtest.served_by": request.server.pod, **told},
    )


def _holds(outer: _Part, inner: _Part) -> bool:
    """Loads run beside steps, and hold nothing."""
    return outer.sort in ("run", "step", "fault") and outer.start <= inner.start and inner.end <= outer.end


def _caused(part: _Part, trace: Trace) -> bool:
    if part.sort == "load":
        return trace.request.rpartition("-")[0] == part.name
    return part.sort != "run" and part.start <= trace.start < part.end


def _attributes(part: _Part) -> dict[str, Any]:
    plain = (str, int, float, bool)
    return {f"meshtest.{key}": value for key, value in part.data.items() if isinstance(value, plain)}


def _events(events: Sequence[Event], wall_start: float) -> Iterator[dict[str, Any]]:
    """What happened to pods, and the verdicts, stand on the span of the run."""
    for event in events:
        if event.kind.startswith(("pod.", "verdict", "proxy.", "spans.", "undo.")):
            plain = {k: v for k, v in event.data.items() if isinstance(v, (str, int, float, bool))}
            yield {
                "at": nanoseconds(event.at, wall_start),
                "name": event.kind,
                "attributes": {"subject": event.subject} | plain,
            }


def whole(history: History, name: str = "", wall_start: float = 0.0) -> list[Span]:
    """Everything there is to tell of a run: what the framework did, its requests, what proxies and services told."""
    recorded = [span for span in history.spans if span.source != "framework"]
    return [*steps(history, name, wall_start), *requests(Traces.of(history)), *recorded]
