"""Spans for other programs, each format a pure function of them: what its own reader opens.

otlp     OTLP JSON (opentelemetry-proto): collectors, Jaeger's and Grafana's "upload"
zipkin   Zipkin v2 JSON: Zipkin's UI, or POST to /api/v2/spans
jaeger   Jaeger's own JSON: "JSON File" of its UI
chrome   Chrome's trace events: Perfetto, chrome://tracing, speedscope
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from meshtest.model.span import Span

FORMATS = ("otlp", "zipkin", "jaeger", "chrome")


def written(format: str) -> Callable[[Iterable[Span], float], Any]:
    """The function of a format: (spans, the run's second 0 on the wall clock) -> what json.dump takes."""
    made: Callable[[Iterable[Span], float], Any] = importlib.import_module(f"{__name__}.{format}").written
    return made
