"""The seams of observability: where spans go, who tells metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from meshtest.lib.dataclass import dataclass
from meshtest.spi.provider import Record


@dataclass(frozen=True)
class Collector:
    """Where spans of a run are taken: OTLP/HTTP at `http`/v1/traces, Zipkin v2 JSON at `http`/api/v2/spans, OTLP/gRPC
    at `grpc`."""

    http: str
    """`http://127.0.0.1:PORT`"""
    grpc: str = ""
    """`127.0.0.1:PORT`; "" if that is not offered."""


class SpanReceiver(Protocol):
    """Takes spans and appends them to `spans.jsonl` (model/span.py). Entry point `receiver` of `meshtest.telemetry`.

    It stays open as long as the provider is warm, for proxies keep its address; `serve` says which run spans belong to.
    """

    def start(self) -> Collector: ...

    def serve(self, spans: Path, record: Record) -> None:
        """From now on spans go to this file; trouble is recorded as `spans.dropped` (count, reason)."""
        ...

    def flush(self) -> None:
        """Return when all spans that have arrived are in the file."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class TellsMetrics(Protocol):
    """A provider may also tell the metrics of its proxies, as Istio's or Linkerd's would be scraped."""

    def metrics(self) -> str:
        """The present values in the Prometheus text format (version 0.0.4)."""
        ...
