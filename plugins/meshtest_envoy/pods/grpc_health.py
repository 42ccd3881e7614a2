"""The gRPC probe of a kubelet: one call of grpc.health.v1.Health/Check on a connection of its own.

Only what that needs of HTTP/2 is here, since the supervisor does without libraries: a request whose headers are not
compressed, and frames of the answer by type. SERVING is in the message; the trailers, which only a Huffman decoder
could read, would say nothing else (a call that failed has no message).
"""

from __future__ import annotations

import asyncio
import struct

from meshtest_envoy.pods import grpc

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_ACK = END_STREAM = 0x1
_END_HEADERS = 0x4
_LONGEST = 64 * 1024
"""Bytes of a frame that are read; peers were not told of more than 16 KiB."""
_STATES = {grpc.SERVING: "", grpc.NOT_SERVING: "NOT_SERVING", b"\x08\x03": "SERVICE_UNKNOWN"}


async def check(host: str, port: int, service: str, agent: str) -> str:
    """ "" if the server says SERVING, else what it says."""
    what = f"grpc health {service or '(server)'} (port {port})"
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"{what}: {error.strerror or error}"
    try:
        writer.write(_request(f"{host}:{port}", service, agent))
        message = await _message(reader, writer)
    except (OSError, EOFError, ValueError) as error:
        return f"{what}: {error or 'the connection was closed'}"
    finally:
        writer.close()
    if message is None:
        return f"{what}: no health status; does it implement grpc.health.v1.Health?"
    told = _STATES.get(message, "UNKNOWN")
    return told and f"{what}: {told}"


def _request(authority: str, service: str, agent: str) -> bytes:
    fields = {
        ":method": "POST", ":scheme": "http", ":path": f"{grpc.HEALTH}Check", ":authority": authority,
        "te": "trailers", "content-type": grpc.MEDIA_TYPE, "user-agent": agent,
    }  # fmt: skip
    block = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in fields.items())
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, block)
        + _frame(_DATA, END_STREAM, 1, grpc.frame(grpc.string_value(service.encode())))
    )


def _literal(text: str) -> bytes:
    """An HPACK string that is not compressed (RFC 7541, 5.2)."""
    data = text.encode("latin-1", "replace")
    size = len(data)
    if size < 127:
        return bytes([size]) + data
    size -= 127
    prefix = [127]
    while size >= 128:
        prefix.append(size % 128 + 128)
        size //= 128
    return bytes([*prefix, size]) + data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload


async def _message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
    """The first message of the answer; None if it ends without one."""
    data = b""
    while True:
        head = await reader.readexactly(9)
        size, (kind, flags, _) = int.from_bytes(head[:3], "big"), struct.unpack("!BBI", head[3:])
        if size > _LONGEST:
            raise ValueError("the answer is not HTTP/2")
        payload = await reader.readexactly(size)
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            writer.write(_frame(kind, _ACK, 0, b"" if kind == _SETTINGS else payload))
        elif kind == _DATA:
            data += payload
            messages, _ = grpc.split(data)
            if messages:
                return messages[0]
        if kind in (_RST_STREAM, _GOAWAY) or (kind in (_DATA, _HEADERS) and flags & END_STREAM):
            return None
