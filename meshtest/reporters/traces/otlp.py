"""OTLP JSON: an ExportTraceServiceRequest by the "JSON Protobuf Encoding" of the OTLP specification.

It differs from protobuf's own JSON: ids are hex, enums are numbers; 64-bit integers are text in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from meshtest.model.span import Span, nanoseconds

KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUSES = {"": 0, "ok": 1, "error": 2}
SCOPES = {"proxy": "envoy", "framework": "meshtest", "service": ""}
"""Instrumentation scope by who tells of a span; what a service's SDK said it was is not kept."""

Json = dict[str, Any]


def written(spans: Iterable[Span], wall_start: float) -> Json:
    """Grouped by resource and scope, in order of first appearance."""
    resources: dict[str, tuple[Json, dict[str, list[Json]]]] = {}
    for span in spans:
        attributes = resource(span)
        _, scopes = resources.setdefault(repr(attributes), (attributes, {}))
        scopes.setdefault(SCOPES[span.source], []).append(_span(span, wall_start))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(attributes)},
                "scopeSpans": [{"scope": {"name": name}, "spans": told} for name, told in scopes.items()],
            }
            for attributes, scopes in resources.values()
        ]
    }


def resource(span: Span) -> Json:
    """By OpenTelemetry's names."""
    known = {"service.name": span.service, "service.version": span.version, "k8s.pod.name": span.pod}
    return {name: value for name, value in known.items() if value} | dict(span.resource)


def _span(span: Span, wall_start: float) -> Json:
    told: Json = {
        "traceId": span.trace,
        "spanId": span.id,
        "name": span.name,
        "kind": KINDS.get(span.kind, 1),
        "startTimeUnixNano": str(nanoseconds(span.start, wall_start)),
        "endTimeUnixNano": str(nanoseconds(span.end, wall_start)),
        "attributes": pairs(span.attributes),
        "status": {"code": STATUSES.get(span.status, 0), **({"message": span.text} if span.text else {})},
    }
    if span.parent:
        told["parentSpanId"] = span.parent
    if span.events:
        told["events"] = [_event(event) for event in span.events]
    if span.links:
        told["links"] = [_link(link) for link in span.links]
    return told


def _event(event: Mapping[str, Any]) -> Json:
    attributes = pairs(event.get("attributes") or {})
    return {"timeUnixNano": str(event["at"]), "name": str(event["name"]), "attributes": attributes}


def _link(link: Mapping[str, Any]) -> Json:
    return {"traceId": link["trace"], "spanId": link["id"], "attributes": pairs(link.get("attributes") or {})}


def pairs(attributes: Mapping[str, Any]) -> list[Json]:
    return [{"key": str(key), "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> Json:
    """An AnyValue."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": pairs(value)}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {} if value is None else {"stringValue": str(value)}
