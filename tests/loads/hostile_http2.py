"""An HTTP/2 server (gRPC too) that does to each stream what its script says, and keeps book of it. Frames by hand: what
it sends wrong, no library would.

The book is of fates: an act that ends a connection decides the fate of whatever else is open on it.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from hpack import Decoder

from meshtest.loads.http2_fields import literal
from meshtest.loads.http2_session import PREFACE, frame
from meshtest.model.request import Fate
from tests.loads.listening import Gone, Server, half_close, reset_on_close

DATA, HEADERS, _, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, ACK = 1, 4, 8, 1
CANCEL = 8
SERVED_BY = literal(b"x-meshtest-served-by", b"web/v1/web-1") + literal(b"x-envoy-attempt-count", b"2")
OK = b"\x88" + SERVED_BY
BIG = 2_500_000
"""Bytes; more than the windows of a stream."""

Verdict = tuple[Fate, int]
"""Fate and status."""
FINE, LOST = (Fate.ANSWERED, 200), (Fate.CLOSED, 0)
RESET, TIMEOUT, GARBLED = (Fate.RESET, 0), (Fate.TIMEOUT, 0), (Fate.GARBLED, 0)


@dataclass
class Talk:
    """One connection of the server."""

    sock: socket.socket
    book: dict[int, Verdict]
    script: list[Act]
    received: list[int] = field(default_factory=list)
    open: dict[int, int] = field(default_factory=dict)
    """Stream to index, of those without a fate that is sure."""
    known: dict[int, int] = field(default_factory=dict)
    doom: Verdict | None = None
    """What becomes of every further request."""
    limit: int = 1 << 31
    """The last stream that we promised to serve."""
    todo: list[tuple[int, int]] = field(default_factory=list)
    decoder: Decoder = field(default_factory=Decoder)
    data: bytes = b""
    window: int = 65_535
    first_window: int = 65_535
    windows: dict[int, int] = field(default_factory=dict)
    pongs: int = 0
    bodies: list[bytes] = field(default_factory=list)
    reads_bodies: bool = True
    complete: set[int] = field(default_factory=set)
    """Streams on which the client has said everything."""

    def begin(self) -> None:
        self._exactly(len(PREFACE))
        self.send(SETTINGS, 0, 0, struct.pack(">HI", 3, 64))

    def serve(self) -> None:
        self.begin()
        while True:
            self.pump()
            while self.todo:
                number, index = self.todo.pop(0)
                self._act(number, index)

    def _act(self, number: int, index: int) -> None:
        if self.doom or number > self.limit:
            self.book[index] = self.doom or LOST
            return
        act = self.script[index % len(self.script)]
        self.open[number] = index
        self.known[number] = index
        verdict = ACTS[act]
        self.book[index] = verdict
        act(self, number)
        if verdict != TIMEOUT:
            self.open.pop(number, None)

    def end_all(self, verdict: Verdict) -> None:
        """What is open, and what will come, has this fate."""
        self.doom = verdict
        for index in self.open.values():
            self.book[index] = verdict
        self.open.clear()

    # Frames.

    def send(self, kind: int, flags: int, number: int, payload: bytes = b"") -> None:
        self.sock.sendall(frame(kind, flags, number, payload))

    def answer(self, number: int, block: bytes = OK, body: bytes = b"hello") -> None:
        head = frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), number, block)
        self.sock.sendall(head + (frame(DATA, END_STREAM, number, body) if body else b""))

    def pump(self) -> None:
        """Read one frame."""
        head = self._exactly(9)
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        number, payload = int.from_bytes(head[5:], "big"), self._exactly(size)
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.complete.add(number)
        if kind == HEADERS:
            assert flags & END_HEADERS
            told = dict(self.decoder.decode(payload, raw=True))
            found = re.fullmatch(rb".*-(\d+)", told[b"x-meshtest-id"])
            assert found
            self.received.append(int(found[1]))
            self.todo.append((number, int(found[1])))
        elif kind == DATA:
            self.bodies.append(payload)
            if payload and self.reads_bodies and self.doom is None:
                for one in (0, number):
                    self.send(WINDOW_UPDATE, 0, one, len(payload).to_bytes(4, "big"))
        elif kind == SETTINGS and not flags & ACK:
            for key, value in struct.iter_unpack(">HI", payload):
                self.first_window = value if key == 4 else self.first_window
            if self.doom is None:
                self.send(SETTINGS, ACK, 0)
        elif kind == PING:
            self.pongs += flags & ACK
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if number:
                self.windows[number] = self.windows.get(number, self.first_window) + more
            else:
                self.window += more
        elif kind == RST_STREAM and payload == CANCEL.to_bytes(4, "big"):
            if self.book.get(self.known.get(number, -1), FINE)[0] is not Fate.ANSWERED:
                self.book[self.known[number]] = TIMEOUT
            self.open.pop(number, None)

    def _exactly(self, size: int) -> bytes:
        while len(self.data) < size:
            more = self.sock.recv(65_536)
            if not more:
                raise Gone
            self.data += more
        out, self.data = self.data[:size], self.data[size:]
        return out


Act = Callable[[Talk, int], None]


# Answers.


def ok(talk: Talk, number: int) -> None:
    talk.answer(number)


def unavailable(talk: Talk, number: int) -> None:
    talk.answer(number, literal(b":status", b"503"), b"")


def no_content(talk: Talk, number: int) -> None:
    talk.answer(number, b"\x89", b"")


def compressed(talk: Talk, number: int) -> None:
    """Fields that go into the dynamic table, at last by their index alone."""
    talk.answer(number, b"\x88\x40\x08x-custom\x04here" + SERVED_BY)


def interim(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, literal(b":status", b"103"))
    talk.answer(number)


def trailers(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK)
    talk.send(DATA, 0, number, b"hello")
    talk.send(HEADERS, END_HEADERS | END_STREAM, number, literal(b"x-trailer", b"1"))


def drip(talk: Talk, number: int) -> None:
    """Every byte in a packet of its own."""
    for byte in frame(HEADERS, END_HEADERS, number, OK) + frame(DATA, END_STREAM, number, b"hello"):
        talk.sock.sendall(bytes((byte,)))


def continued(talk: Talk, number: int) -> None:
    talk.send(HEADERS, 0, number, OK[:3])
    talk.send(CONTINUATION, 0, number, OK[3:9])
    talk.send(CONTINUATION, END_HEADERS, number, OK[9:])
    talk.send(DATA, END_STREAM, number, b"hello")


def padded(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS | PADDED, number, b"\x03" + OK + bytes(3))
    talk.send(DATA, END_STREAM | PADDED, number, b"\x05hello" + bytes(5))


def pings(talk: Talk, number: int) -> None:
    """And answers only after the pong."""
    before = talk.pongs
    talk.send(PING, 0, 0, b"12345678")
    while talk.pongs == before:
        talk.pump()
    ok(talk, number)


def unknown_frame(talk: Talk, number: int) -> None:
    talk.send(0xBB, 0xFF, number, b"whatever")
    ok(talk, number)


def big(talk: Talk, number: int) -> None:
    """More than the client's windows: each part waits for room."""
    talk.send(HEADERS, END_HEADERS, number, OK)
    left = BIG
    while left:
        room = min(talk.window, talk.windows.setdefault(number, talk.first_window), 16_384, left)
        if room <= 0:
            talk.pump()
            continue
        left -= room
        talk.window -= room
        talk.windows[number] -= room
        talk.send(DATA, 0 if left else END_STREAM, number, bytes(room))


def big_after_all(talk: Talk, number: int) -> None:
    """Once the whole request has come."""
    while number not in talk.complete:
        talk.pump()
    big(talk, number)


def early_ok(talk: Talk, number: int) -> None:
    """While the client waits for room for its body; who does not want the rest says so (RFC 9113, 8.1)."""
    ok(talk, number)
    ends_stream(talk, number)


def goes_away(talk: Talk, number: int) -> None:
    """Gracefully: this one is still served."""
    _goaway(talk, number)
    ok(talk, number)


# What is lost.


def refuses_with_goaway(talk: Talk, number: int) -> None:
    _goaway(talk, max(number - 2, 0))


def goes_away_in_error(talk: Talk, number: int) -> None:
    talk.end_all(LOST)
    talk.send(GOAWAY, 0, 0, struct.pack(">II", number, 2))
    half_close(talk.sock)


def _goaway(talk: Talk, last: int) -> None:
    talk.limit = last
    talk.send(GOAWAY, 0, 0, struct.pack(">II", last, 0))


def _rst(code: int) -> Act:
    def act(talk: Talk, number: int) -> None:
        talk.send(RST_STREAM, 0, number, code.to_bytes(4, "big"))

    return act


refuses_stream, breaks_stream, cancels_stream, ends_stream = map(_rst, (7, 2, CANCEL, 0))


def resets_stream_in_body(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK)
    talk.send(DATA, 0, number, b"hel")
    breaks_stream(talk, number)


def closes(talk: Talk, number: int) -> None:
    talk.end_all(LOST)
    half_close(talk.sock)


def closes_in_body(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK)
    talk.send(DATA, 0, number, b"hel")
    closes(talk, number)


def closes_in_frame(talk: Talk, number: int) -> None:
    talk.sock.sendall(frame(HEADERS, END_HEADERS, number, OK)[:-4])
    closes(talk, number)


def resets(talk: Talk, number: int) -> None:
    talk.end_all(RESET)
    for _, index in talk.todo:
        talk.book[index] = RESET
    reset_on_close(talk.sock)
    raise Gone


def resets_in_body(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK)
    resets(talk, number)


def stalls(talk: Talk, number: int) -> None:
    """Says nothing; the client cancels the stream."""


def stalls_in_body(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK)
    talk.send(DATA, 0, number, b"hel")


# What is no HTTP/2: of one stream.


def no_status(talk: Talk, number: int) -> None:
    talk.answer(number, SERVED_BY)


def upper_case(talk: Talk, number: int) -> None:
    talk.answer(number, OK + literal(b"X-Upper", b"1"))


def wrong_length(talk: Talk, number: int) -> None:
    talk.answer(number, OK + literal(b"content-length", b"50"))


def data_first(talk: Talk, number: int) -> None:
    talk.send(DATA, END_STREAM, number, b"hello")


def second_head(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK)
    talk.send(HEADERS, END_HEADERS | END_STREAM, number, OK)


# And of the whole connection.


def _garbage(*what: bytes) -> Act:
    def act(talk: Talk, number: int) -> None:
        talk.end_all(GARBLED)
        for one in what:
            talk.sock.sendall(one)

    return act


not_http2 = _garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n")
too_long = _garbage(b"\x7f\xff\xff\0\0\0\0\0\1")
bad_block = _garbage(frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff"))
pushes = _garbage(frame(PUSH, END_HEADERS, 1, bytes(4) + OK))
idle_stream = _garbage(frame(HEADERS, END_HEADERS, 99_999_999, OK))
short_ping = _garbage(frame(PING, 0, 0, b"1"))


# gRPC.

MEDIA = literal(b"content-type", b"application/grpc")


def call_ok(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK + MEDIA)
    talk.send(DATA, 0, number, b"\0\0\0\0\5hello")
    talk.send(HEADERS, END_HEADERS | END_STREAM, number, literal(b"grpc-status", b"0"))


def call_fails_late(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK + MEDIA)
    talk.send(HEADERS, END_HEADERS | END_STREAM, number, literal(b"grpc-status", b"5"))


def call_fails(talk: Talk, number: int) -> None:
    """Trailers only."""
    talk.answer(number, OK + MEDIA + literal(b"grpc-status", b"14"), b"")


def call_meets_http(talk: Talk, number: int) -> None:
    """A proxy that knows no gRPC."""
    talk.answer(number, literal(b":status", b"503"), b"no healthy upstream")


def call_without_status(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK + MEDIA)
    talk.send(DATA, END_STREAM, number, b"\0\0\0\0\5hello")


def call_cut_short(talk: Talk, number: int) -> None:
    talk.send(HEADERS, END_HEADERS, number, OK + MEDIA)
    talk.send(DATA, 0, number, b"\0\0\0\0\5hel")
    talk.send(HEADERS, END_HEADERS | END_STREAM, number, literal(b"grpc-status", b"0"))


LOSSES: dict[Act, Verdict] = {
    goes_away: FINE,
    refuses_with_goaway: LOST,
    goes_away_in_error: LOST,
    refuses_stream: RESET,
    breaks_stream: RESET,
    cancels_stream: RESET,
    ends_stream: RESET,
    resets_stream_in_body: RESET,
    closes: LOST,
    closes_in_body: LOST,
    closes_in_frame: LOST,
    resets: RESET,
    resets_in_body: RESET,
    stalls: TIMEOUT,
    stalls_in_body: TIMEOUT,
    no_status: GARBLED,
    upper_case: GARBLED,
    data_first: GARBLED,
    not_http2: GARBLED,
    too_long: GARBLED,
    bad_block: GARBLED,
    pushes: GARBLED,
    idle_stream: GARBLED,
    short_ping: GARBLED,
}
HTTP2: dict[Act, Verdict] = {
    ok: FINE,
    unavailable: (Fate.ANSWERED, 503),
    no_content: (Fate.ANSWERED, 204),
    compressed: FINE,
    interim: FINE,
    trailers: FINE,
    drip: FINE,
    continued: FINE,
    padded: FINE,
    pings: FINE,
    unknown_frame: FINE,
    wrong_length: GARBLED,
    second_head: GARBLED,
    **LOSSES,
}
GRPC: dict[Act, Verdict] = {
    call_ok: FINE,
    call_fails: (Fate.ANSWERED, 503),
    call_fails_late: (Fate.ANSWERED, 404),
    call_meets_http: (Fate.ANSWERED, 503),
    call_without_status: GARBLED,
    call_cut_short: GARBLED,
    **{act: verdict for act, verdict in LOSSES.items() if act is not goes_away},
}
ACTS = {**HTTP2, **GRPC, big: FINE, big_after_all: FINE, early_ok: FINE}
"""What the client must say of each."""


class Http2Server(Server):
    """Request number i gets script[i % len(script)]; `book` has the fate of each that arrived."""

    def __init__(self, script: list[Act], *, reads_bodies: bool = True, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.script, self.reads_bodies = script, reads_bodies
        self.book: dict[int, Verdict] = {}
        self.received: list[int] = []
        self.sizes: list[int] = []
        """Of request bodies, by connection."""

    def serve(self, sock: socket.socket) -> None:
        talk = Talk(sock, self.book, self.script, self.received, reads_bodies=self.reads_bodies)
        try:
            talk.serve()
        finally:
            self.sizes.append(sum(map(len, talk.bodies)))
