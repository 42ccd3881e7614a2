"""The traces of a run, or of a part of it: found by request, by trace id, or by what happened in them. Pure.

traces["load1-17"].path
traces.where(service="ratings", status="error")
traces.broken                            # who did not forward the trace context, and to whom
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from math import inf
from typing import overload

from meshtest.errors import UsageError
from meshtest.lib.figures import percent
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.propagation import Broken, broken
from meshtest.model.proxy_span import request_id
from meshtest.model.request import Request, Requests
from meshtest.model.span import Span
from meshtest.model.trace import Call, Trace
from meshtest.model.trace_ids import ALL_TRACED, TraceIds

STATUSES = ("", "ok", "error")


class Traces(Sequence[Trace]):
    """In order of their beginning. The framework's own spans are not among them (own_spans.py)."""

    def __init__(self, traces: Iterable[Trace] = (), history: History | None = None) -> None:
        self._traces = list(traces)
        self.history = history or History()
        """What they were taken from."""

    @classmethod
    def of(cls, history: History) -> Traces:
        """Those of requests that were sent in the window of the history, and what else began in it; kept with it."""
        window = (id(history.spans), len(history.spans), history.start, history.end)
        kept = history.requests.kept.get("traces")
        if kept is None or kept[0] != window:
            found = cls(_grouped(history), history)
            kept = history.requests.kept["traces"] = (window, found)
        traces: Traces = kept[1]
        return traces

    # ---- one

    def __len__(self) -> int:
        return len(self._traces)

    def __iter__(self) -> Iterator[Trace]:
        return iter(self._traces)

    @overload
    def __getitem__(self, key: int | str | Request, /) -> Trace: ...
    @overload
    def __getitem__(self, key: slice, /) -> Traces: ...
    def __getitem__(self, key: int | str | Request | slice, /) -> Trace | Traces:
        """By position, by trace id, by a request or its id (`load1-17`); UsageError says why there is none."""
        if isinstance(key, slice):
            return Traces(self._traces[key], self.history)
        if isinstance(key, int):
            return self._traces[key]
        name = key if isinstance(key, str) else key.id
        found = self._by_name.get(name)
        if found is None:
            raise UsageError(self.why_none(name))
        return found

    @cached_property
    def _by_name(self) -> dict[str, Trace]:
        """A request has one trace that its client began; pieces that broke off are known by their id only."""
        begun = {trace.request: trace for trace in reversed(self._traces) if trace.of_load}
        named = {trace.request: trace for trace in reversed(self._traces) if trace.request}
        return named | begun | {trace.id: trace for trace in self._traces}

    def of_request(self, request: Request) -> Trace:
        """What has come of it by now, be it nothing."""
        return self._by_name.get(request.id) or Trace(self.names(request)[-1], (), request.id)

    def names(self, request: Request) -> list[str]:
        """What spans may tell a request by: its id, and its trace id where the prober has chosen that."""
        known = request.load in self.ids.sampled
        return [request.id] + ([self.ids.id(request.load, request.index)] if known else [])

    def asked_for(self, request: Request) -> bool:
        """It was sampled, as far as that is known: other engines than the prober trace as they like."""
        return request.load not in self.ids.sampled or self.ids.traced(request.load, request.index)

    @cached_property
    def ids(self) -> TraceIds:
        return TraceIds.of(self.history)

    def request_of(self, trace: Trace) -> Request | None:
        """As its client saw it; None if it is of no request in the window."""
        position = self._positions.get(trace.request) if trace.of_load else None
        return None if position is None else self.history.requests[position]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return positions(self.history.requests, {trace.request for trace in self if trace.of_load})

    def why_none(self, name: str) -> str:
        """Why there is no trace of a request, and what to do about it."""
        load, dash, index = name.rpartition("-")
        share = self.ids.sampled.get(load)
        if dash and share is not None and index.isdigit() and not self.ids.traced(load, int(index)):
            return (
                f"request {name} was not sampled: {percent(share)} of the requests of {load} are traced; {ALL_TRACED}"
            )
        if not self._traces:
            return f"no trace of {name}: no span has been recorded (is the setting `traces` off?)"
        return f"no trace of {name} among {plural(len(self), 'trace')}"

    # ---- many

    def where(
        self,
        *,
        service: str = "",
        version: str = "",
        status: str = "",
        fault: str = "",
        slower: float | None = None,
        complete: bool | None = None,
    ) -> Traces:
        """Those in which one and the same call is of this service and version, ended with this status (`error`, `ok`),
        met this fault (`delay`, `abort`), and took longer than so many seconds. `complete`: the whole trace is."""
        if status not in STATUSES:
            raise UsageError(f"status {status!r} is none of {', '.join(filter(None, STATUSES))}")

        def fits(call: Call) -> bool:
            return (
                (not service or call.is_of(f"{service}@{version}" if version else service))
                and (not version or bool(service) or call.version == version)
                and status in ("", call.status)
                and fault in call.fault
                and (slower is None or call.seconds > slower)
            )

        return Traces(
            (t for t in self if complete in (None, t.complete) and any(map(fits, t.calls))),
            self.history,
        )  # fmt: skip

    @property
    def errors(self) -> list[Span]:
        """Spans that failed, of all of them."""
        return [span for trace in self for span in trace.errors]

    @property
    def incomplete(self) -> Traces:
        return self.where(complete=False)

    @property
    def of_loads(self) -> Traces:
        """Those that a request of a load began; not what broke off from them."""
        return Traces((trace for trace in self if trace.of_load), self.history)

    @cached_property
    def broken(self) -> list[Broken]:
        """Services that did not pass the trace context on, the worst first."""
        return broken(self, self.history)

    @property
    def calls(self) -> Iterator[Call]:
        return (call for trace in self for call in trace.calls)

    @property
    def services(self) -> list[str]:
        """`web@v2` ... that were reached."""
        return sorted({call.label for call in self.calls if call.reached})

    def __repr__(self) -> str:
        return f"<Traces {len(self)}: {listed(self.services)}>"


def _grouped(history: History) -> list[Trace]:
    spans: dict[str, list[Span]] = {}
    for span in history.spans:
        if span.source != "framework":
            spans.setdefault(span.trace, []).append(span)
    ids = TraceIds.of(history)
    traces = [_trace(ids, id, group) for id, group in spans.items()]
    return sorted(_in_window(traces, history), key=lambda trace: trace.start)


def _in_window(traces: list[Trace], history: History) -> list[Trace]:
    if history.start <= 0 and history.end == inf:
        return traces
    sent = positions(history.requests, {trace.request for trace in traces if trace.of_load})
    return [t for t in traces if (t.request in sent if t.of_load else history.start <= t.start < history.end)]


def positions(requests: Requests, ids: Collection[str]) -> dict[str, int]:
    """Where the requests of these ids are."""
    return {name: position for position, name in enumerate(requests.ids()) if name in ids} if ids else {}


def _trace(ids: TraceIds, id: str, spans: Sequence[Span]) -> Trace:
    """Other engines than the prober choose ids as they like: then a span tells the request, and has a parent."""
    if begun := ids.request(id):
        return Trace(id, spans, f"{begun[0]}-{begun[1]}", of_load=True)
    name = next(filter(None, map(request_id, spans)), "")
    begins = min(spans, key=lambda span: span.start)
    return Trace(id, spans, name, of_load=bool(name and begins.parent))
