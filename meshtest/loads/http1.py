"""HTTP/1.1: kept connections and fresh ones, a request on each at a time, from the first byte until its one fate.

Why it looks as it does: `Connection.ready` and `Connection.send` are run for every request of every load, at up to
50,000 a second, and each attribute, call and object costs a thousandth of the time there is. So the usual case - a
kept connection, a request that leaves whole, an answer that comes whole and whose head is, byte for byte, one that was
seen before - is one straight line in each, without an object of its own: nothing is parsed, and of the RECORD only the
times are packed. Whatever is unusual leaves that line at once for the plain code below it, which takes every case.

Not here: when to send (prober.py), what the bytes of an answer mean (wire.py).
"""

from __future__ import annotations

import struct
from collections import deque
from heapq import heappop, heappush
from itertools import count
from time import monotonic_ns

from meshtest.loads.exchange import Exchange, Stage
from meshtest.loads.sockets import READ, WRITE, TlsFailed, WantRead, fate_of, is_open
from meshtest.loads.wire import Answer, Garbled
from meshtest.model.choices import trace
from meshtest.model.record import (
    ANSWERED,
    CLOSED,
    FRESH,
    GARBLED,
    HTTP1,
    KEEPALIVE,
    NEVER,
    NO_CODE,
    RECORD,
    REQUEST_ID,
    TICK_NS,
    TIMEOUT,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from meshtest.loads.exchange import TargetOrder

_CHUNK = 65536
_SMALL = 16384
"""What the usual answer fits into; a larger buffer costs more to get than it saves."""
_IDLE = -1
BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE")
_VARIABLE = 24
_TIMES = struct.Struct("<QIIII").pack
"""The fields of a RECORD that differ each time; the others are 16 bytes known from an answer seen before."""
_MOST_HEADS = 512
_END_OF_HEAD = b"\r\n\r\n"


class Connection:
    """A socket and the request on it."""

    __slots__ = (
        "_recv", "_send", "answer", "error", "fd", "first", "fresh", "index", "intended", "interest", "owner", "plain",
        "reused", "sent", "sock", "unsent", "watched",
    )  # fmt: skip

    def __init__(self, owner: Http1, sock: socket, fresh: bool) -> None:
        self.owner = owner
        self.sock = sock
        self._send, self._recv = sock.send, sock.recv
        self.fd = sock.fileno()
        self.fresh = fresh
        self.index = _IDLE
        self.intended = self.sent = 0
        self.plain = False
        """The straight line may be taken: kept, used before, a request under way that has left, nothing heard yet."""
        self.watched = False
        """It has an entry among the deadlines."""
        self.reused = 0
        self.first = NEVER
        self.unsent: bytes | memoryview = b""
        self.interest = READ
        self.answer: Answer | None = None
        """Of an answer that is not taken on the straight line."""
        self.error: OSError | None = None
        """Why sending failed; the peer may have answered before that."""

    def send(self, index: int, intended: int, now: int) -> None:
        """Begin a request here."""
        owner = self.owner
        self.index, self.intended = index, intended
        self.sent = late = (now - intended) // TICK_NS
        owner.count_send(now, late)
        owner.stage.under_way += 1
        if not self.watched:
            owner.watch(self, now + owner.timeout)
        request = owner.request(index)
        try:
            gone = self._send(request)
        except OSError as error:
            owner.held_up(self, request, error)
            return
        if gone == len(request):
            self.plain = self.reused == 1
        else:
            owner.held_up(self, memoryview(request)[gone:])

    def ready(self, events: int) -> None:
        """Something can be read, or the rest can be sent."""
        owner = self.owner
        if not self.plain:
            owner.resume(self, events)
            return
        try:
            data = self._recv(_SMALL)
        except OSError as error:
            owner.broken(self, error)
            return
        now = monotonic_ns()
        known = owner.heads.get(data[: data.find(_END_OF_HEAD) + 4])
        if known is None or known[0] != len(data):
            owner.heard(self, data, now)
            return
        done = (now - self.intended) // TICK_NS
        owner.sheet.rows.append(_TIMES(self.intended, self.index, self.sent, done, done) + known[1])
        owner.fates[ANSWERED] += 1
        owner.stage.under_way -= 1
        if owner.turn and (index := owner.turn()) >= 0:
            self.send(index, now, now)
            return
        self.index = _IDLE
        self.plain = False
        owner.idle.append(self)


class Http1(Exchange):
    """All connections to a target."""

    transport = HTTP1

    def __init__(self, stage: Stage, target: TargetOrder, number: int) -> None:
        super().__init__(stage, target, number)
        self.sheet, self.fates, self.turn = stage.sheet, stage.tally.fates, stage.turn
        self.count_send = stage.tally.count_send
        self.idle: deque[Connection] = deque()
        self.heads: dict[bytes, tuple[int, bytes]] = {}
        """Heads of answers seen on a kept connection: the length of head and body, and the RECORD without its times."""
        self._kept = 0
        self._head_only = target["method"] == "HEAD"
        self._before, self._body = request_parts(target)
        stamp = self.stamp
        self._plain, self._salt, self._sampled_below = stamp.plain, stamp.salt, stamp.sampled_below
        literal = self._before + b"%b: %b-" % (REQUEST_ID.encode(), stamp.name)
        template = literal.replace(b"%", b"%%") + b"%d\r\ntraceparent: " + stamp.upper + b"%b-%b-"
        self._unsampled, self._sampled = template + b"00\r\n\r\n", template + b"01\r\n\r\n"
        self._watched: list[tuple[int, int, Connection]] = []
        self._entries = count()

    def request(self, index: int) -> bytes:
        """What goes over the wire."""
        if not self._plain:
            return b"%b%b\r\n%b" % (self._before, self.stamp.lines(index), self._body)
        lower = trace(self._salt, index)
        span = b"%016x" % lower
        head = (self._sampled if lower < self._sampled_below else self._unsampled) % (index, span, span)
        return head + self._body if self._body else head

    # Sending.

    def begin(self, index: int, intended: int, now: int, lane: int) -> None:
        """Send now what was intended then."""
        try:
            connection = self._open(True) if lane == FRESH else self._take()
        except OSError as error:
            self.no_socket(index, intended, now, lane, error)
        else:
            connection.send(index, intended, now)

    def _take(self) -> Connection:
        """A kept connection: a new one until there are enough of them, then the longest idle one that still stands."""
        if self._kept >= self.connections:
            while self.idle:
                connection = self.idle.popleft()
                if is_open(connection.sock):
                    return connection
                self._drop_idle(connection)
        return self._open(False)

    def _open(self, fresh: bool) -> Connection:
        connection = Connection(self, self.peer.connect(fresh=fresh), fresh)
        self.stage.wakes[connection.fd] = connection.ready
        self.stage.poller.register(connection.fd, READ)
        self._kept += not fresh
        return connection

    def held_up(self, connection: Connection, unsent: bytes | memoryview, error: OSError | None = None) -> None:
        """The kernel took nothing, or not all."""
        connection.answer = Answer(self._head_only)
        connection.unsent = unsent
        if error is None or isinstance(error, BlockingIOError):
            self._await(connection, READ if isinstance(error, WantRead) else READ | WRITE)
        else:
            self._failed(connection, error)

    def _push(self, connection: Connection) -> None:
        """Send as much as the kernel takes; on loopback a connection stands before connect() has returned."""
        wanted = READ | WRITE
        try:
            connection.unsent = memoryview(connection.unsent)[connection.sock.send(connection.unsent) :]
        except WantRead:
            wanted = READ
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(connection, error)
            return
        self._await(connection, wanted if connection.unsent else READ)

    def _await(self, connection: Connection, interest: int) -> None:
        if interest != connection.interest:
            connection.interest = interest
            self.stage.poller.modify(connection.fd, interest)

    def _failed(self, connection: Connection, error: OSError) -> None:
        """It could not be sent; but the peer may have answered before it closed."""
        connection.unsent = b""
        connection.error = error
        self._receive(connection)

    # Receiving.

    def resume(self, connection: Connection, events: int) -> None:
        """What has become possible on a connection that is not on the straight line."""
        if connection.unsent:
            self._push(connection)
            if not events & READ or connection.index == _IDLE:
                return  # else the peer may have answered before it has read all
        self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        """Read what is there and judge it."""
        try:
            data = connection.sock.recv(_CHUNK)
        except OSError as error:
            self.broken(connection, error)
            return
        if connection.index == _IDLE:
            self._idle_end(connection)
        else:
            self.heard(connection, data, monotonic_ns())

    def broken(self, connection: Connection, error: OSError) -> None:
        """Reading failed, or there is nothing to read."""
        if connection.index == _IDLE:
            if not isinstance(error, BlockingIOError):
                self._idle_end(connection)
        elif connection.error or not isinstance(error, BlockingIOError):
            if isinstance(error, TlsFailed):
                self.stage.tally.trouble(error.strerror)
                connection.error = error
            self._finish(connection, fate_of(connection.error or error))

    def heard(self, connection: Connection, data: bytes, now: int) -> None:
        """A piece of an answer, or its end."""
        connection.plain = False
        answer = connection.answer
        if answer is None:
            answer = connection.answer = Answer(self._head_only)
        if not data:
            complete = answer.end()
            cut = fate_of(connection.error) if connection.error else CLOSED
            self._finish(connection, ANSWERED if complete else cut, now)
            return
        if connection.first == NEVER:
            connection.first = (now - connection.intended) // TICK_NS
        try:
            complete = answer.feed(data)
        except Garbled:
            self._finish(connection, GARBLED, now)
            return
        if complete:
            self._learn(connection, answer, data)
            self._finish(connection, ANSWERED, now)
        elif connection.error:
            self._receive(connection)

    def _learn(self, connection: Connection, answer: Answer, data: bytes) -> None:
        """The next answer with this head need not be parsed, if this one came whole and says how long it is."""
        if answer.length != len(data) or not answer.keep or answer.cookies or connection.fresh:
            return
        if len(self.heads) >= _MOST_HEADS:
            self.heads.clear()
        server = self.sheet.number(answer.served_by)
        row = RECORD.pack(
            0, 0, 0, 0, 0, answer.status, server, ANSWERED, KEEPALIVE, answer.attempts, 1, answer.size,
            self.number, HTTP1, NO_CODE,
        )  # fmt: skip
        self.heads[data[: data.find(_END_OF_HEAD) + 4]] = (len(data), row[_VARIABLE:])

    def _finish(self, connection: Connection, fate: int, now: int = 0) -> None:
        """The one place where a request ends that was not on the straight line."""
        now = now or monotonic_ns()
        answer = connection.answer or Answer()
        fresh, index = connection.fresh, connection.index
        if self.stamp.sessions:
            for cookie in answer.cookies:
                self.stamp.keep(index, cookie)
        self.ended(
            now, answer.served_by, connection.intended, index, connection.sent, connection.first,
            answer.status if fate == ANSWERED else 0, fate, FRESH if fresh else KEEPALIVE, answer.attempts,
            connection.reused, answer.size,
        )  # fmt: skip
        connection.index = _IDLE
        connection.plain = False
        if fresh or fate != ANSWERED or not answer.keep or connection.unsent:
            self._close(connection)
            return
        connection.answer = connection.error = None
        connection.first = NEVER
        connection.reused = 1
        self.idle.append(connection)

    def _close(self, connection: Connection) -> None:
        del self.stage.wakes[connection.fd]
        self._kept -= not connection.fresh
        self.stage.poller.unregister(connection.fd)
        connection.sock.close()

    def _idle_end(self, connection: Connection) -> None:
        self.idle.remove(connection)
        self._drop_idle(connection)

    def _drop_idle(self, connection: Connection) -> None:
        """The peer ended a connection while nothing was under way on it: its right, and no request is lost by it."""
        self.stage.tally.idle_closed += 1
        self._close(connection)

    # Giving up. A connection is entered once, not each of its requests: its entry comes up after a timeout, and is put
    # off to the deadline of the request that is on it by then.

    def watch(self, connection: Connection, deadline: int) -> None:
        connection.watched = True
        heappush(self._watched, (deadline, next(self._entries), connection))

    @property
    def deadline(self) -> int:
        return self._watched[0][0] if self._watched else 0

    def expire(self, now: int) -> None:
        while self._watched and self._watched[0][0] <= now:
            _, _, connection = heappop(self._watched)
            connection.watched = False
            if connection.index == _IDLE:
                continue
            deadline = connection.intended + connection.sent * TICK_NS + self.timeout
            if deadline > now:
                self.watch(connection, deadline)
            else:
                self._finish(connection, TIMEOUT, now)


def request_parts(target: TargetOrder) -> tuple[bytes, bytes]:
    """The head of a request up to the fields that differ each time, and its body."""
    given = {name.lower() for name, _ in target["headers"]}
    authority, path = target["authority"], target["path"]
    asked = f"http://{authority}{path}" if target["proxy"] and target["tls"] is None else path
    lines = [f"{target['method']} {asked} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"host: {authority}")
    lines += [f"{name}: {value}" for name, value in target["headers"]]
    if "content-length" not in given and (target["body"] or target["method"] not in BODILESS):
        lines.append(f"content-length: {len(target['body'])}")
    return ("\r\n".join(lines) + "\r\n").encode("latin-1"), target["body"]
