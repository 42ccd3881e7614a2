"""Is every failure seen? Locust's two HTTP clients against a server that fails on purpose, before any load begins.

    path     what the server does                            the one fate that is right
    /reset   RST in place of an answer                       reset
    /kept    answers, then RST on the same connection        answered, reset
    /fin     FIN in place of an answer                       closed
    /head    FIN inside the head                             closed
    /body    FIN inside the body                             closed

A client that resends makes more arrivals than requests; one that hides makes fewer failures.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any, Self

import gevent
import geventhttpclient
import locust
import requests
import urllib3
from gevent.server import StreamServer
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession

from meshtest.model.record import ANSWERED, CLOSED, RESET
from meshtest_locust.journal import Journal
from meshtest_locust.link import Link

ROUNDS = 3
EXPECTED = {"/reset": [RESET], "/kept": [ANSWERED, RESET], "/fin": [CLOSED], "/head": [CLOSED], "/body": [CLOSED]}
KNOWN_GOOD = "locust 2.47.0, requests 2.34.2, urllib3 2.8.0, geventhttpclient 2.6.1"
WITHIN = 5.0
"""Seconds for all of it; it takes 50 ms."""

_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_PIECES = {b"/head": b"HTTP/1.1 200 OK\r\ncontent-len", b"/body": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"}


class Dishonest(Exception):
    """What was seen."""


class _Kept:
    """A sink that keeps rows."""

    def __init__(self) -> None:
        self.flush_at = 0
        self.fates: list[int] = []

    def add(self, now: int, served_by: bytes, row: tuple[int, ...]) -> None:
        self.fates.append(row[6])

    def flush(self) -> None: ...


class _Event:
    """Locust's request event, counted."""

    def __init__(self) -> None:
        self.failures = 0

    def fire(self, *, exception: Any = None, **_: Any) -> None:
        self.failures += exception is not None


class _Server:
    """Does to each connection what the path of its requests says."""

    def __init__(self) -> None:
        self.arrivals = 0
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def _serve(self, connection: Any, _: object) -> None:
        served = 0
        while data := connection.recv(65536):
            self.arrivals += 1
            path = data.split(b" ", 2)[1]
            if path == b"/kept" and not served:
                served += 1
                connection.sendall(_OK)
                continue
            if path in (b"/reset", b"/kept"):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_ON_CLOSE)
            connection.sendall(_PIECES.get(path, b""))
            connection.close()
            return


def run(link: Link) -> int:
    """How many requests were sent and rightly seen; Dishonest says what was not."""
    before = link.journal, link.address, link.port
    sent = 0
    try:
        with _Server() as server, gevent.Timeout(WITHIN, Dishonest(f"the self-test took more than {WITHIN:g} s")):
            link.address, link.port = "127.0.0.1", server.port
            for client in (HttpSession, FastHttpSession):
                sent += _examine(client, link, server)
    finally:
        link.journal, link.address, link.port = before
    return sent


def _examine(client: Callable[..., Any], link: Link, server: _Server) -> int:
    for path, expected in EXPECTED.items():
        kept, event = _Kept(), _Event()
        link.journal = Journal("selftest", WITHIN)
        link.journal.write_to(kept, 0)
        server.arrivals = 0
        for _ in range(ROUNDS):
            session = client(base_url="http://selftest", request_event=event, user=None)
            for _ in expected:
                session.get(path)
        sent = ROUNDS * len(expected)
        failed = ROUNDS * sum(fate != ANSWERED for fate in expected)
        seen = (server.arrivals, event.failures, kept.fates)
        if seen != (sent, failed, expected * ROUNDS):
            raise Dishonest(_told(client.__name__, path, sent, failed, *seen))
    return ROUNDS * sum(map(len, EXPECTED.values()))


def _told(client: str, path: str, sent: int, failed: int, arrivals: int, reported: int, fates: list[int]) -> str:
    return (
        f"{client} hides failures: of {sent} requests for {path} to a server that fails {failed} of them, {arrivals} "
        f"arrived, Locust reported {reported} failures and {sum(map(bool, fates))} were recorded; "
        f"this is {versions()}; known to be good: {KNOWN_GOOD}"
    )


def versions() -> str:
    found = {m.__name__: m.__version__ for m in (locust, requests, urllib3, geventhttpclient)}
    return ", ".join(f"{name} {version}" for name, version in found.items())
