"""Spans to a collector of the user's, by OTLP/HTTP in JSON (port 4318 of most).

Never an exception: a collector that is down has nothing to do with the system under test, so what went wrong is told.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from meshtest.model.span import Span
from meshtest.reporters.traces.otlp import written

PATH = "/v1/traces"
BATCH = 1000
"""Spans a message: about 1 MB; collectors refuse more than 4 MB (gRPC) or 20 MB (HTTP) by default."""
TIMEOUT = 3.0
"""Seconds for one message."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Forwarded(NamedTuple):
    """How far it got."""

    sent: int
    error: str = ""
    """Why it did not get further, or what the collector refused; "" if all is well."""


def forward(
    spans: Sequence[Span], wall_start: float, endpoint: str, headers: Mapping[str, str] | None = None
) -> Forwarded:
    """`endpoint` is a base URL, as in OTEL_EXPORTER_OTLP_ENDPOINT, or the whole one. Ends with the first failure."""
    url, user = _parted(endpoint if urlsplit(endpoint).path.endswith(PATH) else endpoint.rstrip("/") + PATH)
    headers, refused = {**user, **(headers or {})}, ""
    for start in range(0, len(spans), BATCH):
        body = json.dumps(written(spans[start : start + BATCH], wall_start), default=str).encode()
        try:
            refused = _post(url, body, headers) or refused
        except (OSError, ValueError) as error:
            return Forwarded(start, _told(error))
    return Forwarded(len(spans), refused)


def _parted(url: str) -> tuple[str, dict[str, str]]:
    """`http://user:password@host` as curl reads it: the URL without, and the header with."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    return parts._replace(netloc=host).geturl(), {
        "Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"
    }


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> str:
    """What the collector refused, in its own words; "" if nothing. OSError where it cannot be reached, or says no."""
    from http.client import HTTPException
    from urllib.request import ProxyHandler, Request, build_opener

    direct = [ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []
    request = Request(url, body, {"Content-Type": "application/json", **headers}, method="POST")
    try:
        with build_opener(*direct).open(request, timeout=TIMEOUT) as answer:
            return _refused(answer.read(65_536))
    except HTTPException as error:
        raise OSError(f"it does not speak HTTP: {type(error).__name__}") from None


def _refused(answer: bytes) -> str:
    """ExportTraceServiceResponse.partial_success."""
    try:
        partial = json.loads(answer or b"{}").get("partialSuccess") or {}
        count = int(partial.get("rejectedSpans") or 0)
        return f"{count} refused: {partial.get('errorMessage') or 'no reason told'}" if count else ""
    except (ValueError, AttributeError, TypeError):
        return ""  # protobuf, or nothing to speak of: the status said that it was taken


def _told(error: Exception) -> str:
    """In one line; of an answer, with its first words."""
    from urllib.error import HTTPError, URLError

    if isinstance(error, HTTPError):
        words = " ".join(error.read(300).decode("utf-8", "replace").split())
        return f"HTTP {error.code} {error.reason}" + (f": {words}" if words else "")
    reason = error.reason if isinstance(error, URLError) else error
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
