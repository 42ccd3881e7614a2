"""One request of HTTP/2 (prior knowledge) or gRPC on a connection of its own: a stand-in's call of another service."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from meshtest_envoy.pods import grpc

_CHUNK = 64 * 1024
_GOAWAY = 7
_CONFIG = H2Configuration(client_side=True, header_encoding="latin-1")


class Answer(NamedTuple):
    """What came back; `grpc_status` is None if it was no gRPC, or did not say."""

    status: int
    body: bytes
    grpc_status: int | None


class _Exchange:
    """Fed with bytes until `over`."""

    def __init__(self, limit: int) -> None:
        self.h2 = H2Connection(_CONFIG)
        self.h2.initiate_connection()
        self.fields: dict[str, str] = {}
        self.body = b""
        self.over = False
        self._limit = limit
        self._rest = b""

    def send(self, fields: list[tuple[str, str]], body: bytes) -> None:
        """A body of a few bytes: it always fits the first window."""
        self.h2.send_headers(1, fields, end_stream=not body)
        if body:
            self.h2.send_data(1, body, end_stream=True)

    def feed(self, data: bytes) -> None:
        for event in self.h2.receive_data(self._without_farewell(data)):
            self._take(event)

    def _without_farewell(self, data: bytes) -> bytes:
        """A GOAWAY that only says that nothing further will be served is left out: h2 would not read on after it."""
        data, out = self._rest + data, []
        while len(data) >= 9 and len(data) >= (end := 9 + int.from_bytes(data[:3], "big")):
            frame, data = data[:end], data[end:]
            if frame[3] != _GOAWAY or any(frame[13:17]) or not any(frame[9:13]):
                out.append(frame)
        if data.startswith(b"HTTP/1."):
            raise ValueError("the other side speaks HTTP/1.1")
        self._rest = data
        return b"".join(out)

    def _take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            self.fields |= {str(name): str(value) for name, value in event.headers or ()}
        elif isinstance(event, DataReceived):
            self.body += event.data or b""
            if len(self.body) > self._limit:
                raise ValueError(f"an answer of more than {self._limit} bytes")
            self.h2.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        elif isinstance(event, StreamReset):
            raise ConnectionResetError(f"the stream was reset (error {int(event.error_code or 0)})")
        elif isinstance(event, ConnectionTerminated) and event.error_code:
            raise ConnectionResetError(f"the connection was ended (error {int(event.error_code)})")
        self.over = self.over or isinstance(event, StreamEnded)


async def request(
    address: tuple[str, int],
    method: str,
    authority: str,
    path: str,
    headers: dict[str, str],
    *,
    is_grpc: bool,
    limit: int,
) -> Answer:
    """OSError, EOFError or ValueError if there is no answer."""
    fields = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
    if is_grpc:
        fields += [("te", "trailers"), ("content-type", grpc.MEDIA_TYPE)]
    fields += [(name, value) for name, value in headers.items() if name not in ("te", "content-type", "host")]
    reader, writer = await asyncio.open_connection(*address)
    try:
        exchange = _Exchange(limit)
        exchange.send(fields, grpc.frame(b"") if is_grpc else b"")
        while not exchange.over:
            writer.write(exchange.h2.data_to_send())
            if not (data := await reader.read(_CHUNK)):
                raise EOFError
            exchange.feed(data)
    except ProtocolError as error:
        raise ValueError(f"not HTTP/2: {error}") from None
    finally:
        writer.close()
    return _answer(exchange, is_grpc)


def _answer(exchange: _Exchange, is_grpc: bool) -> Answer:
    fields, body = exchange.fields, exchange.body
    status = int(fields.get(":status", "0") or 0)
    if not is_grpc:
        return Answer(status, body, None)
    messages, _ = grpc.split(body)
    told = fields.get("grpc-status", "")
    return Answer(status, grpc.text_of(messages[0]) if messages else b"", int(told) if told.isdigit() else None)
