"""Zipkin's spans, version 2 JSON (zipkin.io/zipkin-api), to lines of `spans.jsonl`. Envoy speaks it where B3 is wanted.

A span that client and server share (same id, `shared: true`) would be two of one id here, so Envoy is told not to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from meshtest_telemetry.receiver_line import POD, SERVICE, VERSION, Resource, line
from meshtest_telemetry.receiver_otlp import Malformed, _one_line
from meshtest_telemetry.receiver_sink import Batch

KINDS = ("server", "client", "producer", "consumer")


def of_json(body: bytes) -> Batch:
    try:
        told = json.loads(body)
        if not isinstance(told, list):
            raise ValueError("not a list of spans")
        made = list(_lines(told))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"malformed Zipkin JSON: {_one_line(error)}") from None
    return Batch(len(made), lambda: made)


def _lines(told: list[Any]) -> Iterator[bytes]:
    for span in told:
        tags = {str(name): str(value) for name, value in span.get("tags", {}).items()}
        who = {name: tags.pop(name) for name in (VERSION, POD) if name in tags}
        start = int(span["timestamp"]) * 1000
        kind = str(span.get("kind", "")).lower()
        error = tags.get("error", "false").lower() not in ("false", "")
        yield line(
            Resource.of({SERVICE: span.get("localEndpoint", {}).get("serviceName", ""), **who}),
            trace=str(span["traceId"]).lower().rjust(32, "0"),
            id=str(span["id"]).lower(),
            parent=str(span.get("parentId") or "").lower(),
            name=str(span.get("name", "")),
            start=start,
            end=start + int(span.get("duration", 0)) * 1000,
            kind=kind if kind in KINDS else "internal",
            status="error" if error else "",
            text=tags["error"] if error and tags["error"].lower() != "true" else "",
            attributes=tags,
            events=[
                {"at": int(a["timestamp"]) * 1000, "name": str(a.get("value", "")), "attributes": {}}
                for a in span.get("annotations", ())
            ],
        )
