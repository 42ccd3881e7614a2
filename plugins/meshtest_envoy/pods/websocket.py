"""A WebSocket (RFC 6455): the first message is the reflection, then every message comes back as it was sent.

On SIGTERM it is closed with 1001, "going away". Not here: the request that asks for the upgrade (http1_server.py).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from meshtest_envoy.pods.http1 import Request
from meshtest_envoy.pods.service import Answer, Service

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002


def accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()).decode()


class WebSocket(asyncio.Protocol):
    """One connection after its upgrade."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._frames = Connection(ConnectionType.SERVER)
        self._transport: asyncio.Transport

    def opening(self, request: Request, answer: Answer) -> bytes:
        """The answer to the request, and the first message."""
        told = [
            ("server", "meshtest-stand-in"), ("upgrade", "websocket"), ("connection", "Upgrade"),
            ("sec-websocket-accept", accept(request.headers["sec-websocket-key"])), *answer.headers,
        ]  # fmt: skip
        if wanted := request.headers.get("sec-websocket-protocol", ""):
            told.append(("sec-websocket-protocol", wanted.partition(",")[0].strip()))
        lines = "".join(f"{name}: {value}\r\n" for name, value in told)
        head = f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode("latin-1", "replace")
        first = self._frames.send(TextMessage(answer.body.decode("utf-8", "replace")))
        return head + bytes(first)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.connections.add(self)
        if self._service.draining:
            self.drain()

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.connections.discard(self)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def drain(self) -> None:
        if self._frames.state is ConnectionState.OPEN:
            self._transport.write(self._frames.send(CloseConnection(GOING_AWAY, "going away")))

    def data_received(self, data: bytes) -> None:
        self._service.last = time.monotonic()
        try:
            self._frames.receive_data(data)
            out = b"".join(self._reply(event) for event in self._frames.events())
        except (RemoteProtocolError, LocalProtocolError) as error:
            out = self._refuse(error)
        if out:
            self._transport.write(out)
        if self._frames.state is ConnectionState.CLOSED:
            self._transport.close()

    def _reply(self, event: object) -> bytes:
        """Parts of a fragmented message are echoed as such parts."""
        state = self._frames.state
        if isinstance(event, CloseConnection):
            return bytes(self._frames.send(event.response())) if state is ConnectionState.REMOTE_CLOSING else b""
        if state is not ConnectionState.OPEN:
            return b""
        if isinstance(event, Ping):
            return bytes(self._frames.send(event.response()))
        if isinstance(event, TextMessage | BytesMessage):
            return bytes(self._frames.send(event))
        return b""

    def _refuse(self, error: Exception) -> bytes:
        if self._frames.state is not ConnectionState.OPEN:
            self._transport.close()
            return b""
        out = bytes(self._frames.send(CloseConnection(PROTOCOL_ERROR, str(error)[:100])))
        self._transport.write(out)
        self._transport.close()
        return b""
