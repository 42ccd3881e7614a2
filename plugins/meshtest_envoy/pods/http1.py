"""HTTP/1.1 as bytes in, requests out; and answers as bytes. No I/O.

Strict where being lenient lets two readers see different requests (lengths, chunks, line ends), as proxies are.
"""

from __future__ import annotations

import re
from typing import Any

HEAD_LIMIT = 64 * 1024
"""Bytes of a request line with headers; Envoy's default is 60 KiB."""
BODY_KEPT = 4096
"""Bytes of a body that are kept to be reflected; the rest is read and counted."""
LINE_LIMIT = 1024
"""Bytes of a chunk-size line with extensions."""

REASONS = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently", 302: "Found",
    304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    408: "Request Timeout", 409: "Conflict", 417: "Expectation Failed", 418: "I'm a teapot", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_SERVER = "server: meshtest-stand-in\r\n"
_JSON = "content-type: application/json\r\n"

Headers = tuple[tuple[str, str], ...]

_BLANK = " \t"
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TOKEN = re.compile(_NAME).fullmatch
_HEADERS = re.compile(rf"(?:{_NAME}:[^\r\n\0]*\r\n)*").fullmatch


class BadRequest(Exception):
    """What came in is not a request; the connection ends after the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Request:
    """One request of any protocol; header names are in lower case, repeated ones are joined."""

    __slots__ = ("body", "body_size", "close", "headers", "method", "protocol", "scheme", "target", "tls")

    def __init__(
        self, method: str, target: str, headers: dict[str, str], close: bool = False, protocol: str = "HTTP/1.1"
    ) -> None:
        self.method, self.target, self.headers, self.close = method, target, headers, close
        self.protocol = protocol
        self.scheme = "http"
        self.tls: dict[str, Any] | None = None
        """What tls.py tells of the connection."""
        self.body = b""
        self.body_size = 0


class Parser:
    """One connection's input."""

    def __init__(self) -> None:
        self._buffer = b""
        self._request: Request | None = None
        self._body: int | None = None
        """Bytes of the body or chunk still to come; None between chunks."""
        self._chunked = False
        self.wants_continue = False
        """The peer waits for `100 Continue` before it sends a body."""

    def feed(self, data: bytes) -> list[Request]:
        """The requests that are complete now. BadRequest leaves the parser unusable; earlier requests are in `done`."""
        self._buffer = self._buffer + data if self._buffer else data
        self.done: list[Request] = []
        while self._step():
            pass
        return self.done

    def _step(self) -> bool:
        if self._request is None:
            return self._read_head()
        if self._chunked and self._body is None:
            return self._read_chunk_size(self._request)
        return self._read_body(self._request)

    def _read_head(self) -> bool:
        if not self._buffer:
            return False
        if self._buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: an empty line before a request is skipped
            self._buffer = self._buffer[2:]
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if len(head) > HEAD_LIMIT:
            raise BadRequest(431, f"more than {HEAD_LIMIT} bytes of headers")
        if not found:
            return False
        self._buffer = rest
        request = parse_head(head)
        self._frame(request)
        return True

    def _frame(self, request: Request) -> None:
        """Find out how long the body is."""
        headers = request.headers
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if length is None and coding is None:
            self.done.append(request)
            return
        if coding is not None and (length is not None or coding.lower() != "chunked"):
            raise BadRequest(400, "transfer-encoding must be chunked, without a content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise BadRequest(400, f"content-length {length!r} is not a number")
        self._request, self._chunked = request, coding is not None
        self._body = None if length is None else int(length)
        has_body = self._chunked or self._body
        self.wants_continue = bool(has_body) and headers.get("expect", "").lower() == "100-continue"

    def _read_body(self, request: Request) -> bool:
        assert self._body is not None
        part = self._buffer[: self._body]
        if part:
            self._keep(request, part)
        if self._body:
            return False
        if not self._chunked:
            self._finish(request)
            return True
        if len(self._buffer) < 2:
            return False
        if not self._buffer.startswith(b"\r\n"):
            raise BadRequest(400, "a chunk is longer than it said")
        self._buffer, self._body = self._buffer[2:], None
        return True

    def _keep(self, request: Request, part: bytes) -> None:
        assert self._body is not None
        self.wants_continue = False
        self._buffer = self._buffer[len(part) :]
        self._body -= len(part)
        request.body_size += len(part)
        if len(request.body) < BODY_KEPT:
            request.body = (request.body + part)[:BODY_KEPT]

    def _read_chunk_size(self, request: Request) -> bool:
        line, found, rest = self._buffer.partition(b"\r\n")
        if len(line) > LINE_LIMIT:
            raise BadRequest(400, "a chunk size without an end")
        if not found:
            return False
        self.wants_continue = False
        size = line.partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
            raise BadRequest(400, f"chunk size {size[:20]!r} is not a number")
        if int(size, 16):
            self._buffer, self._body = rest, int(size, 16)
            return True
        return self._skip_trailers(request, rest)

    def _skip_trailers(self, request: Request, rest: bytes) -> bool:
        if rest.startswith(b"\r\n"):
            self._buffer = rest[2:]
        else:
            _, found, after = rest.partition(b"\r\n\r\n")
            if not found:
                if len(rest) > HEAD_LIMIT:
                    raise BadRequest(431, f"more than {HEAD_LIMIT} bytes of trailers")
                return False
            self._buffer = after
        self._finish(request)
        return True

    def _finish(self, request: Request) -> None:
        self._request, self._body, self._chunked = None, None, False
        self.done.append(request)


def parse_head(head: bytes) -> Request:
    """A request line and headers, without the empty line."""
    line, _, rest = head.decode("latin-1").partition("\r\n")
    method, _, after = line.partition(" ")
    target, _, version = after.rpartition(" ")
    if not _TOKEN(method) or not target or " " in target or not version.startswith("HTTP/"):
        raise BadRequest(400, f"{line[:80]!r} is not a request line")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(505, f"{version} is not spoken here; HTTP/1.1 is")
    headers = parse_headers(rest)
    connection = headers.get("connection", "").lower()
    if version == "HTTP/1.1" and "host" not in headers:
        raise BadRequest(400, "no host header")
    close = connection == "close" if version[-1] == "1" else connection != "keep-alive"
    return Request(method, target, headers, close, version)


def parse_headers(text: str) -> dict[str, str]:
    """Lines without the last line end. Names in lower case; repeated ones are joined, cookies in their own way."""
    if not text:
        return {}
    if not _HEADERS(text + "\r\n"):  # one match for all: a match for each line would take twice the time
        raise BadRequest(400, f"headers that are none: {text[:80]!r}")
    headers: dict[str, str] = {}
    for line in text.split("\r\n"):
        name, value = line.split(":", 1)
        join(headers, name.lower(), value.strip(_BLANK))
    return headers


def join(headers: dict[str, str], name: str, value: str) -> None:
    """Add a field, to one of that name if there is one."""
    if name in headers:
        value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
    headers[name] = value


def has_type(headers: Headers) -> bool:
    """They say of what media type the body is."""
    return any(name.lower() == "content-type" for name, _ in headers)


def render(
    status: int,
    body: bytes,
    *,
    close: bool,
    head_only: bool = False,
    headers: Headers = (),
    lost: tuple[str, ...] = (),
) -> bytes:
    """One answer of the stand-in, to be written at once; without the headers that are `lost`."""
    if lost:
        headers = tuple(field for field in headers if field[0].lower() not in lost)
    bodiless = status in (204, 304)
    length = "" if bodiless else f"content-length: {len(body)}\r\n"
    last = "connection: close\r\n" if close else ""
    more = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if "content-type" not in lost and (not headers or not has_type(headers)):
        more = _JSON + more
    text = f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\n{_SERVER}{more}{length}{last}\r\n"
    head = text.encode("latin-1", "replace")
    return head if head_only or bodiless else head + body
