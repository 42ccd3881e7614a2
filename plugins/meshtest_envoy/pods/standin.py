"""The stand-in service: what runs in place of an image. One process a pod, asyncio and HTTP/1.1, no other library.

Each answer is one write, in the order of the requests of its connection; see service.py for what is answered.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import deque
from collections.abc import Awaitable

from meshtest_envoy.pods import drain
from meshtest_envoy.pods.behaviour import Behaviour
from meshtest_envoy.pods.http1 import CONTINUE, BadRequest, Parser, Request
from meshtest_envoy.pods.order import Order
from meshtest_envoy.pods.service import Service

PIPELINED = 64
"""Requests that wait for their turn on one connection before no more are read."""


def run(order: Order, behave: Behaviour, listening: list[socket.socket]) -> int:
    """Serve until SIGTERM; the exit code. Called in a fresh fork, of the zygote or the supervisor."""
    # The supervisor forks in a running loop, whose epoll instance is shared with the parent: never touch it again.
    asyncio.events._set_running_loop(None)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_serve(Service(order, behave), behave, listening))
    return 0


async def _serve(service: Service, behave: Behaviour, listening: list[socket.socket]) -> None:
    over = drain.prepare(service, behave.drain)
    loop = asyncio.get_running_loop()
    for one in listening:
        await loop.create_server(lambda: Connection(service), sock=one, backlog=1024)
    await over.wait()


class Connection(asyncio.Protocol):
    """One connection of a client, usually of a proxy."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parser = Parser()
        self._waiting: deque[Request | BadRequest] = deque()
        self._busy: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.clear()
        if self._busy is not None:
            self._busy.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._waiting.extend(self._parser.feed(data))
        except BadRequest as error:
            self._waiting.extend((*self._parser.done, error))
            self._transport.pause_reading()
        if self._busy is None:
            self._answer()
        elif len(self._waiting) > PIPELINED:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The client does not read: take no more requests from it."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def _answer(self) -> None:
        """Answer what waits; all that takes no time goes out in one write."""
        out = []
        close = False
        while self._waiting and not close:
            request = self._waiting.popleft()
            if isinstance(request, BadRequest):
                out.append(self._service.refuse(request))
                close = True
                break
            answer = self._service.answer(request)
            if not isinstance(answer, bytes):
                self._busy = asyncio.get_running_loop().create_task(self._wait_for(request, answer))
                break
            out.append(answer)
            close = request.close
        if self._parser.wants_continue and self._busy is None and not close:
            self._parser.wants_continue = False
            out.append(CONTINUE)
        self._write(out, close)

    def _write(self, out: list[bytes], close: bool) -> None:
        if out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if close:
            self._waiting.clear()
            self._transport.close()

    async def _wait_for(self, request: Request, answer: Awaitable[bytes]) -> None:
        written = await answer
        self._busy = None
        self._write([written], request.close)
        if not request.close:
            self._transport.resume_reading()
            self._answer()
