"""Chrome's trace events (Trace Event Format, "JSON Object Format"), which Perfetto and chrome://tracing open.

A service is a process, a lane of it a thread: events of one thread must nest, so spans that overlap without one being
within the other lie in different lanes. Arrows (flow events) lead from the caller to the service it called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from meshtest.model.proxy_span import failed, label
from meshtest.model.span import Span, nanoseconds

Json = dict[str, Any]
Place = tuple[int, int]
"""Process and thread."""


def written(spans: Iterable[Span], wall_start: float) -> Json:
    ordered = sorted(spans, key=lambda span: (span.start, -span.end))
    processes = {name: number for number, name in enumerate(dict.fromkeys(map(_process, ordered)), 1)}
    places = {_key(span): place for span, place in zip(ordered, _places(ordered, processes), strict=True)}
    known = {_key(span): span for span in ordered}
    events = [_name("process_name", (number, 0), name) for name, number in processes.items()]
    events += [_name("thread_name", place, f"lane {place[1]}") for place in sorted(set(places.values()))]
    for span in ordered:
        events.append(_event(span, places[_key(span)], wall_start))
        caller = known.get((span.trace, span.parent))
        if caller is not None and _process(caller) != _process(span):
            events += _arrow(span, places[_key(caller)], places[_key(span)], wall_start)
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _process(span: Span) -> str:
    return label(span.service, span.version)


def _key(span: Span) -> tuple[str, str]:
    return span.trace, span.id


def _places(ordered: Sequence[Span], processes: Mapping[str, int]) -> Iterator[Place]:
    """Each in the first lane of its service where it lies within an open span of its own trace, or where none is."""
    lanes: dict[int, list[list[Span]]] = {}
    for span in ordered:
        process = processes[_process(span)]
        open_ones = lanes.setdefault(process, [])
        for lane in open_ones:
            while lane and lane[-1].end <= span.start:
                lane.pop()
        free = (n for n, lane in enumerate(open_ones) if not lane or _within(span, lane[-1]))
        number = next(free, len(open_ones))
        if number == len(open_ones):
            open_ones.append([])
        open_ones[number].append(span)
        yield process, number + 1


def _within(span: Span, outer: Span) -> bool:
    return span.trace == outer.trace and span.end <= outer.end


def _name(sort: str, place: Place, name: str) -> Json:
    return {"name": sort, "ph": "M", "pid": place[0], "tid": place[1], "args": {"name": name}}


def _event(span: Span, place: Place, wall_start: float) -> Json:
    told = {"trace": span.trace, "span": span.id, "parent": span.parent, "status": span.status, **span.attributes}
    return {
        "name": span.name,
        "cat": ",".join([span.source, span.kind] + ["error"] * failed(span)),
        "ph": "X",
        "ts": nanoseconds(span.start, wall_start) / 1000,
        "dur": max(span.seconds, 0.0) * 1e6,
        "pid": place[0],
        "tid": place[1],
        "args": told,
    }


def _arrow(span: Span, start: Place, end: Place, wall_start: float) -> Iterator[Json]:
    """Both at the moment at which the called one begins, when the caller's span is open."""
    same = {"name": "call", "cat": "call", "id": span.id, "ts": nanoseconds(span.start, wall_start) / 1000}
    yield {**same, "ph": "s", "pid": start[0], "tid": start[1]}
    yield {**same, "ph": "f", "bp": "e", "pid": end[0], "tid": end[1]}
