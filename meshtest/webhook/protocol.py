"""uvicorn's HTTP/1.1, with limits that it lacks: how long the head of a request may take to come, and its body; how
large the head may be; how many connections are held.

Without them a client that sends a header a minute holds a connection for ever, one that never ends its headers fills
the memory (httptools sets no limit of its own), and those that say nothing take all open files: uvicorn's own limit is
looked at when a request has come. How large a body may be: call.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
_ANSWER = b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    within = 10.0
    """Seconds from the first byte, or from the connection, to the end of the head; and again to the end of the body."""
    most = 1000
    """Connections."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        """Of what is expected; None: nothing is."""
        self._head_size = self._unread = 0
        self._in_body = self._has_begun = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()
        if len(self.connections) > self.most:
            self._refuse(b"503 Service Unavailable", b"%d connections are open already\n" % self.most)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._expect()
        self._has_begun = False
        super().data_received(data)
        if not self._in_body and not self._has_begun:
            self._unread += len(data)  # of a header that has not ended, which the parser keeps to itself
            self._check(self._unread)

    def on_message_begin(self) -> None:
        self._has_begun, self._head_size, self._unread = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._expect()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body, self._deadline = False, None
        super().on_message_complete()

    def _expect(self) -> None:
        """A head or a body from now on. One timer looks after all requests of a connection: one for each, and another
        for its body, was an eighth of the CPU of a gate check."""
        self._deadline = self.loop.time() + self.within
        if self._timer is None:
            self._timer = self.loop.call_later(self.within, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        left = self._deadline - self.loop.time()
        if left > 0 or self.flow.read_paused:  # paused by us: the request before is not answered yet
            self._timer = self.loop.call_later(left if left > 0 else self.within, self._look)
        else:
            self._too_slow()

    def _grow(self, size: int) -> None:
        self._head_size += size
        self._check(self._head_size)

    def _check(self, size: int) -> None:
        if size > LARGEST_HEAD:
            self._refuse(b"431 Request Header Fields Too Large", b"the head has more than %d bytes\n" % LARGEST_HEAD)

    def _too_slow(self) -> None:
        what = b"body" if self._in_body else b"head"
        if self._in_body and self.cycle.response_started:
            self.transport.close()  # it was answered without its body: nothing can be added to that
        else:
            why = b"the %s did not come within %g s (--header-timeout)\n" % (what, self.within)
            self._refuse(b"408 Request Timeout", why)

    def _refuse(self, status: bytes, why: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(_ANSWER % (status, len(why), why))
            self.transport.close()
