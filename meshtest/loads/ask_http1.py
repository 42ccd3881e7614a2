"""One request of HTTP/1.1 and its whole answer. Where an answer ends, wire.py says; here it is taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.loads.line import Heard, Line, Trouble
from meshtest.loads.wire import Answer

if TYPE_CHECKING:
    from meshtest.loads.ask import Ask

BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT")
_BLANK = " \t"


def speak(line: Line, what: Ask, heard: Heard, *, proxy: bool) -> None:
    converse(line, request(what, proxy=proxy), heard, head_only=what.method == "HEAD")


def request(what: Ask, *, proxy: bool, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    """`proxy`: in absolute form (RFC 9112, 3.2.2)."""
    target = f"http://{what.authority}{what.path}" if proxy else what.path
    fields = what.fields + extra
    given = {name.lower() for name, _ in fields}
    lines = [f"{what.method} {target} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"host: {what.authority}")
    lines += [f"{name}: {value}" for name, value in fields]
    body = b"" if extra else what.body
    if not given & {"content-length", "transfer-encoding"} and (body or what.method not in BODILESS):
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8") + body


def converse(line: Line, message: bytes, heard: Heard, *, head_only: bool = False) -> bytes:
    """Send, and hear the answer; returns what came after it. A peer may answer and close before it has read all."""
    refused: OSError | None = None
    try:
        line.send(message)
    except (BrokenPipeError, ConnectionResetError) as error:
        refused = error
    answer, raw = Answer(head_only), b""
    while True:
        try:
            data = line.receive()
        except ConnectionResetError as error:
            take_apart(raw, heard, head_only=head_only)
            raise refused or error from None
        raw += data
        if answer.feed(data) if data else answer.end():
            return take_apart(raw, heard, head_only=head_only)
        if not data:
            take_apart(raw, heard, head_only=head_only)
            raise refused or Trouble("closed", "the peer closed the connection before the answer was complete")


def take_apart(raw: bytes, heard: Heard, *, head_only: bool) -> bytes:
    """An answer, or as much of one as came. Returns what is not part of it."""
    while True:
        head, found, rest = raw.partition(b"\r\n\r\n")
        if not found:
            return b""
        first, *lines = head.decode("latin-1").split("\r\n")
        heard.status = int(first[9:12])
        heard.headers = [_field(line) for line in lines]
        if not 100 <= heard.status < 200 or heard.status == 101:
            break
        raw = rest
    fields = dict(heard.headers)
    if head_only or heard.status in (101, 204, 304):
        return rest
    if fields.get("transfer-encoding", "").lower().endswith("chunked"):
        return _take_chunks(rest, heard)
    length = int(fields.get("content-length", len(rest)))
    heard.body = rest[:length]
    return rest[length:]


def _take_chunks(data: bytes, heard: Heard) -> bytes:
    parts = []
    while True:
        line, found, rest = data.partition(b"\r\n")
        size = int(line.partition(b";")[0].strip() or b"0", 16) if found else 0
        if not size:
            break
        parts.append(rest[:size])
        data = rest[size + 2 :]
    heard.body = b"".join(parts)
    trailers, _, rest = (b"\r\n" + data.partition(b"\r\n")[2]).partition(b"\r\n\r\n")
    heard.trailers = [_field(line) for line in trailers.decode("latin-1").split("\r\n") if line]
    return rest


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip(_BLANK)
