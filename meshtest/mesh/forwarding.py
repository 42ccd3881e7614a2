"""At its end, a run sends its spans to the collector that the setting `otlp_endpoint` names. Never a failed test."""

from __future__ import annotations

import contextlib
import os
import time
from urllib.parse import urlsplit

from meshtest.errors import HistoryError
from meshtest.run import Run
from meshtest.settings import Settings


def forward_spans(run: Run, settings: Settings) -> None:
    """What came of it is an event: spans.forwarded, or spans.forward_failed with its reason."""
    if not settings.otlp_endpoint:
        return
    with contextlib.suppress(HistoryError):  # a run that cannot write any more has said so itself
        _forward(run, settings)


def _forward(run: Run, settings: Settings) -> None:
    from meshtest.model.steps import whole
    from meshtest.reporters.traces.forward import forward

    endpoint = endpoint_of(settings.otlp_endpoint)
    if not endpoint:
        reason = f"{settings.otlp_endpoint} is not set"
        run.record("spans.forward_failed", endpoint=settings.otlp_endpoint, sent=0, reason=reason)
        return
    began = time.monotonic()
    spans = whole(run.history(), run.directory.name, run.wall_start)
    sent, error = forward(spans, run.wall_start, endpoint, settings.otlp_headers)
    told = {"endpoint": public(endpoint), "sent": sent, "seconds": round(time.monotonic() - began, 3)}
    if error:
        run.record("spans.forward_failed", **told, reason=error)
    else:
        run.record("spans.forwarded", **told)


def endpoint_of(setting: str) -> str:
    """`$OTEL_EXPORTER_OTLP_ENDPOINT` is what that variable of the environment holds."""
    return os.environ.get(setting[1:], "") if setting.startswith("$") else setting


def public(url: str) -> str:
    """Without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
