"""The seams of observability: where spans go, who tells metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from meshtest.lib.dataclass import dataclass
from meshtest.settings import Settings
from meshtest.spi.provider import Record

if TYPE_CHECKING:
    from meshtest.model.series import Matrix, Vector
PROXY_TAG = "meshtest.proxy"
"""Attribute of a proxy's span: for whom it speaks, as `SERVICE.NAMESPACE/VERSION/POD/DIRECTION`. The receiver makes
fields of the span of it, and of the direction (`outbound`, `inbound`, `gateway`) the attribute DIRECTION_TAG."""
DIRECTION_TAG = "meshtest.direction"


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

    def rest(self) -> None:
        """The run is over: as flush(); spans that come from now on belong to none, until `serve` is called again."""
        ...

    def close(self) -> None: ...


Vocabulary = Literal["istio", "linkerd"]
"""Whose names and labels metrics have."""


@runtime_checkable
class SendsSpans(Protocol):
    """A provider may also do this, so that a check that asks for spans finds those of all requests that have ended."""

    def send_spans(self) -> None:
        """Return when the proxies have sent what they had, and the receiver has answered."""
        ...


@runtime_checkable
class TellsMetrics(Protocol):
    """A provider may also tell the metrics of its proxies, as Istio's or Linkerd's would be scraped."""

    def metrics(self, vocabulary: Vocabulary = "istio") -> str:
        """What they have counted since the run began, in the Prometheus text format (version 0.0.4)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What a Prometheus is opened for. Entry point `prometheus` of `meshtest.telemetry`: a callable of one of these."""

    folder: Path
    """Where its time series lie, and its log goes: the run folder, or a copy of a stored one's series."""
    settings: Settings
    wall_start: float
    """Second 0 of the run, on the wall clock."""
    targets: Sequence[str] = ()
    """URLs that are scraped each second from now on; none for the series of a run that is over."""
    record: Record
    """Trouble while nobody asks becomes an event `note`."""
    speed: float = 1.0
    """How many times as fast as the run's the clock of the samples is: at 20 a query's `[1m]` is 3 s of the run.
    Counters count as many times as much, so that rates are those of the wall clock."""


class PromQl(Protocol):
    """A Prometheus that answers: one that was started, or the one at the URL of the settings. Seconds are the run's."""

    url: str

    def refresh(self, since: float) -> None:
        """Return when a scrape has happened after this second."""
        ...

    def query(self, promql: str, at: float | None = None) -> Vector | Matrix:
        """An instant query: what a selector with a range finds is a Matrix. UsageError with Prometheus' own words, and
        the column, if it does not parse."""
        ...

    def query_range(self, promql: str, start: float, end: float, step: float) -> Matrix: ...

    def close(self) -> None:
        """End it, if it was started. Safe to call twice."""
        ...
