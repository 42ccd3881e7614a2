"""How long and how large the head of a request may be, and how many connections, on a loop that tests move on."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from meshtest.webhook.descriptors import Complaints
from meshtest.webhook.protocol import LARGEST_HEAD, LimitedProtocol


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Connection:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, state: ServerState | None = None
    ) -> None:
        self.timers: list[tuple[float, Callable[[], object], asyncio.TimerHandle]] = []
        later = loop.call_later

        def call_later(delay: float, callback: Any, *arguments: Any) -> asyncio.TimerHandle:
            handle = later(3600, callback, *arguments)
            self.timers.append((delay, callback, handle))
            return handle

        monkeypatch.setattr(loop, "call_later", call_later)
        self.loop, self.transport, self.late = loop, Transport(), 0.0
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self.late)
        self.state = state or ServerState()
        self.protocol = LimitedProtocol(uvicorn.Config(answer, lifespan="off"), self.state, {}, _loop=loop)
        self.protocol.connection_made(self.transport)

    def send(self, data: bytes) -> bytes:
        """What has been answered by then."""
        self.protocol.data_received(data)
        for _ in range(5):
            self.loop.run_until_complete(asyncio.sleep(0))
        return self.transport.written

    def time_is_up(self) -> bytes:
        self.late += LimitedProtocol.within
        looking = [one for one in self.timers if one[1] == self.protocol._look and not one[2].cancelled()]
        for one in looking:
            self.timers.remove(one)
            one[1]()
        for _ in range(5):
            self.loop.run_until_complete(asyncio.sleep(0))
        return self.transport.written


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """After the body, but at /now; at /held never."""
    if scope["path"] == "/held":
        await asyncio.Event().wait()
    if scope["path"] != "/now":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    with asyncio.Runner() as runner:
        made = Connection(runner.get_loop(), monkeypatch)
        yield made
        made.protocol.connection_lost(None)


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("begun", [b"", b"GET", HEAD, HEAD + b"X: "])
def test_a_head_that_does_not_end_in_time(connection: Connection, begun: bytes) -> None:
    assert connection.send(begun) == b""
    assert connection.time_is_up().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert connection.transport.closed


def test_one_that_does_and_the_next_on_the_same_connection(connection: Connection) -> None:
    for count in (1, 2):
        assert connection.send(HEAD + b"\r\n").count(b"HTTP/1.1 200") == count
        connection.time_is_up()
        assert not connection.transport.closed, "silence between requests is no slow head"
    connection.send(HEAD)
    assert b"408 Request Timeout" in connection.time_is_up()


POST = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


def test_a_body_that_does_not_end_in_time(connection: Connection) -> None:
    connection.send(POST % b"/" + b"1234")
    connection.late += LimitedProtocol.within / 2
    assert connection.send(b"5678") == b""
    told = connection.time_is_up()
    assert told.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert told.endswith(b"the body did not come within 10 s (--header-timeout)\n")
    assert connection.transport.closed


def test_one_that_does_after_a_head_that_took_its_time(connection: Connection) -> None:
    connection.send((POST % b"/")[:-2])
    connection.late += LimitedProtocol.within * 0.9
    connection.send(b"\r\n")
    connection.late += LimitedProtocol.within * 0.9
    assert connection.send(b"123456789").startswith(b"HTTP/1.1 200")
    connection.time_is_up()
    assert not connection.transport.closed


def test_what_was_answered_without_its_body_is_closed_without_a_word(connection: Connection) -> None:
    answered = connection.send(POST % b"/now")
    assert answered.startswith(b"HTTP/1.1 200")
    assert connection.time_is_up() == answered
    assert connection.transport.closed


def test_a_body_is_not_late_that_waits_for_the_answer_before_it(connection: Connection) -> None:
    connection.send(HEAD.replace(b"/", b"/held", 1) + b"\r\n" + POST % b"/" + b"1234")
    for _ in range(3):
        assert connection.time_is_up() == b""
    assert not connection.transport.closed


@pytest.mark.parametrize("line", [b"X: " + b"a" * LARGEST_HEAD, b"X: 1\r\n" * (LARGEST_HEAD // 5)])
def test_a_head_that_is_too_large(connection: Connection, line: bytes) -> None:
    assert connection.send(HEAD + line + b"\r\n\r\n").startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert connection.transport.closed


def test_a_header_that_never_ends(connection: Connection) -> None:
    connection.send(HEAD + b"X: ")
    for _ in range(LARGEST_HEAD // 1000 + 1):
        connection.send(b"a" * 1000)
    assert connection.transport.closed


def test_large_ones_one_after_the_other(connection: Connection) -> None:
    large = HEAD + b"X: " + b"a" * (LARGEST_HEAD - 100) + b"\r\n\r\n"
    for count in (1, 2, 3):
        assert connection.send(large).count(b"HTTP/1.1 200") == count


def test_one_connection_too_many_is_told_so_and_the_others_stay(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedProtocol, "most", 1)
    another = Connection(connection.loop, monkeypatch, connection.state)
    assert another.transport.written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert another.transport.closed
    another.protocol.connection_lost(None)
    assert connection.send(HEAD + b"\r\n").startswith(b"HTTP/1.1 200")


def test_that_no_connection_can_be_accepted_is_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    complain = Complaints()
    loop: Any = None
    for _ in range(3):
        complain(loop, {"message": "accept", "exception": OSError(errno.EMFILE, "Too many open files")})
    complain(loop, {"message": "something else", "exception": ValueError("whatever")})
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("no connection can be accepted: [Errno 24] Too many open files")
    assert second == "something else"
