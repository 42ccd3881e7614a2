"""One connection of HTTP/1.1, or of a WebSocket once it is upgraded.

Each answer is one write, in the order of the requests of its connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from meshtest_envoy.pods.http1 import CONTINUE, BadRequest, Parser, Request, render
from meshtest_envoy.pods.service import Answer, Service

if TYPE_CHECKING:
    from meshtest_envoy.pods.websocket import WebSocket

PIPELINED = 64
"""Requests that wait for their turn on one connection before no more are read."""


class Connection(asyncio.Protocol):
    """One connection of a client, usually of a proxy."""

    def __init__(self, service: Service, secured: dict[str, Any] | None = None) -> None:
        self._service = service
        self._secured = secured
        self._parser = Parser()
        self._waiting: deque[Request | BadRequest] = deque()
        self._busy: asyncio.Task[None] | None = None
        self._close = False
        self._upgraded: WebSocket | None = None
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
        while self._waiting and not self._close and self._upgraded is None:
            request = self._waiting.popleft()
            if isinstance(request, BadRequest):
                out.append(render(*self._service.refuse(request)[:2], close=True))
                self._close = True
                break
            answer = self._service.answer(self._prepared(request))
            if not isinstance(answer, Answer):
                self._busy = asyncio.get_running_loop().create_task(self._wait_for(request, answer))
                break
            out.append(self._render(request, answer))
        if self._parser.wants_continue and self._busy is None and not self._close:
            self._parser.wants_continue = False
            out.append(CONTINUE)
        self._write(out)

    def _prepared(self, request: Request) -> Request:
        if self._secured is not None:
            request.scheme, request.tls = "https", self._secured
        if "upgrade" in request.headers and _wants_websocket(request):
            request.protocol = "WebSocket"
        return request

    def _render(self, request: Request, answer: Answer) -> bytes:
        if request.protocol == "WebSocket" and answer.status == 200:
            return self._upgrade(request, answer)
        self._close = request.close = request.close or self._service.draining
        status, body, headers = answer
        head_only = request.method == "HEAD"
        return render(status, body, close=self._close, head_only=head_only, headers=headers, lost=self._service.lost)

    def _upgrade(self, request: Request, answer: Answer) -> bytes:
        from meshtest_envoy.pods import libraries

        libraries.find()
        from meshtest_envoy.pods.websocket import WebSocket

        self._upgraded = WebSocket(self._service)
        return self._upgraded.opening(request, answer)

    def _write(self, out: list[bytes]) -> None:
        if out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._close:
            self._waiting.clear()
            self._transport.close()
        elif self._upgraded is not None:
            self._waiting.clear()
            self._transport.set_protocol(self._upgraded)
            self._upgraded.connection_made(self._transport)

    async def _wait_for(self, request: Request, answer: Awaitable[Answer]) -> None:
        answered = await answer
        self._busy = None
        self._write([self._render(request, answered)])
        if not self._close:
            self._transport.resume_reading()
            if self._upgraded is None:
                self._answer()


def _wants_websocket(request: Request) -> bool:
    """RFC 6455, 4.2.1"""
    headers = request.headers
    return (
        headers["upgrade"].lower() == "websocket"
        and "upgrade" in headers.get("connection", "").lower()
        and "sec-websocket-key" in headers
    )
