"""A receiver that takes spans for a run which is a file and a list of events."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from meshtest_telemetry.receiver import Receiver
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from meshtest.model.span import Span, parse_span

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
TRACE, ID, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
WALL = 1_000
"""Second 0 of the run."""


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]


class Run:
    """What a receiver writes for."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.receiver = Receiver(**options)
        self.collector = self.receiver.start()
        self.address = self.collector.http.removeprefix("http://")
        self.file = folder / "spans.jsonl"
        self.events: list[dict[str, Any]] = []
        self.receiver.serve(self.file, self.record)

    def record(self, kind: str, subject: str = "", /, **data: Any) -> None:
        assert kind == "spans.dropped"
        self.events.append(data)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()

    @property
    def spans(self) -> list[Span]:
        """All that were told by now."""
        self.receiver.flush()
        lines = self.file.read_bytes().splitlines() if self.file.exists() else []
        return [parse_span(line, WALL) for line in lines]

    @property
    def dropped(self) -> int:
        self.receiver.flush()
        return sum(event["count"] for event in self.events)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    run.receiver.close()


def told(name: str = "GET /", count: int = 1, **resource: str) -> ExportTraceServiceRequest:
    """A message of OTLP with so many spans of one service."""
    message = ExportTraceServiceRequest()
    part = message.resource_spans.add()
    for key, value in ({"service.name": "web"} | {k.replace("_", "."): v for k, v in resource.items()}).items():
        part.resource.attributes.add(key=key).value.string_value = value
    spans = part.scope_spans.add().spans
    for number in range(count):
        span = spans.add(name=name, kind=2, trace_id=bytes.fromhex(TRACE), parent_span_id=bytes.fromhex(PARENT))
        span.span_id = (int(ID, 16) + number).to_bytes(8, "big")
        span.start_time_unix_nano, span.end_time_unix_nano = WALL * 10**9 + 250_000_000, WALL * 10**9 + 500_000_000
    return message
