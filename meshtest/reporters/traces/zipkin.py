"""Zipkin v2 JSON (zipkin-api, zipkin2-api.yaml): a list of spans, times in microseconds, tags as text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from meshtest.model.proxy_span import chosen, failed
from meshtest.model.span import Span, nanoseconds

KINDS = {"server": "SERVER", "client": "CLIENT", "producer": "PRODUCER", "consumer": "CONSUMER"}
"""What is internal has none."""


def written(spans: Iterable[Span], wall_start: float) -> list[dict[str, Any]]:
    return [_span(span, wall_start) for span in spans]


def _span(span: Span, wall_start: float) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": span.trace,
        "id": span.id,
        "name": span.name,
        "timestamp": nanoseconds(span.start, wall_start) // 1000,
        "duration": max(round(span.seconds * 1e6), 1),  # 0 would mean that it is not known
        "localEndpoint": {"serviceName": span.service},
        "tags": _tags(span),
    }
    if span.parent:
        told["parentId"] = span.parent
    if span.kind in KINDS:
        told["kind"] = KINDS[span.kind]
    if span.kind == "client" and (peer := chosen(span).service):
        told["remoteEndpoint"] = {"serviceName": peer}
    if span.events:
        told["annotations"] = [{"timestamp": int(e["at"]) // 1000, "value": str(e["name"])} for e in span.events]
    return told


def _tags(span: Span) -> dict[str, str]:
    """The tag `error` makes a span red, whatever it says, so one that did not fail has none."""
    tags = {str(key): text(value) for key, value in span.attributes.items() if key != "error"}
    known = {"service.version": span.version, "k8s.pod.name": span.pod}
    tags |= {name: value for name, value in known.items() if value}
    if failed(span):
        tags["error"] = span.text or str(span.attributes.get("http.status_code") or "true")
    if span.links:
        tags["links"] = " ".join(f"{link['trace']}/{link['id']}" for link in span.links)
    return tags


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
