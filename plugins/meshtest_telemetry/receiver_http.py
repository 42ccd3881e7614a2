"""One connection of someone who sends spans over HTTP/1.1: Envoy, an SDK's exporter, a stand-in.

Not `http.server`: that knows no chunked bodies, which Envoy sends, and costs 20 ms of import.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

LINE = 16 * 1024
"""Bytes of a line of the head."""
FIELDS = 200
"""Lines of a head."""
BODY = 16 * 1024 * 1024
"""Bytes of a body, before and after decompression; the OpenTelemetry Collector takes 20 MiB."""

REASONS = {
    200: "OK", 202: "Accepted", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    413: "Content Too Large", 415: "Unsupported Media Type", 500: "Internal Server Error",
}  # fmt: skip


class Reader(Protocol):
    """What socket.makefile("rb") makes."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


class Refused(Exception):
    """The answer is this status, with one line of text."""

    def __init__(self, status: int, text: str, *, close: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.close = close
        """Where the next request would begin is not known."""


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    close: bool = False

    def wire(self) -> bytes:
        """Head and body in one piece, so that they leave in one packet."""
        head = f"HTTP/1.1 {self.status} {REASONS[self.status]}\r\ncontent-length: {len(self.body)}\r\n"
        head += f"content-type: {self.content_type}\r\n"
        head += "connection: close\r\n" if self.close else ""
        return head.encode("latin-1") + b"\r\n" + self.body


def read_request(reader: Reader, connection: socket.socket) -> Request | None:
    """The next request, its body decompressed; None when the other side has ended."""
    line = _line(reader)
    if not line:
        return None
    method, _, rest = line.partition(" ")
    target, _, version = rest.rpartition(" ")
    if not version.startswith("HTTP/1."):
        raise Refused(400, f"not HTTP/1.1: {line[:60]!r}", close=True)
    headers = _headers(reader)
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = _body(reader, headers)
    return Request(method, target.partition("?")[0], headers, _decompressed(body, headers))


def keeps_alive(request: Request) -> bool:
    return "close" not in request.headers.get("connection", "").lower()


def _line(reader: Reader) -> str:
    line = reader.readline(LINE)
    if len(line) == LINE:
        raise Refused(400, f"a line of more than {LINE} bytes", close=True)
    return line.rstrip(b"\r\n").decode("latin-1")


def _headers(reader: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in range(FIELDS):
        line = _line(reader)
        if not line:
            return found
        name, _, value = line.partition(":")
        found[name.strip().lower()] = value.strip()
    raise Refused(400, f"more than {FIELDS} headers", close=True)


def _body(reader: Reader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower().endswith("chunked"):
        return _chunked(reader)
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise Refused(400, f"content-length: {length[:40]!r} is not a number", close=True)
    return _exactly(reader, int(length))


def _chunked(reader: Reader) -> bytes:
    """RFC 9112, 7.1; extensions and trailers are read and forgotten."""
    parts, total = [], 0
    while size := _size(_line(reader)):
        total += size
        if total > BODY:
            raise _too_large()
        parts.append(_exactly(reader, size))
        if _line(reader):
            raise Refused(400, "a chunk is longer than it says", close=True)
    while _line(reader):
        pass
    return b"".join(parts)


def _size(line: str) -> int:
    try:
        return int(line.partition(";")[0], 16)
    except ValueError:
        raise Refused(400, f"not the size of a chunk: {line[:40]!r}", close=True) from None


def _exactly(reader: Reader, size: int) -> bytes:
    if size > BODY:
        raise _too_large()
    body = reader.read(size)
    if len(body) < size:
        raise Refused(400, f"the body ends after {len(body)} of {size} bytes", close=True)
    return body


def _too_large() -> Refused:
    return Refused(413, f"a body of more than {BODY} bytes", close=True)


def _decompressed(body: bytes, headers: Mapping[str, str]) -> bytes:
    coding = headers.get("content-encoding", "identity").lower()
    if coding == "identity":
        return body
    if coding not in ("gzip", "deflate"):
        raise Refused(415, f"content-encoding {coding!r}: gzip, deflate and identity are understood")
    unpacking = zlib.decompressobj(wbits=47 if coding == "gzip" else 15)
    try:
        unpacked = unpacking.decompress(body, BODY + 1)
    except zlib.error as error:
        raise Refused(400, f"malformed {coding}: {error}") from None
    if len(unpacked) > BODY:
        raise Refused(413, f"a body of more than {BODY} bytes")
    if not unpacking.eof:
        raise Refused(400, f"malformed {coding}: it ends early")
    return unpacked
