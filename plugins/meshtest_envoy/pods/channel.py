"""The control channel as the supervisor sees it: lines of JSON on a socket that the runner holds the other end of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any


class Channel(asyncio.Protocol):
    """Hands requests over; `on_end` is called when the runner is gone."""

    def __init__(self, on_request: Callable[[dict[str, Any]], None], on_end: Callable[[], None]) -> None:
        self._on_request, self._on_end = on_request, on_end
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        # A runner that does not read for a while must not lose events: they are few and small, so all are kept.
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._on_request(json.loads(line))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_end()

    def send(self, message: dict[str, Any]) -> None:
        """Write one message; nobody is there to miss it after the end."""
        if self._transport is not None:
            self._transport.write(json.dumps(message).encode() + b"\n")
