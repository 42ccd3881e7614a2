"""The stand-in service: what runs in place of an image. One process a pod, asyncio, one loop for all protocols.

 bytes ─► Entry (this file: which protocol?) ─► http1_server │ http2_server (gRPC too) │ echo (TCP)
             ▲ │                                     └─► websocket
             │ └─ a TLS ClientHello ─► tls ─┐
             └──────── decrypted ───────────┘

See service.py for what is answered, behaviour.py for how. The modules of HTTP/2, WebSocket and TLS are imported with
the first connection that needs them, or by the zygote (libraries.py): a plain pod must not pay for them.
"""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from typing import Any

from meshtest_envoy.pods import drain
from meshtest_envoy.pods.behaviour import Behaviour
from meshtest_envoy.pods.echo import Echo
from meshtest_envoy.pods.http1_server import Connection
from meshtest_envoy.pods.order import Order, PodTls
from meshtest_envoy.pods.service import Service

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113, 3.4"""
_TELLING = 3
"""Bytes of it that no request of HTTP/1 begins with: there is no method `PRI`."""
_CLIENT_HELLO = b"\x16\x03"
_REQUEST_LINE = re.compile(rb"[A-Z]{3,16} [!-~]+ HTTP/1\.[01]\r\n")


def run(order: Order, behave: Behaviour, listening: list[socket.socket]) -> int:
    """Serve until SIGTERM; the exit code. Called in a fresh fork, of the zygote or the supervisor."""
    # The supervisor forks in a running loop, whose epoll instance is shared with the parent: never touch it again.
    asyncio.events._set_running_loop(None)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_serve(Service(order, behave), order, behave, listening))
    return 0


async def _serve(service: Service, order: Order, behave: Behaviour, listening: list[socket.socket]) -> None:
    over = drain.prepare(service, behave.drain)
    protocols = dict(order.protocols)
    streams = [protocols.get(number) in ("tcp", "tls") for number in dict(order.ports)]
    streams += [False] * len(listening)  # ports that only a probe names are HTTP
    for one, stream in zip(listening, streams, strict=False):
        await _listen(service, one, stream, order.tls)
    await over.wait()
    await service.close()


async def _listen(service: Service, listening: socket.socket, stream: bool, tls: PodTls | None) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Entry(service, stream=stream, tls=tls), sock=listening, backlog=1024)


class Entry(asyncio.Protocol):
    """A connection until its first bytes tell the protocol, which then takes over."""

    def __init__(
        self,
        service: Service,
        *,
        stream: bool = False,
        tls: PodTls | None = None,
        secured: dict[str, Any] | None = None,
    ) -> None:
        """`stream`: what is no HTTP is echoed, not refused. `secured`: what there is to tell of the TLS around it."""
        self._service, self._stream, self._tls, self._secured = service, stream, tls, secured
        self._first = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._stream and self._service.server_first and self._tls is None:
            self._become(Echo(self._service, self._secured))

    def data_received(self, data: bytes) -> None:
        self._first += data
        first, length = self._first, len(self._first)
        if first[:_TELLING] == PREFACE[:_TELLING]:
            self._become(_http2(self._service, self._secured))
        elif self._tls is not None and first[:2] == _CLIENT_HELLO:
            self._become(_tls(self._service, self._stream, self._tls))
        elif self._stream and not _REQUEST_LINE.match(first):
            self._become(Echo(self._service, self._secured))
        elif length >= _TELLING or not PREFACE.startswith(first):
            self._become(Connection(self._service, self._secured))

    def _become(self, protocol: asyncio.Protocol) -> None:
        transport, first = self._transport, self._first
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if first:
            protocol.data_received(first)


def _http2(service: Service, secured: dict[str, Any] | None) -> asyncio.Protocol:
    from meshtest_envoy.pods import libraries

    libraries.find()
    from meshtest_envoy.pods.http2_server import Http2

    return Http2(service, secured)


def _tls(service: Service, stream: bool, tls: PodTls) -> asyncio.Protocol:
    from meshtest_envoy.pods import libraries

    libraries.restore_ssl()
    from meshtest_envoy.pods.tls import Session

    return Session(tls, lambda secured: Entry(service, stream=stream, secured=secured))
