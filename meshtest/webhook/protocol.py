"""uvicorn's HTTP/1.1, with limits that it lacks: how long and how large the head of a request may be, and how many
connections are held.

Without them a client that sends a header a minute holds a connection for ever, one that never ends its headers fills
the memory (httptools sets no limit of its own), and those that say nothing take all open files: uvicorn's own limit is
looked at when a request has come. The body is limited where it is read: call.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
_ANSWER = b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    head_within = 10.0
    """Seconds from the first byte, or from the connection, to the end of the headers."""
    most = 1000
    """Connections."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_size = self._unread = 0
        self._in_body = self._has_begun = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()
        if len(self.connections) > self.most:
            self._refuse(b"503 Service Unavailable", b"%d connections are open already\n" % self.most)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_body and self._head_timer is None:
            self._expect_head()
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
        self._head_ended()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_within, self._too_slow)

    def _head_ended(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _grow(self, size: int) -> None:
        self._head_size += size
        self._check(self._head_size)

    def _check(self, size: int) -> None:
        if size > LARGEST_HEAD:
            self._refuse(b"431 Request Header Fields Too Large", b"the head has more than %d bytes\n" % LARGEST_HEAD)

    def _too_slow(self) -> None:
        self._head_timer = None
        self._refuse(
            b"408 Request Timeout", b"the head did not come within %g s (--header-timeout)\n" % self.head_within
        )

    def _refuse(self, status: bytes, why: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(_ANSWER % (status, len(why), why))
            self.transport.close()
