"""A port of plain TCP: an echo. Says nothing first, unless annotated `meshtest.dev/server-first`.

A line `meshtest` is answered by one line of JSON, who we are, in place of the echo; so a test sees which pod it has
reached. A connection counts as one request when its first bytes come: its delay comes before the first answer, its
error is a reset. On SIGTERM our side ends (half close) once what came was echoed; what is said after that is lost.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable
from typing import Any

from meshtest_envoy.pods.http1 import Request
from meshtest_envoy.pods.service import Answer, Service

QUESTIONS = (b"meshtest\n", b"meshtest\r\n")
HELD = 64 * 1024
"""Bytes that wait for the first answer before no more are read."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self, service: Service, secured: dict[str, Any] | None = None) -> None:
        self._service = service
        self._request = Request("", "", {}, protocol="TCP")
        if secured is not None:
            self._request.tls, self._request.scheme = secured, "tls"
        else:
            self._request.scheme = "tcp"
        self._who: bytes | None = None
        self._held = b""
        self._busy: asyncio.Task[None] | None = None
        self._ended = self._client_ended = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.connections.add(self)
        if self._service.server_first:
            self._held = QUESTIONS[0]
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.connections.discard(self)
        if self._busy is not None:
            self._busy.cancel()

    def data_received(self, data: bytes) -> None:
        self._service.last = time.monotonic()
        if self._who is not None:
            self._say(data)
            return
        self._held += data
        if self._busy is None:
            self._begin()
        elif len(self._held) > HELD:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has said everything; what is still to be answered keeps our side open."""
        self._client_ended = True
        return self._busy is not None

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def drain(self) -> None:
        if self._busy is None:
            self._end()

    def _begin(self) -> None:
        answer = self._service.answer(self._request)
        if isinstance(answer, Answer):
            self._first(answer)
        else:
            self._busy = asyncio.get_running_loop().create_task(self._wait_for(answer))

    async def _wait_for(self, answer: Awaitable[Answer]) -> None:
        answered = await answer
        self._busy = None
        self._first(answered)
        if self._client_ended:
            self._transport.close()
        else:
            self._transport.resume_reading()

    def _first(self, answer: Answer) -> None:
        if answer.status != 200:
            self._reset()
            return
        self._who = answer.body + b"\n"
        self._say(self._held)

    def _reset(self) -> None:
        """abort() alone would end with a FIN."""
        if (found := self._transport.get_extra_info("socket")) is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def _say(self, data: bytes) -> None:
        assert self._who is not None
        if self._ended:
            return
        who = self._who
        self._transport.write(b"".join([who if line in QUESTIONS else line for line in data.splitlines(True)]))
        if self._service.draining:
            self._end()

    def _end(self) -> None:
        """Nothing more from us."""
        if self._ended:
            return
        self._ended = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
