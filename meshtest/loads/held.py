"""Connections that their user holds: each request is a message and its answer, on one of n connections in turn.

Message k goes to connection k mod n. If the peer has ended that connection since the message before, message k is lost
(it is not sent, and has the fate of the connection) and the next one opens a new connection: that is what the user of a
WebSocket sees who types into one that is gone. A message that is given up leaves its connection as it is for those
under way on it, but the next message opens a new one.

Not here: what is said on a connection (a Talk: tcp.py, websocket.py, grpc_stream.py).
"""

from __future__ import annotations

from time import monotonic_ns

from meshtest.loads.exchange import Exchange
from meshtest.loads.sockets import READ, WRITE, TlsFailed, WantRead, fate_of
from meshtest.loads.wire import Garbled
from meshtest.model.record import ANSWERED, GARBLED, HELD, NEVER, NO_CODE, TICK_NS, TIMEOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from meshtest.loads.exchange import Stage, TargetOrder

PLACE = b"{id}"
_CHUNK = 65_536


class Message:
    """One request: what was said, and when."""

    __slots__ = ("first", "index", "intended", "line", "over", "reused", "sent", "size", "text")

    def __init__(self, line: Line, index: int, intended: int, text: bytes) -> None:
        self.line, self.index, self.intended, self.text = line, index, intended, text
        self.first = self.size = self.sent = self.reused = 0


class Talk:
    """What is said on one connection: messages in, bytes out, and back. Pure; subclasses know the protocol."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.waiting: list[Message] = []
        """In the order in which they were said; of those given up too, whose answer may still come."""
        self.answered: list[Message] = []
        """Taken out of `waiting` by feed(), for its caller to take."""
        self.over = -1
        """The fate of what waits, once the peer has ended the talk."""
        self.code = NO_CODE
        self.status = 0
        """Recorded for what is answered: while the talk goes on, or in its place."""
        self.served_by = b""
        self.attempts = 0

    def say(self, message: Message) -> None:
        """Send it, as soon as the peer has accepted the connection."""
        raise NotImplementedError

    def feed(self, data: bytes, now: int) -> None:
        """Raises Garbled; what was answered before that is in `answered` all the same."""
        raise NotImplementedError

    def end(self) -> int:
        """The peer has closed the connection: the fate of what waits."""
        raise NotImplementedError


class Line:
    """A held connection."""

    __slots__ = ("code", "error", "fate", "fd", "interest", "link", "retired", "talk", "unsent", "used")

    def __init__(self, link: Any, talk: Talk) -> None:
        self.link, self.talk = link, talk
        self.fd: int = link.fileno()
        self.unsent = b""
        self.interest = READ
        self.used = 0
        self.retired = False
        """A message on it was given up: it takes no other."""
        self.error: OSError | None = None
        self.fate, self.code = -1, NO_CODE
        """How it ended."""


class Held(Exchange):
    """All messages of a target."""

    def __init__(self, stage: Stage, target: TargetOrder, number: int) -> None:
        super().__init__(stage, target, number)
        self._lines: list[Line | None] = [None] * self.connections
        self._count = 0

    # For subclasses.

    def talk(self, index: int) -> Talk:
        """For a new connection, opened by request `index`."""
        raise NotImplementedError

    def text(self, index: int) -> bytes:
        """Of a message; `{id}` in the body stands for the request's id."""
        body, name = self.target["body"], self.stamp.id(index)
        return body.replace(PLACE, name) if body else name

    def lose(self, index: int, intended: int, now: int, lane: int, fate: int) -> None:
        """Whatever the lanes of the load are, all messages are held."""
        super().lose(index, intended, now, HELD, fate)

    # Sending.

    def begin(self, index: int, intended: int, now: int, lane: int) -> None:
        place = self._count % len(self._lines)
        self._count += 1
        line = self._lines[place]
        if line is not None and line.fd >= 0:
            self._receive(line, now)  # what the kernel knows by now, the user knows
        try:
            if line is None or line.retired:
                line = self._lines[place] = self._open(index)
        except OSError as error:
            self.lose(index, intended, now, HELD, fate_of(error))
            return
        message = Message(line, index, intended, self.text(index))
        message.sent = self.started(message, index, intended, now)
        message.reused, line.used = line.used, 1
        if line.fd < 0:
            self._lines[place] = None
            self._finish(message, line.fate, now, line.code)
            return
        line.talk.say(message)
        self._push(line)

    def _open(self, index: int) -> Line:
        line = Line(self.peer.connect(fresh=False), self.talk(index))
        self.stage.wakes[line.fd] = lambda events: self._wake(line, events)
        self.stage.poller.register(line.fd, READ)
        return line

    def _push(self, line: Line) -> None:
        """As much as the kernel takes."""
        talk = line.talk
        if talk.out:
            line.unsent += b"".join(talk.out)
            talk.out.clear()
        interest = READ
        try:
            while line.unsent:
                line.unsent = line.unsent[line.link.send(line.unsent) :]
        except WantRead:
            pass
        except BlockingIOError:
            interest = READ | WRITE
        except OSError as error:
            line.unsent = b""
            line.error = error
            self._receive(line, monotonic_ns())
            return
        if interest != line.interest:
            line.interest = interest
            self.stage.poller.modify(line.fd, interest)

    # Receiving.

    def _wake(self, line: Line, events: int) -> None:
        if line.unsent:
            self._push(line)
        if line.fd >= 0 and events != WRITE:
            self._receive(line, monotonic_ns())

    def _receive(self, line: Line, now: int) -> None:
        """Read what is there and judge it; after a failure to send, to the end."""
        while line.fd >= 0:
            try:
                data = line.link.recv(_CHUNK)
            except BlockingIOError:
                if line.error:
                    self._end(line, fate_of(line.error), now)
                return
            except TlsFailed as error:
                self.stage.tally.trouble(error.strerror)
                self._end(line, fate_of(error), now)
                return
            except OSError as error:
                self._end(line, fate_of(line.error or error), now)
                return
            if not data:
                self._end(line, fate_of(line.error) if line.error else line.talk.end(), now)
                return
            self._feed(line, data, now)
            if not line.error:
                return

    def _feed(self, line: Line, data: bytes, now: int) -> None:
        talk = line.talk
        try:
            talk.feed(data, now)
        except Garbled as error:
            self.stage.tally.trouble(str(error))
            talk.over = GARBLED
        answered, talk.answered = talk.answered, []
        for message in answered:
            if message.index >= 0:
                self._finish(message, ANSWERED, now)
        if talk.out and not line.error:
            self._push(line)
        if talk.over >= 0:
            self._end(line, talk.over, now)
        elif line.retired:
            self._retire(line)

    # Ends.

    def _end(self, line: Line, fate: int, now: int) -> None:
        """The connection is over, and every message on it. If there was none, the next one is lost."""
        if line.fd < 0:
            return
        line.fate, line.code = fate, line.talk.code
        lost = [message for message in line.talk.waiting if message.index >= 0]
        line.talk.waiting.clear()  # each message knows its line: nobody collects such circles in the prober
        self._close(line)
        for message in lost:
            self._finish(message, fate, now, line.code)
        if lost or line.retired:
            self._free(line)

    def _free(self, line: Line) -> None:
        """Its user has noticed: the next message opens another."""
        if line in self._lines:
            self._lines[self._lines.index(line)] = None

    def _finish(self, message: Message, fate: int, now: int, code: int = NO_CODE) -> None:
        """The one place where a request ends."""
        talk, intended, index = message.line.talk, message.intended, message.index
        message.index = -1
        first = (message.first - intended) // TICK_NS if message.first else NEVER
        self.ended(
            now, talk.served_by, intended, index, message.sent, first, talk.status if fate == ANSWERED else 0, fate,
            HELD, talk.attempts, message.reused, message.size, code,
        )  # fmt: skip

    def _close(self, line: Line) -> None:
        del self.stage.wakes[line.fd]
        self.stage.poller.unregister(line.fd)
        line.link.close()
        line.fd = -1

    def _retire(self, line: Line) -> None:
        """No one waits on it any more."""
        if line.fd >= 0 and all(message.index < 0 for message in line.talk.waiting):
            self._close(line)

    def give_up(self, message: Message, now: int) -> None:
        line = message.line
        line.retired = True
        self._finish(message, TIMEOUT, now)
        self._retire(line)
