"""HTTP/2 of a load: streams on kept connections, or a connection for each. Frames and streams: http2_session.py.

Kept lane: connections are opened until there are as many as asked for, then used in turn; one whose streams are as many
as the peer allows is passed over, and if all are, another is opened: an open loop must not wait.
"""

from __future__ import annotations

from time import monotonic_ns

from meshtest.loads.exchange import Exchange
from meshtest.loads.http2_fields import literal
from meshtest.loads.http2_session import Session, Stream
from meshtest.loads.sockets import READ, WRITE, TlsFailed, WantRead, fate_of
from meshtest.loads.wire import Garbled
from meshtest.model.record import ANSWERED, CLOSED, FRESH, GARBLED, HTTP2, NEVER, NO_CODE, TICK_NS, TIMEOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from meshtest.loads.exchange import Stage, TargetOrder

_CHUNK = 65_536


class Connection:
    """A link and the session on it."""

    __slots__ = ("error", "fd", "fresh", "heard", "interest", "link", "session", "unsent", "used")

    def __init__(self, link: Any, fresh: bool) -> None:
        self.link, self.fresh = link, fresh
        self.fd: int = link.fileno()
        self.session = Session()
        self.unsent = b""
        self.interest = READ
        self.used = 0
        """1 once it has carried a request."""
        self.heard = 0
        """When something last came (ns)."""
        self.error: OSError | None = None
        """Why sending failed; the peer may have said something before that."""


class Call(Stream):
    """A stream, and the request on it."""

    __slots__ = ("began", "connection", "index", "intended", "lane", "reused", "sent")

    connection: Connection
    index: int
    intended: int
    began: int
    sent: int
    lane: int
    reused: int


def fixed_block(target: TargetOrder, own: Callable[[dict[str, str]], list[tuple[str, str]]]) -> bytes:
    """The header fields of every request. A proxy is told by `:authority` alone, as HTTP/2 has no other form."""
    given = {name.lower(): value for name, value in target["headers"]}
    fields = [
        (":method", target["method"]),
        (":scheme", "https" if target["tls"] else "http"),
        (":authority", given.get("host", target["authority"])),
        (":path", target["path"]),
        *own(given),
        *((name, value) for name, value in given.items() if name not in ("host", "content-length")),
    ]
    return b"".join(literal(name.encode(), value.encode()) for name, value in fields)


class Http2(Exchange):
    """All streams of a target."""

    transport = HTTP2
    grpc = False

    def __init__(self, stage: Stage, target: TargetOrder, number: int) -> None:
        super().__init__(stage, target, number)
        self._pool: list[Connection] = []
        self._turn = 0
        self._head_only = target["method"] == "HEAD"
        self._body = self.body()
        self._block = fixed_block(target, self.own_fields)

    # What is sent.

    def body(self) -> bytes:
        return self.target["body"]

    def own_fields(self, given: dict[str, str]) -> list[tuple[str, str]]:
        """What the protocol adds to the fields that its user gave."""
        return [("content-length", str(len(self._body)))] if self._body else []

    # Sending.

    def begin(self, index: int, intended: int, now: int, lane: int) -> None:
        try:
            connection = self._open(True) if lane == FRESH else self._take(now)
        except OSError as error:
            self.lose(index, intended, now, lane, fate_of(error))
            return
        pairs = self.stamp.pairs(index)
        block = self._block + b"".join([literal(name, value) for name, value in pairs])
        call = Call(grpc=self.grpc, head_only=self._head_only)
        call.connection, call.index, call.intended, call.lane = connection, index, intended, lane
        call.reused, call.began, connection.used = connection.used, now, 1
        call.sent = self.started(call, index, intended, now)
        connection.session.open(call, block, self._body)
        self._push(connection)

    def _take(self, now: int) -> Connection:
        """The next one in turn that takes another stream, as far as its peer has said."""
        pool = self._pool
        if len(pool) >= self.connections:
            for _ in range(len(pool)):
                self._turn += 1
                connection = pool[self._turn % len(pool)]
                if not connection.session.streams:
                    self._receive(connection, now)
                if connection.session.has_room and connection.fd >= 0:
                    return connection
                if not pool:
                    break
        return self._open(False)

    def _open(self, fresh: bool) -> Connection:
        connection = Connection(self.peer.connect(fresh=fresh), fresh)
        self.stage.wakes[connection.fd] = lambda events: self._wake(connection, events)
        self.stage.poller.register(connection.fd, READ)
        if not fresh:
            self._pool.append(connection)
        return connection

    def _push(self, connection: Connection) -> None:
        """As much as the kernel takes."""
        session = connection.session
        if session.out:
            connection.unsent += b"".join(session.out)
            session.out.clear()
        interest = READ
        try:
            while connection.unsent:
                connection.unsent = connection.unsent[connection.link.send(connection.unsent) :]
        except WantRead:
            pass
        except BlockingIOError:
            interest = READ | WRITE
        except OSError as error:
            connection.unsent = b""
            connection.error = error
            self._receive(connection, monotonic_ns())
            return
        if interest != connection.interest:
            connection.interest = interest
            self.stage.poller.modify(connection.fd, interest)

    # Receiving.

    def _wake(self, connection: Connection, events: int) -> None:
        if connection.unsent:
            self._push(connection)
        if connection.fd >= 0 and events != WRITE:
            self._receive(connection, monotonic_ns())

    def _receive(self, connection: Connection, now: int) -> None:
        """Read what is there and judge it; after a failure to send, to the end."""
        while connection.fd >= 0:
            try:
                data = connection.link.recv(_CHUNK)
            except BlockingIOError:
                if connection.error:
                    self._end(connection, fate_of(connection.error), now)
                return
            except TlsFailed as error:
                self.stage.tally.trouble(error.strerror)
                self._end(connection, fate_of(error), now)
                return
            except OSError as error:
                self._end(connection, fate_of(connection.error or error), now)
                return
            if not data:
                self._end(connection, fate_of(connection.error) if connection.error else CLOSED, now)
                return
            self._feed(connection, data, now)
            if not connection.error:
                return

    def _feed(self, connection: Connection, data: bytes, now: int) -> None:
        session = connection.session
        connection.heard = now
        try:
            over = session.feed(data, now)
        except Garbled as error:
            self.stage.tally.trouble(str(error))
            self._finish_all(session.taken(), now)
            session.out.append(session.farewell())
            self._say_last(connection)
            self._end(connection, GARBLED, now)
            return
        self._finish_all(over, now)
        if session.out and not connection.error:
            self._push(connection)
        self._tidy(connection)

    def _say_last(self, connection: Connection) -> None:
        try:
            connection.link.send(connection.unsent + b"".join(connection.session.out))
        except OSError:
            return

    def _tidy(self, connection: Connection) -> None:
        """Close what can carry nothing more."""
        if connection.fd < 0 or connection.session.streams:
            return
        if connection.fresh or connection.session.going:
            if not connection.fresh:
                self.stage.tally.idle_closed += 1
            self._close(connection)

    # Ends.

    def _end(self, connection: Connection, fate: int, now: int) -> None:
        """The connection is over, and every stream on it."""
        left = connection.session.end(fate)
        if not left and not connection.fresh:
            self.stage.tally.idle_closed += 1
        self._close(connection)
        self._finish_all(left, now)

    def _finish_all(self, calls: list[Any], now: int) -> None:
        for call in calls:
            self._finish(call, now)

    def _finish(self, call: Call, now: int) -> None:
        """The one place where a request ends."""
        index, fate, intended = call.index, call.fate, call.intended
        call.index = -1
        good = fate == ANSWERED
        if good and self.stamp.sessions:
            for cookie in call.cookies:
                self.stamp.keep(index, cookie)
        first = (call.first - intended) // TICK_NS if call.first else NEVER
        self.ended(
            now, call.served_by, intended, index, call.sent, first, call.status if good else 0, fate, call.lane,
            call.attempts, call.reused, call.size, call.code if good and self.grpc else NO_CODE,
        )  # fmt: skip

    def _close(self, connection: Connection) -> None:
        del self.stage.wakes[connection.fd]
        self.stage.poller.unregister(connection.fd)
        connection.link.close()
        connection.fd = -1
        if not connection.fresh:
            self._pool.remove(connection)

    def give_up(self, call: Call, now: int) -> None:
        """The stream is cancelled. A connection that has been silent since takes no other: it may be dead."""
        connection = call.connection
        connection.session.cancel(call)
        call.fate = TIMEOUT
        self._finish(call, now)
        if connection.heard < call.began:
            connection.session.going = True
        self._push(connection)
        self._tidy(connection)
