"""Jaeger's own JSON, as its query service answers and its UI uploads (jaeger model/json: Trace, Span, Process)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from meshtest.model.proxy_span import failed
from meshtest.model.span import Span, nanoseconds
from meshtest.reporters.traces.otlp import resource
from meshtest.reporters.traces.zipkin import text

Json = dict[str, Any]


def written(spans: Iterable[Span], wall_start: float) -> Json:
    """A trace each, in order of first appearance."""
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace, []).append(span)
    data = [_trace(id, group, wall_start) for id, group in traces.items()]
    return {"data": data, "total": len(data), "limit": 0, "offset": 0, "errors": None}


def _trace(id: str, spans: list[Span], wall_start: float) -> Json:
    processes: dict[str, tuple[str, Json]] = {}
    for span in spans:
        attributes = resource(span)
        process = {"serviceName": attributes.pop("service.name", "unknown"), "tags": _tags(attributes)}
        processes.setdefault(repr(process), (f"p{len(processes) + 1}", process))
    return {
        "traceID": id,
        "spans": [_span(span, processes, wall_start) for span in spans],
        "processes": dict(processes.values()),
        "warnings": None,
    }


def _span(span: Span, processes: Mapping[str, tuple[str, Json]], wall_start: float) -> Json:
    attributes = resource(span)
    process = {"serviceName": attributes.pop("service.name", "unknown"), "tags": _tags(attributes)}
    return {
        "traceID": span.trace,
        "spanID": span.id,
        "operationName": span.name,
        "references": _references(span),
        "startTime": nanoseconds(span.start, wall_start) // 1000,
        "duration": max(round(span.seconds * 1e6), 0),
        "tags": _tags(_told(span)),
        "logs": [_log(event) for event in span.events],
        "processID": processes[repr(process)][0],
        "warnings": None,
    }


def _told(span: Span) -> Json:
    """Jaeger knows kind, status and errors by tags."""
    told: Json = {key: value for key, value in span.attributes.items() if key != "error"}
    told["span.kind"] = span.kind
    if span.status:
        told["otel.status_code"] = span.status.upper()
    if span.text:
        told["otel.status_description"] = span.text
    if failed(span):
        told["error"] = True
    return told


def _references(span: Span) -> list[Json]:
    parent = [{"refType": "CHILD_OF", "traceID": span.trace, "spanID": span.parent}] if span.parent else []
    return parent + [{"refType": "FOLLOWS_FROM", "traceID": link["trace"], "spanID": link["id"]} for link in span.links]


def _log(event: Mapping[str, Any]) -> Json:
    fields = {"event": event["name"], **(event.get("attributes") or {})}
    return {"timestamp": int(event["at"]) // 1000, "fields": _tags(fields)}


def _tags(attributes: Mapping[str, Any]) -> list[Json]:
    return [{"key": str(key), **_typed(value)} for key, value in attributes.items()]


def _typed(value: Any) -> Json:
    if isinstance(value, bool):
        return {"type": "bool", "value": value}
    if isinstance(value, int):
        return {"type": "int64", "value": value}
    if isinstance(value, float):
        return {"type": "float64", "value": value}
    return {"type": "string", "value": text(value)}
