"""gRPC's messages and status, as far as a stand-in needs them; no code generated, no grpcio (which starts threads).

Sources: grpc/doc/PROTOCOL-HTTP2.md, grpc/doc/http-grpc-status-mapping.md, grpc/doc/health-checking.md.
"""

from __future__ import annotations

MEDIA_TYPE = "application/grpc"
HEALTH = "/grpc.health.v1.Health/"
UNIMPLEMENTED = 12
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""HealthCheckResponse: field 1, an enum."""
MOST = 4 * 1024 * 1024
"""Bytes of a message; gRPC's own default."""

_FROM_HTTP = {200: 0, 400: 13, 401: 16, 403: 7, 404: UNIMPLEMENTED, 429: 14, 502: 14, 503: 14, 504: 14}
_UNKNOWN = 2


def status_of(http: int) -> int:
    """The grpc-status that a client makes of an HTTP status."""
    return _FROM_HTTP.get(http, _UNKNOWN)


def frame(message: bytes) -> bytes:
    """Length-prefixed, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages, and the beginning of the next one. ValueError if a message is too long."""
    messages = []
    while len(data) >= 5:
        size = int.from_bytes(data[1:5], "big")
        if size > MOST:
            raise ValueError(f"a message of {size} bytes; at most {MOST} are taken")
        if len(data) < 5 + size:
            break
        messages.append(data[5 : 5 + size])
        data = data[5 + size :]
    return messages, data


def string_value(text: bytes) -> bytes:
    """A google.protobuf.StringValue: field 1, UTF-8."""
    return (b"\x0a" + _varint(len(text)) + text) if text else b""


def text_of(message: bytes) -> bytes:
    """The inverse; b"" for what is no StringValue."""
    if message[:1] != b"\x0a":
        return b""
    size = shift = 0
    for position, byte in enumerate(message[1:], 2):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return message[position : position + size]
    return b""


def percent(text: str) -> str:
    """grpc-message is percent-encoded ASCII."""
    return "".join(chr(b) if 0x20 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in text.encode("utf-8", "replace"))


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
