"""FastHttpUser: geventhttpclient enters the mesh, puts each request on record - and never sends one twice.

By itself it sends a GET again, up to `concurrency` + 1 times, when the server resets or closes the connection, and
tells nobody: of 560 resets Locust then reports none. A user's own `max_retries` still works; each try is recorded.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import geventhttpclient.client
from geventhttpclient.connectionpool import ConnectionPool
from geventhttpclient.response import HTTPSocketPoolResponse
from locust.contrib.fasthttp import LocustUserAgent

from meshtest.model.record import ANSWERED
from meshtest_locust.fates import fate_of
from meshtest_locust.journal import Attempt
from meshtest_locust.link import Link


class Followed(HTTPSocketPoolResponse):
    """An answer whose request ends when its connection is given back: at the last byte, or when reading failed."""

    attempt: Attempt | None = None

    def release(self) -> None:
        super().release()
        if self.attempt is not None:
            attempt, self.attempt = self.attempt, None
            _ended(self, attempt)


def _ended(answer: Any, attempt: Attempt) -> None:
    error = None if answer.message_complete else sys.exc_info()[1]
    attempt.end(ANSWERED if error is None else fate_of(error), len(answer._body_buffer))


def install(link: Link) -> None:
    """From now on, in this process, for every FastHttpSession."""
    plain = LocustUserAgent._urlopen

    def resolve(pool: Any) -> list[Any]:
        pool.opened = getattr(pool, "opened", 0) + 1
        return [(link.family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (link.address, link.port))]

    def urlopen(agent: Any, request: Any) -> Any:
        pool = agent.clientpool.get_client(request.url_split)._connection_pool
        pool.size = -1  # it sends a request 1 + size + 1 times at most; nothing else reads it
        opened = getattr(pool, "opened", 0)
        attempt = link.journal.begin()
        for name, value in link.journal.headers(attempt, request.headers):
            request.headers[name] = value
        try:
            response = plain(agent, request)
        except BaseException as error:
            attempt.end(fate_of(error))
            raise
        answer = response._response
        attempt.reused = int(opened == pool.opened)
        attempt.answered(answer.get_code(), answer.get)
        if answer.message_complete:
            _ended(answer, attempt)
        else:
            answer.attempt = attempt
        return response

    ConnectionPool._resolve = resolve
    LocustUserAgent._urlopen = urlopen
    geventhttpclient.client.HTTPSocketPoolResponse = Followed
