"""What a load is told to send, and how often: checked here, before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from meshtest.errors import UsageError
from meshtest.model.record import REQUEST_ID
from meshtest.model.request import Lane

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE")
BOTH_LANES = (Lane.KEEPALIVE, Lane.FRESH)

Headers = Mapping[str, str] | Sequence[str]
"""`{"x-user": "7"}` or `["x-user: 7"]`."""


@dataclass(frozen=True, kw_only=True)
class LoadSpec:
    """One load. `rate` a second, evenly spaced (open loop); or, when it is None, `concurrency` at a time (closed)."""

    name: str
    method: str
    authority: str
    """The Host header: host, and port unless it is 80."""
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    rate: float | None = None
    concurrency: int | None = None
    requests: int | None = None
    """End after so many."""
    seconds: float | None = None
    """End after so long."""
    lanes: tuple[Lane, ...] = BOTH_LANES
    connections: int = 16
    """Kept connections; more are opened when all are busy, as an open loop must not wait."""
    timeout: float = 5.0
    """For each request, from when it begins to leave."""

    @classmethod
    def of(
        cls,
        request: str,
        *,
        name: str = "load",
        headers: Headers = (),
        body: bytes | str = b"",
        rate: float | None = 100.0,
        concurrency: int | None = None,
        requests: int | None = None,
        seconds: float | None = None,
        lanes: Sequence[Lane | str] = BOTH_LANES,
        connections: int = 16,
        timeout: float = 5.0,
    ) -> LoadSpec:
        """From what a person writes: `GET http://web:9080/path`, the method being optional.

        Raises UsageError, which says what was wrong and what is meant.
        """
        method, authority, path = parse_request(request)
        if not _NAME.fullmatch(name):
            raise UsageError(f"load name {name!r}: letters, digits, `.`, `_`, `-`; it names files and request ids")
        _positive(rate=rate, requests=requests, seconds=seconds, timeout=timeout)
        _positive(concurrency=concurrency, connections=connections)
        if rate is None and concurrency is None:
            raise UsageError("a load needs a rate (requests a second) or a concurrency (requests at a time)")
        return cls(
            name=name,
            method=method,
            authority=authority,
            path=path,
            headers=parse_headers(headers),
            body=body.encode() if isinstance(body, str) else body,
            rate=None if concurrency else rate,
            concurrency=concurrency,
            requests=requests,
            seconds=seconds,
            lanes=parse_lanes(lanes),
            connections=connections,
            timeout=timeout,
        )

    def wire(self, *, proxy: bool) -> tuple[bytes, bytes]:
        """The bytes before and after a request's index; `proxy`: in the form that a proxy is asked in."""
        given = {name.lower() for name, _ in self.headers}
        target = f"http://{self.authority}{self.path}" if proxy else self.path
        lines = [f"{self.method} {target} HTTP/1.1"]
        if "host" not in given:
            lines.append(f"host: {self.authority}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        if "content-length" not in given and (self.body or self.method not in _BODILESS):
            lines.append(f"content-length: {len(self.body)}")
        lines.append(f"{REQUEST_ID}: {self.name}-")
        return "\r\n".join(lines).encode("latin-1"), b"\r\n\r\n" + self.body

    def describe(self) -> dict[str, Any]:
        """For the history and for people."""
        pace: dict[str, Any] = {"rate": self.rate} if self.rate else {"concurrency": self.concurrency}
        lanes = [lane.name.lower() for lane in self.lanes]
        return {"request": f"{self.method} http://{self.authority}{self.path}", **pace, "lanes": lanes}


def parse_request(text: str) -> tuple[str, str, str]:
    """(method, authority, path and query)."""
    words = text.split()
    method, url = ("GET", *words) if len(words) == 1 else (words if len(words) == 2 else ("", ""))
    if not TOKEN.fullmatch(method) or "://" not in url:
        raise UsageError(f"request {text!r}: write `GET http://host:port/path`; the method may be left out")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"request {text!r}: {error}") from None
    if parts.scheme != "http":
        hint = "TLS is not supported yet" if parts.scheme == "https" else "only http:// is"
        raise UsageError(f"request {text!r}: scheme {parts.scheme!r}: {hint}; use http://")
    if not host or parts.username is not None or not url.isascii() or not url.isprintable():
        raise UsageError(f"request {text!r}: a URL has a host, no user, and only printable ASCII (quote the rest)")
    host = f"[{host}]" if ":" in host else host
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return method.upper(), f"{host}:{port}" if port not in (None, 80) else host, path


def parse_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    if isinstance(headers, str):
        raise UsageError(f"headers {headers!r}: give a mapping, or a list of `name: value`")
    pairs = headers.items() if isinstance(headers, Mapping) else [_header(line) for line in headers]
    for name, value in pairs:
        if not TOKEN.fullmatch(name):
            raise UsageError(f"header {name!r}: not a valid name")
        if any(c in value for c in "\r\n\0"):
            raise UsageError(f"header {name!r}: a value has no line break")
    return tuple((name, value.strip()) for name, value in pairs)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise UsageError(f"header {line!r}: write `name: value`")
    return name.strip(), value.strip()


def parse_lanes(lanes: Sequence[Lane | str]) -> tuple[Lane, ...]:
    known = {lane.name.lower(): lane for lane in Lane}
    names = [lanes] if isinstance(lanes, str) else lanes
    wrong = [lane for lane in names if not isinstance(lane, Lane) and lane not in known]
    if wrong or not names:
        raise UsageError(f"lanes {lanes!r}: one or more of {', '.join(known)}")
    return tuple(lane if isinstance(lane, Lane) else known[lane] for lane in names)


def _positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} is {value!r}; it must be above 0")
