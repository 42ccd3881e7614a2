"""Plain TCP of a load (or TLS without ALPN): held connections on which each message is answered.

 body              answered by
 a line (ends \n)  a line
 other bytes       the same bytes: an echo
 none              the question `meshtest\n`, by which a stand-in tells who it is: a line of JSON

Only the last tells versions apart: there is no header on plain TCP. Nor is there a status: an answer counts as 200, so
that whoever judges by statuses need not know of TCP.
"""

from __future__ import annotations

from meshtest.loads.held import Held, Message, Talk
from meshtest.loads.wire import Garbled
from meshtest.model.record import CLOSED, TCP

QUESTION = b"meshtest\n"
_LONGEST_LINE = 1 << 20
_OK = 200


class Tcp(Held):
    """All messages of a target."""

    transport = TCP

    def talk(self, index: int) -> Talk:
        body = self.target["body"]
        return Lines(asks=not body) if not body or body.endswith(b"\n") else Echo()

    def text(self, index: int) -> bytes:
        return super().text(index) if self.target["body"] else QUESTION


class Lines(Talk):
    """A line for a line."""

    def __init__(self, *, asks: bool) -> None:
        super().__init__()
        self.status = _OK
        self._asks = asks
        self._rest = b""
        self._who = b""

    def say(self, message: Message) -> None:
        self.waiting.append(message)
        self.out.append(message.text)

    def feed(self, data: bytes, now: int) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line, now)
        if len(self._rest) > _LONGEST_LINE:
            raise Garbled("a line without end")
        if self._rest and self.waiting:
            self.waiting[0].first = self.waiting[0].first or now

    def _take(self, line: bytes, now: int) -> None:
        if not self.waiting:
            raise Garbled("more lines than were asked for")
        message = self.waiting.pop(0)
        message.first, message.size = message.first or now, len(line) + 1
        if self._asks and line != self._who:
            self._who, self.served_by = line, who(line)
        self.answered.append(message)

    def end(self) -> int:
        return CLOSED


class Echo(Talk):
    """What comes back is what was said."""

    def __init__(self) -> None:
        super().__init__()
        self.status = _OK
        self._rest = b""

    def say(self, message: Message) -> None:
        self.waiting.append(message)
        self.out.append(message.text)

    def feed(self, data: bytes, now: int) -> None:
        data = self._rest + data
        while data:
            if not self.waiting:
                raise Garbled("more than was said")
            message = self.waiting[0]
            text = message.text
            message.first = message.first or now
            if not text.startswith(data[: len(text)]):
                raise Garbled("not what was said")
            if len(data) < len(text):
                break
            data = data[len(text) :]
            message.size = len(text)
            self.answered.append(self.waiting.pop(0))
        self._rest = data

    def end(self) -> int:
        return CLOSED


def who(line: bytes) -> bytes:
    """`service/version/pod` out of a stand-in's line; b"" if it is something else."""
    import json  # once for each connection

    try:
        told = json.loads(line)
        return f"{told['service']}/{told['version']}/{told['pod']}".encode()
    except (ValueError, KeyError, TypeError):
        return b""
