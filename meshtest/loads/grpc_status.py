"""gRPC's codes beside HTTP's: what a code maps to, and what a client makes of an answer that has none. Pure.

Sources: google/rpc/code.proto (the HTTP mapping of each code), grpc/doc/http-grpc-status-mapping.md.
"""

from __future__ import annotations

HTTP = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)
"""By code, OK to UNAUTHENTICATED."""

_UNKNOWN = 2
_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def http_of(code: int) -> int:
    return HTTP[code] if code < len(HTTP) else HTTP[_UNKNOWN]


def code_of(http: int) -> int:
    """Of an answer that is HTTP alone: a proxy's, usually."""
    return _OF_HTTP.get(http, _UNKNOWN)
