"""gRPC's length-prefixed messages, by hand: a client that must not retry or reconnect cannot be grpcio's.

Source: grpc/doc/PROTOCOL-HTTP2.md. Pure.
"""

from __future__ import annotations

MEDIA_TYPE = "application/grpc"


def frame(message: bytes) -> bytes:
    """Not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole messages, and what is left of the data."""
    messages = []
    while len(data) >= 5 and len(data) >= (end := 5 + int.from_bytes(data[1:5], "big")):
        messages.append(data[5:end])
        data = data[end:]
    return messages, data


def string_value(text: str) -> bytes:
    """A google.protobuf.StringValue: field 1, UTF-8."""
    data = text.encode()
    size, out = len(data), bytearray(b"\x0a")
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(out) + bytes([size]) + data if data else b""


def text_of(message: bytes) -> bytes:
    """The text of a StringValue; b"" for any other message."""
    if message[:1] != b"\x0a":
        return b""
    size = shift = 0
    for position, byte in enumerate(message[1:], 2):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return message[position : position + size]
    return b""


def message_of(told: str) -> str:
    """The trailer grpc-message is percent-encoded."""
    from urllib.parse import unquote  # here, because the prober imports this module and must start in milliseconds

    return unquote(told)
