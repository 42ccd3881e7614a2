"""HttpUser: pools and connections of urllib3 that enter the mesh, and put each request they send on record.

Below requests' and urllib3's own retries: what a user mounts as an adapter with retries sends several requests, and
each is recorded. Not here: requests that a locustfile sends past its users (`requests.get(...)`): they are no load.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from locust.clients import HttpSession
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from meshtest.model.record import ANSWERED
from meshtest_locust.fates import fate_of
from meshtest_locust.journal import Attempt
from meshtest_locust.link import Link


def install(link: Link) -> None:
    """From now on, in this process, for every session of Locust whatever adapter is mounted."""
    pools = _pools(link)
    plain = HttpSession.get_adapter

    def get_adapter(session: Any, url: str) -> Any:
        adapter = plain(session, url)
        manager = getattr(adapter, "poolmanager", None)
        if manager is not None and manager.pool_classes_by_scheme is not pools:
            manager.clear()
            manager.pool_classes_by_scheme = pools
        return adapter

    HttpSession.get_adapter = get_adapter
    _refuse_cut_heads()
    _skip_interim_answers()


def _pools(link: Link) -> dict[str, type]:
    """urllib3's classes, with our way to connect and our eye on each request."""

    class Entering:
        def _new_conn(self) -> Any:
            host, port = self._dns_host, self.port  # type: ignore[has-type]
            self._dns_host, self.port = link.address, link.port
            try:
                return super()._new_conn()  # type: ignore[misc]
            finally:
                self._dns_host, self.port = host, port

    class Followed:
        def _make_request(self, conn: Any, method: str, url: str, headers: Any = None, **more: Any) -> Any:
            attempt = link.journal.begin()
            attempt.reused = int(conn.sock is not None)
            told = {**(headers or {}), **dict(link.journal.headers(attempt, headers or {}))}
            try:
                answer = super()._make_request(conn, method, url, headers=told, **more)  # type: ignore[misc]
            except BaseException as error:
                attempt.end(fate_of(error))
                raise
            attempt.answered(answer.status, answer.headers.get)
            _follow(answer, attempt)
            return answer

    class PlainConnection(Entering, HTTPConnection): ...

    class SecureConnection(Entering, HTTPSConnection): ...

    class PlainPool(Followed, HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class SecurePool(Followed, HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": PlainPool, "https": SecurePool}


def _follow(answer: Any, attempt: Attempt) -> None:
    """The request ends with the last byte of its answer's body, or with what went wrong on the way. Every read of
    urllib3 passes through `_error_catcher`; that it still does is part of the self-test."""
    catcher, size = answer._error_catcher, [0]
    _count(answer._fp, "read", size)
    _count(answer, "_handle_chunk", size)

    @contextmanager
    def watched() -> Iterator[None]:
        try:
            with catcher():
                yield
        except BaseException as error:
            attempt.end(fate_of(error), size[0])
            raise
        if answer._original_response is None or answer._original_response.isclosed():
            attempt.end(ANSWERED, size[0])

    answer._error_catcher = watched


def _count(reader: Any, name: str, size: list[int]) -> None:
    """Add up what a method returns; urllib3 itself counts too late, and no chunks."""
    plain = getattr(reader, name)

    def read(*arguments: Any) -> bytes:
        data: bytes = plain(*arguments)
        size[0] += len(data)
        return data

    setattr(reader, name, read)


def _refuse_cut_heads() -> None:
    """http.client takes a head that ends with the connection for a whole one, and the answer for an empty success."""
    plain = http.client._read_headers  # type: ignore[attr-defined]

    def read_headers(*arguments: Any) -> list[bytes]:
        lines: list[bytes] = plain(*arguments)
        if lines and lines[-1] == b"":
            raise http.client.RemoteDisconnected("Remote end closed connection within the head of its answer")
        return lines

    http.client._read_headers = read_headers  # type: ignore[attr-defined]


def _skip_interim_answers() -> None:
    """http.client knows 100 only, and takes a 103 (Early Hints) for the answer (RFC 9110, 15.2: any 1xx may come)."""
    plain = http.client.HTTPResponse._read_status  # type: ignore[attr-defined]

    def read_status(answer: Any) -> tuple[str, int, str]:
        while True:
            version, status, reason = plain(answer)
            if not 101 < status < 200:
                return version, status, reason
            http.client._read_headers(answer.fp)  # type: ignore[attr-defined]

    http.client.HTTPResponse._read_status = read_status  # type: ignore[attr-defined]
