"""Connections, and the requests on them: from the first attempt to send until their one fate. Light imports.

Not here: when to send (prober.py), what the bytes of an answer mean (wire.py).
"""

from __future__ import annotations

from collections import deque
from time import monotonic_ns

from meshtest.loads.sockets import READ, WRITE, EpollPoller, PollPoller, Target, fate_of, is_open
from meshtest.loads.tally import Tally
from meshtest.loads.wire import Answer, Garbled
from meshtest.model.record import (
    ANSWERED,
    CLOSED,
    FRESH,
    GARBLED,
    HTTP1,
    KEEPALIVE,
    NEVER,
    NO_CODE,
    NOT_SENT,
    TICK_NS,
    TIMEOUT,
)  # fmt: skip
from meshtest.spi.sheet import Sheet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

_CHUNK = 65536


class Connection:
    """A socket and the request on it."""

    __slots__ = (
        "answer",
        "error",
        "fd",
        "first",
        "fresh",
        "index",
        "intended",
        "interest",
        "reused",
        "sent",
        "sock",
        "unsent",
    )

    def __init__(self, sock: socket, fresh: bool) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.fresh = fresh
        self.reused = 0
        self.index = self.intended = self.sent = 0
        self.first = NEVER
        self.unsent = b""
        self.interest = READ
        self.answer: Answer | None = None
        """None while idle."""
        self.error: OSError | None = None
        """Why sending failed; the peer may have answered before that."""


class Exchange:
    """All connections of a load. `begin` starts a request; whatever becomes of it goes to the sheet, once."""

    def __init__(self, sheet: Sheet, tally: Tally, poller: EpollPoller | PollPoller, target: Target) -> None:
        self.under_way = 0
        self._sheet, self._tally, self._poller, self._target = sheet, tally, poller, target
        self._connections: dict[int, Connection] = {}
        self._idle: deque[Connection] = deque()
        self._kept = 0
        self._deadlines: deque[tuple[int, int, Connection]] = deque()
        self.connections = 1
        """Kept connections to open before any of them is used again."""
        self.timeout = 0
        """ns, for each request."""
        self.head_only = False

    # Sending.

    def begin(self, request: bytes, index: int, intended: int, now: int, lane: int) -> None:
        """Send now what was intended then."""
        try:
            connection = self._open(True) if lane == FRESH else self._take()
        except OSError as error:
            self.lose(index, intended, now, lane, fate_of(error))
            return
        connection.index, connection.intended = index, intended
        connection.first, connection.error = NEVER, None
        connection.answer = Answer(self.head_only)
        connection.unsent = request
        connection.sent = late = (now - intended) // TICK_NS
        self._tally.count_send(now, late)
        self.under_way += 1
        self._deadlines.append((now + self.timeout, index, connection))
        self._push(connection)

    def lose(self, index: int, intended: int, now: int, lane: int, fate: int) -> None:
        """No connection: the kernel refused at once (then it was tried), or there is no socket to be had."""
        late = NEVER if fate == NOT_SENT else (now - intended) // TICK_NS
        if fate != NOT_SENT:
            self._tally.count_send(now, late)
        self._note(
            now,
            b"",
            (intended, index, late, NEVER, (now - intended) // TICK_NS, 0, fate, lane, 0, 0, 0, 0, HTTP1, NO_CODE),
        )

    def _take(self) -> Connection:
        """A kept connection: a new one until there are enough of them, then the longest idle one that still stands."""
        if self._kept >= self.connections:
            while self._idle:
                connection = self._idle.popleft()
                if is_open(connection.sock):
                    return connection
                self._drop_idle(connection)
        return self._open(False)

    def _open(self, fresh: bool) -> Connection:
        connection = Connection(self._target.connect(fresh=fresh), fresh)
        self._connections[connection.fd] = connection
        self._poller.register(connection.fd, READ)
        self._kept += not fresh
        return connection

    def _push(self, connection: Connection) -> None:
        """Send as much as the kernel takes; on loopback a connection stands before connect() has returned."""
        try:
            connection.unsent = connection.unsent[connection.sock.send(connection.unsent) :]
        except BlockingIOError:
            pass
        except OSError as error:
            connection.unsent = b""
            connection.error = error
            self._receive(connection)
            return
        interest = READ | WRITE if connection.unsent else READ
        if interest != connection.interest:
            connection.interest = interest
            self._poller.modify(connection.fd, interest)

    # Receiving.

    def ready(self, fd: int, events: int) -> None:
        """The poller says that something can be done with this descriptor."""
        connection = self._connections[fd]
        if connection.unsent:
            self._push(connection)
            if not connection.unsent or not events & READ:
                return
        self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        """Read what is there and judge it."""
        answer = connection.answer
        try:
            data = connection.sock.recv(_CHUNK)
        except BlockingIOError:
            if connection.error:
                self._finish(connection, fate_of(connection.error))
            return
        except OSError as error:
            if answer is None:
                self._idle_end(connection)
            else:
                self._finish(connection, fate_of(connection.error or error))
            return
        if answer is None:
            self._idle_end(connection)
        elif data:
            self._feed(connection, answer, data)
        elif answer.end():
            self._finish(connection, ANSWERED)
        else:
            self._finish(connection, fate_of(connection.error) if connection.error else CLOSED)

    def _feed(self, connection: Connection, answer: Answer, data: bytes) -> None:
        now = monotonic_ns()
        if connection.first == NEVER:
            connection.first = (now - connection.intended) // TICK_NS
        try:
            if answer.feed(data):
                self._finish(connection, ANSWERED, now)
            elif connection.error:
                self._receive(connection)
        except Garbled:
            self._finish(connection, GARBLED, now)

    def _finish(self, connection: Connection, fate: int, now: int = 0) -> None:
        """The one place where a request ends."""
        now = now or monotonic_ns()
        answer = connection.answer
        assert answer is not None
        intended, fresh = connection.intended, connection.fresh
        self.under_way -= 1
        self._note(
            now,
            answer.served_by,
            (
                intended, connection.index, connection.sent, connection.first, (now - intended) // TICK_NS,
                answer.status if fate == ANSWERED else 0, fate, FRESH if fresh else KEEPALIVE,
                answer.attempts, connection.reused, 0, 0, HTTP1, NO_CODE,
            ),
        )  # fmt: skip
        connection.answer = None
        if fresh or fate != ANSWERED or not answer.keep or connection.unsent:
            self._close(connection)
        else:
            connection.reused = 1
            self._idle.append(connection)

    def _note(self, now: int, served_by: bytes, row: tuple[int, ...]) -> None:
        self._tally.fates[row[6]] += 1
        self._sheet.add(now, served_by, row)

    def _close(self, connection: Connection) -> None:
        del self._connections[connection.fd]
        self._kept -= not connection.fresh
        self._poller.unregister(connection.fd)
        connection.sock.close()

    def _idle_end(self, connection: Connection) -> None:
        self._idle.remove(connection)
        self._drop_idle(connection)

    def _drop_idle(self, connection: Connection) -> None:
        """The peer ended a connection while nothing was under way on it: its right, and no request is lost by it."""
        self._tally.idle_closed += 1
        self._close(connection)

    # Giving up.

    @property
    def deadline(self) -> int:
        """When the oldest request under way is given up (ns); 0 if there is none. One that is over by now may count."""
        return self._deadlines[0][0] if self._deadlines else 0

    def expire(self, now: int) -> None:
        """Give up what has taken too long. All requests have the same timeout, so the first to begin is the first."""
        deadlines = self._deadlines
        while deadlines:
            deadline, index, connection = deadlines[0]
            under_way = connection.answer is not None and connection.index == index
            if under_way and deadline > now:
                break
            deadlines.popleft()
            if under_way:
                self._finish(connection, TIMEOUT, now)
