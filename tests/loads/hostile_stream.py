"""Servers of held connections: plain TCP, a WebSocket, a stream of gRPC. Each does to a message what its script says
and keeps book. A message contains its request's id; one that never came is in no book.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from meshtest.loads import grpc_frames
from meshtest.loads.http2_fields import literal
from meshtest.loads.http2_session import frame
from meshtest.model.request import Fate
from tests.loads import hostile_http2 as http2
from tests.loads.listening import Gone, Server, half_close, reset_on_close

Verdict = tuple[Fate, int]
"""Fate, and status if it was answered: of a refusal. 0 is what the protocol says of an echo."""
ECHOED, LOST = (Fate.ANSWERED, 0), (Fate.CLOSED, 0)
RESET, TIMEOUT, GARBLED, REFUSED = (Fate.RESET, 0), (Fate.TIMEOUT, 0), (Fate.GARBLED, 0), (Fate.ANSWERED, 503)


class Channel:
    """One connection: messages in, and ways to answer."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.doom: Verdict | None = None

    def open(self, refuse: Callable[[int], bool]) -> int | None:
        """Accept the client, unless the request that opens the connection is to be refused: then which it was."""
        return None

    def texts(self) -> Iterator[bytes]:
        """Until the client ends."""
        raise NotImplementedError

    def framed(self, text: bytes) -> bytes:
        raise NotImplementedError

    def garbage(self) -> bytes:
        raise NotImplementedError

    def farewell(self) -> bytes:
        """The protocol's own end."""
        return b""

    def fragments(self, text: bytes) -> bytes:
        return self.framed(text)

    def ping(self) -> bytes:
        return b""

    def chatter(self) -> bytes:
        """What a client must not take for an answer."""
        return b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive(self) -> bytes:
        data = self.sock.recv(65_536)
        if not data:
            raise Gone
        return data


class Bytes(Channel):
    """TCP. A message ends with a semicolon."""

    def texts(self) -> Iterator[bytes]:
        rest = b""
        while True:
            *texts, rest = (rest + self.receive()).split(b";")
            yield from texts

    def framed(self, text: bytes) -> bytes:
        return text + b";"

    def garbage(self) -> bytes:
        return b"one;two;three;"


class Frames(Channel):
    """A WebSocket."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._wire = WSConnection(ConnectionType.SERVER)

    def open(self, refuse: Callable[[int], bool]) -> int | None:
        while True:
            self._wire.receive_data(self.receive())
            for event in self._wire.events():
                assert isinstance(event, Request)
                told = dict(event.extra_headers)
                index = int(told[b"x-meshtest-id"].rpartition(b"-")[2])
                if refuse(index):
                    self.send(self._wire.send(RejectConnection(status_code=503, headers=[(b"content-length", b"0")])))
                    return index
                served = [(b"x-meshtest-served-by", b"web/v1/web-1")]
                self.send(self._wire.send(AcceptConnection(extra_headers=served)))
                return None

    def texts(self) -> Iterator[bytes]:
        while True:
            self._wire.receive_data(self.receive())
            for event in self._wire.events():
                if isinstance(event, TextMessage | BytesMessage):
                    yield event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                elif isinstance(event, CloseConnection) and self._wire.state is ConnectionState.REMOTE_CLOSING:
                    self.send(self._wire.send(event.response()))
                elif isinstance(event, Pong):
                    assert bytes(event.payload) == b"are you there"

    def framed(self, text: bytes) -> bytes:
        return self._wire.send(TextMessage(text.decode()))

    def garbage(self) -> bytes:
        return b"\xff\x05hello"

    def farewell(self) -> bytes:
        return self._wire.send(CloseConnection(1001, "going away"))

    def fragments(self, text: bytes) -> bytes:
        half = len(text) // 2
        first = self._wire.send(TextMessage(text[:half].decode(), message_finished=False))
        return first + self._wire.send(TextMessage(text[half:].decode()))

    def ping(self) -> bytes:
        return self._wire.send(Ping(b"are you there"))

    def chatter(self) -> bytes:
        return self._wire.send(TextMessage("by the way"))


class Calls(Channel):
    """A stream of gRPC."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._talk = http2.Talk(sock, {}, [])
        self._number = 0

    def open(self, refuse: Callable[[int], bool]) -> int | None:
        self._talk.begin()
        while not self._talk.todo:
            self._talk.pump()
        self._number, index = self._talk.todo.pop()
        if refuse(index):
            self._talk.answer(self._number, http2.OK + http2.MEDIA + literal(b"grpc-status", b"14"), b"")
            return index
        self._talk.send(http2.HEADERS, http2.END_HEADERS, self._number, http2.OK + http2.MEDIA)
        return None

    def texts(self) -> Iterator[bytes]:
        rest = b""
        while True:
            self._talk.pump()
            messages, rest = grpc_frames.split(rest + b"".join(self._talk.bodies))
            self._talk.bodies.clear()
            yield from messages

    def framed(self, text: bytes) -> bytes:
        return frame(http2.DATA, 0, self._number, grpc_frames.frame(text))

    def garbage(self) -> bytes:
        return b"\x7f\xff\xff\0\0\0\0\0\1"

    def farewell(self) -> bytes:
        fields = literal(b"grpc-status", b"14")
        return frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, self._number, fields)

    def fragments(self, text: bytes) -> bytes:
        data = grpc_frames.frame(text)
        return b"".join(frame(http2.DATA, 0, self._number, data[i : i + 3]) for i in range(0, len(data), 3))

    def ping(self) -> bytes:
        return frame(http2.PING, 0, 0, b"12345678")


# Acts.

Act = Callable[[Channel, bytes], None]


def echoes(channel: Channel, text: bytes) -> None:
    channel.send(channel.framed(text))


def drips(channel: Channel, text: bytes) -> None:
    for byte in channel.framed(text):
        channel.send(bytes((byte,)))


def in_parts(channel: Channel, text: bytes) -> None:
    channel.send(channel.fragments(text))


def pings(channel: Channel, text: bytes) -> None:
    channel.send(channel.ping())
    echoes(channel, text)


def chatters(channel: Channel, text: bytes) -> None:
    channel.send(channel.chatter())
    echoes(channel, text)


def stalls(channel: Channel, text: bytes) -> None:
    """For good: what came behind it would be taken for its answer."""
    channel.doom = TIMEOUT


def closes(channel: Channel, text: bytes) -> None:
    channel.doom = LOST
    half_close(channel.sock)


def closes_in_message(channel: Channel, text: bytes) -> None:
    channel.send(channel.framed(text)[:-3])
    closes(channel, text)


def says_farewell(channel: Channel, text: bytes) -> None:
    if end := channel.farewell():
        channel.doom = LOST
        channel.send(end)
    else:
        closes(channel, text)


def resets(channel: Channel, text: bytes) -> None:
    channel.doom = RESET
    reset_on_close(channel.sock)
    raise Gone


def resets_in_message(channel: Channel, text: bytes) -> None:
    channel.send(channel.framed(text)[:-3])
    resets(channel, text)


def garbles(channel: Channel, text: bytes) -> None:
    channel.doom = GARBLED
    channel.send(channel.garbage())


def refuses(channel: Channel, text: bytes) -> None:
    """Only a connection that is being opened; a message on an open one comes back."""
    echoes(channel, text)


def leaves(channel: Channel, text: bytes) -> None:
    """In order, while nothing is under way: the message after it is lost, and not sent."""
    echoes(channel, text)
    says_farewell(channel, text)


ACTS: dict[Act, Verdict] = {
    echoes: ECHOED,
    drips: ECHOED,
    in_parts: ECHOED,
    pings: ECHOED,
    chatters: ECHOED,
    refuses: ECHOED,
    stalls: TIMEOUT,
    closes: LOST,
    closes_in_message: LOST,
    says_farewell: LOST,
    resets: RESET,
    resets_in_message: RESET,
    garbles: GARBLED,
}
"""What the client must say of each; `leaves` is for tests that look at the message after it."""


class StreamServer(Server):
    """Message number i gets script[i % len(script)]."""

    def __init__(self, channel: type[Channel], script: list[Act], **more: Any) -> None:
        super().__init__(**more)
        self.channel, self.script = channel, script
        self.book: dict[int, Verdict] = {}
        self.received: list[int] = []

    def _act(self, index: int) -> Act:
        return self.script[index % len(self.script)]

    def serve(self, sock: socket.socket) -> None:
        channel = self.channel(sock)
        refused = channel.open(lambda index: self._act(index) is refuses)
        if refused is not None:
            self.received.append(refused)
            self.book[refused] = REFUSED
            channel.doom = REFUSED
        for text in channel.texts():
            self._take(channel, text)

    def _take(self, channel: Channel, text: bytes) -> None:
        found = re.search(rb"-(\d+)", text)
        assert found
        index = int(found[1])
        if channel.doom == REFUSED and index in self.book:
            return
        self.received.append(index)
        self.book[index] = channel.doom or ACTS.get(self._act(index), ECHOED)
        if channel.doom is None:
            self._act(index)(channel, text)


TcpServer = partial(StreamServer, Bytes)
WebSocketServer = partial(StreamServer, Frames)
GrpcStreamServer = partial(StreamServer, Calls)
