"""The client's side of one HTTP/2 connection: bytes in, streams that have ended out. Pure: no socket, no clock.

Frames are read here and not by `h2`: that costs 30 times the CPU a request (220 us against 7), twice the start of a
load to import, and it stops reading at a GOAWAY that lets our streams finish. Header blocks are left to
`hpack`. Source: RFC 9113, whose section is named where a rule comes from.

    open() ─► out ─► the wire ─► feed() ─► streams that ended, each with its fate
"""

from __future__ import annotations

import struct

from meshtest.loads.grpc_status import code_of, http_of
from meshtest.loads.http2_fields import Broken, FieldReader, Fields
from meshtest.loads.wire import LONGEST_HEAD, Garbled
from meshtest.model.record import ANSWERED, CLOSED, GARBLED, NO_CODE, RESET

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MOST_FRAME = 16_384
"""Bytes of a frame; both sides may send as much unless told otherwise (6.5.2)."""
STREAM_WINDOW = 1 << 20
CONNECTION_WINDOW = 1 << 24
"""What the peer may send before we have read it; given back when half is used."""
UNTOLD_STREAMS = 100
"""Streams at a time until the peer's SETTINGS have come: it should allow no fewer (6.5.2)."""
FIRST_WINDOW = 65_535
_MOST_WINDOW = (1 << 31) - 1
_LAST_STREAM = (1 << 31) - 1

_DATA, _HEADERS, _PRIORITY, _RST_STREAM, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = range(10)
_END_STREAM, _END_HEADERS, _PADDED, _WITH_PRIORITY = 1, 4, 8, 32
_ACK = 1
_NO_ERROR, _PROTOCOL_ERROR, _CANCEL = 0, 1, 8
_MOST_STREAMS, _INITIAL_WINDOW = 3, 4

_MESSAGE_HEAD = 5
"""Bytes before a message of gRPC: compressed or not, and its length."""

_HEAD = struct.Struct(">HBBBI")
"""Length (its upper 16 bits, its lower 8), type, flags, stream."""
_SETTING = struct.Struct(">HI")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 255, kind, flags, stream) + payload


_OPENING = (
    PREFACE
    + frame(_SETTINGS, 0, 0, _SETTING.pack(2, 0) + _SETTING.pack(_INITIAL_WINDOW, STREAM_WINDOW))  # 2: no pushes
    + frame(_WINDOW_UPDATE, 0, 0, (CONNECTION_WINDOW - FIRST_WINDOW).to_bytes(4, "big"))
)


class Stream:
    """One request and its answer; users derive their own from it."""

    __slots__ = (
        "attempts",
        "bare",
        "code",
        "cookies",
        "fate",
        "first",
        "grpc",
        "head",
        "head_only",
        "length",
        "messages",
        "number",
        "served_by",
        "size",
        "status",
        "unsent",
        "used",
        "window",
    )

    def __init__(self, *, grpc: bool = False, head_only: bool = False, endless: bool = False) -> None:
        """`endless`: the body goes on until we say so, and what comes is kept in `messages`."""
        self.grpc, self.head_only = grpc, head_only
        self.number = self.window = 0
        self.unsent = b""
        """Of the body; the window had no room yet."""
        self.used = 0
        """Bytes that came since we gave the peer room."""
        self.fate = -1
        self.first = 0
        """When the first frame of the answer came; 0 if none has."""
        self.status = self.attempts = self.size = 0
        self.bare = False
        """The answer was a head alone: of gRPC, trailers only."""
        self.code = NO_CODE
        self.served_by = b""
        self.cookies: tuple[bytes, ...] = ()
        self.length: int | None = None
        self.head = b""
        """Of gRPC: the first bytes of the first message, which tell its length."""
        self.messages = bytearray() if endless else None


class Session:
    """All streams of one connection. `out` is what must go to the wire, in order."""

    def __init__(self) -> None:
        self.out: list[bytes] = [_OPENING]
        self.streams: dict[int, Stream] = {}
        self.most_streams = UNTOLD_STREAMS
        self.going = False
        """The peer takes no more streams, or we have used up the numbers."""
        self._next = 1
        self._rest = b""
        self._window = FIRST_WINDOW
        self._stream_window = FIRST_WINDOW
        self._used = 0
        self._settled = False
        self._fields = FieldReader()
        self._block: list[bytes] = []
        self._block_of = self._block_flags = 0
        self._over: list[Stream] = []
        self._now = 0

    # Sending.

    @property
    def has_room(self) -> bool:
        """Another stream can be opened."""
        return not self.going and len(self.streams) < self.most_streams

    def open(self, stream: Stream, block: bytes, body: bytes) -> None:
        """Begin a request."""
        number = stream.number = self._next
        self._next += 2
        self.going = self.going or self._next > _LAST_STREAM
        stream.window = self._stream_window
        self.streams[number] = stream
        self._send_block(number, block, 0 if body or stream.messages is not None else _END_STREAM)
        if body:
            self.send(stream, body)

    def send(self, stream: Stream, data: bytes) -> None:
        """More of the body, as the windows allow."""
        stream.unsent += data
        self._push(stream)

    def cancel(self, stream: Stream) -> None:
        """We no longer want the answer."""
        if self.streams.pop(stream.number, None):
            self.out.append(frame(_RST_STREAM, 0, stream.number, _CANCEL.to_bytes(4, "big")))

    def farewell(self, error: int = _PROTOCOL_ERROR) -> bytes:
        """To say before closing."""
        return frame(_GOAWAY, 0, 0, bytes(4) + error.to_bytes(4, "big"))

    def _send_block(self, number: int, block: bytes, flags: int) -> None:
        if len(block) <= MOST_FRAME:
            self.out.append(frame(_HEADERS, flags | _END_HEADERS, number, block))
            return
        self.out.append(frame(_HEADERS, flags, number, block[:MOST_FRAME]))
        for start in range(MOST_FRAME, len(block), MOST_FRAME):
            last = start + MOST_FRAME >= len(block)
            part = block[start : start + MOST_FRAME]
            self.out.append(frame(_CONTINUATION, _END_HEADERS if last else 0, number, part))

    def _push(self, stream: Stream) -> None:
        while stream.unsent:
            room = min(self._window, stream.window, MOST_FRAME)
            if room <= 0:
                return
            part, stream.unsent = stream.unsent[:room], stream.unsent[room:]
            self._window -= len(part)
            stream.window -= len(part)
            last = stream.messages is None and not stream.unsent
            self.out.append(frame(_DATA, _END_STREAM if last else 0, stream.number, part))

    def _push_all(self) -> None:
        for stream in list(self.streams.values()):
            if stream.unsent:
                self._push(stream)

    # Receiving.

    def feed(self, data: bytes, now: int = 0) -> list[Stream]:
        """The streams that have ended by it. After Broken nothing more can be understood; who was open stays in
        `streams`."""
        self._over, self._now = [], now
        data = self._rest + data if self._rest else data
        at, size = 0, len(data)
        try:
            while size - at >= 9:
                upper, lower, kind, flags, number = _HEAD.unpack_from(data, at)
                end = at + 9 + (upper << 8 | lower)
                if end - at - 9 > MOST_FRAME:  # also what is no HTTP/2: "HTTP/1" would be a frame of 4.7 MB
                    raise Broken("a frame longer than allowed")
                if end > size:
                    break
                self._take(kind, flags, number & _LAST_STREAM, data[at + 9 : end])
                at = end
        finally:
            self._rest = data[at:]
        return self._over

    def taken(self) -> list[Stream]:
        """Those that ended before feed() raised Broken."""
        return self._over

    def end(self, fate: int) -> list[Stream]:
        """The connection is over: so is every open stream."""
        left = list(self.streams.values())
        for stream in left:
            stream.fate = fate
        self.streams.clear()
        self.going = True
        return left

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if not self._settled:
            if kind != _SETTINGS or flags & _ACK:
                raise Broken("the peer does not begin with SETTINGS")
            self._settled = True
        if self._block_of and (kind != _CONTINUATION or number != self._block_of):
            raise Broken("a header block is cut by another frame")
        handle = _HANDLERS.get(kind)
        if handle is not None:  # 4.1: frames of other types are ignored
            handle(self, flags, number, payload)

    def _stream(self, number: int) -> Stream | None:
        """None if it is over already. A stream that we never opened breaks the connection (5.1.1)."""
        stream = self.streams.get(number)
        if stream is None and (not number & 1 or number >= self._next):
            raise Broken("a frame of a stream that was never opened")
        return stream

    def _finish(self, stream: Stream, fate: int) -> None:
        stream.fate = fate
        del self.streams[stream.number]
        self._over.append(stream)

    def _garble(self, stream: Stream) -> None:
        """A stream error (5.4.2): the others go on."""
        self.out.append(frame(_RST_STREAM, 0, stream.number, _PROTOCOL_ERROR.to_bytes(4, "big")))
        self._finish(stream, GARBLED)

    # Answers.

    def _take_headers(self, flags: int, number: int, payload: bytes) -> None:
        payload = _unpadded(flags, payload)
        if flags & _WITH_PRIORITY:
            payload = payload[5:]
        if flags & _END_HEADERS:
            self._understand(flags, number, payload)
        else:
            self._block, self._block_of, self._block_flags = [payload], number, flags

    def _take_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if not self._block_of:
            raise Broken("a CONTINUATION of nothing")
        self._block.append(payload)
        if sum(map(len, self._block)) > LONGEST_HEAD:
            raise Broken("a header block without end")
        if flags & _END_HEADERS:
            self._block_of = 0
            self._understand(self._block_flags, number, b"".join(self._block))

    def _understand(self, flags: int, number: int, block: bytes) -> None:
        """Also of a stream that is over: the table of the peer's fields must be kept (4.3)."""
        stream = self._stream(number)
        try:
            fields = self._fields.read(block)
        except Broken:
            raise
        except Garbled:
            if stream is not None:
                self._garble(stream)
            return
        if stream is None:
            return
        if not stream.first:
            stream.first = self._now
        ends = flags & _END_STREAM
        if 100 <= fields.status < 200 and fields.status != 101 and not stream.status and not ends:
            return
        if stream.status:
            self._take_trailers(stream, fields, ends)
        else:
            self._take_head(stream, fields, ends)

    def _take_head(self, stream: Stream, fields: Fields, ends: int) -> None:
        if fields.status < 200:
            self._garble(stream)
            return
        stream.status, stream.served_by, stream.attempts = fields.status, fields.served_by, fields.attempts
        stream.cookies = fields.cookies
        stream.length = None if stream.head_only or fields.status in (204, 304) else fields.length
        if stream.grpc and not fields.grpc:
            stream.code = code_of(fields.status)
        elif fields.grpc_status is not None:
            stream.code = fields.grpc_status
        if ends:
            stream.bare = True
            self._complete(stream)

    def _take_trailers(self, stream: Stream, fields: Fields, ends: int) -> None:
        if fields.status or not ends:
            self._garble(stream)
            return
        if fields.grpc_status is not None:
            stream.code = fields.grpc_status
        self._complete(stream)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        stream = self._stream(number)
        self._give_back(stream, len(payload))
        if stream is None:
            return
        data = _unpadded(flags, payload)
        if not stream.status or (data and stream.head_only):
            self._garble(stream)
            return
        stream.size += len(data)
        if stream.messages is not None:
            stream.messages += data
        elif stream.grpc and len(stream.head) < _MESSAGE_HEAD:
            stream.head = (stream.head + data)[:_MESSAGE_HEAD]
        if flags & _END_STREAM:
            self._complete(stream)

    def _give_back(self, stream: Stream | None, size: int) -> None:
        """Room for as much as came, once half of it is used (6.9)."""
        self._used += size
        if self._used > CONNECTION_WINDOW // 2:
            self.out.append(frame(_WINDOW_UPDATE, 0, 0, self._used.to_bytes(4, "big")))
            self._used = 0
        if stream is None:
            return
        stream.used += size
        if stream.used > STREAM_WINDOW // 2:
            self.out.append(frame(_WINDOW_UPDATE, 0, stream.number, stream.used.to_bytes(4, "big")))
            stream.used = 0

    def _complete(self, stream: Stream) -> None:
        """The peer has said everything. It may have done so before it had our whole body (8.1)."""
        cut = stream.length is not None and stream.length != stream.size
        if cut or (stream.grpc and not _is_call(stream)):
            self._garble(stream)
            return
        if stream.grpc:
            stream.status = http_of(stream.code)
        if stream.unsent or stream.messages is not None:
            self.out.append(frame(_RST_STREAM, 0, stream.number, _CANCEL.to_bytes(4, "big")))
        self._finish(stream, ANSWERED)

    # The rest.

    def _take_reset(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Broken("RST_STREAM has 4 bytes")
        stream = self._stream(number)
        if stream is not None:
            self._finish(stream, RESET)

    def _take_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number or len(payload) % 6 or (flags & _ACK and payload):
            raise Broken("SETTINGS that are none")
        if flags & _ACK:
            return
        for key, value in _SETTING.iter_unpack(payload):
            if key == _MOST_STREAMS:
                self.most_streams = value
            elif key == _INITIAL_WINDOW:
                self._resize(value)
        self.out.append(frame(_SETTINGS, _ACK, 0))
        self._push_all()

    def _resize(self, window: int) -> None:
        """Open streams follow; their window may become negative (6.9.2)."""
        if window > _MOST_WINDOW:
            raise Broken("a window of more than 2^31-1 bytes")
        for stream in self.streams.values():
            stream.window += window - self._stream_window
        self._stream_window = window

    def _take_window(self, flags: int, number: int, payload: bytes) -> None:
        more = int.from_bytes(payload, "big") & _MOST_WINDOW
        if len(payload) != 4:
            raise Broken("WINDOW_UPDATE has 4 bytes")
        if not number:
            self._window += more
            if not more or self._window > _MOST_WINDOW:
                raise Broken("a window of more than 2^31-1 bytes, or an update by none")
            self._push_all()
            return
        stream = self._stream(number)
        if stream is None:
            return
        stream.window += more
        if not more or stream.window > _MOST_WINDOW:
            self._garble(stream)
        else:
            self._push(stream)

    def _take_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number or len(payload) != 8:
            raise Broken("PING has 8 bytes, and no stream")
        if not flags & _ACK:
            self.out.append(frame(_PING, _ACK, 0, payload))

    def _take_goaway(self, flags: int, number: int, payload: bytes) -> None:
        """Streams above the last one were not processed (6.8): for their users they are lost. The others go on."""
        if number or len(payload) < 8:
            raise Broken("GOAWAY that is none")
        self.going = True
        last = int.from_bytes(payload[:4], "big") & _LAST_STREAM
        for stream in [one for one in self.streams.values() if one.number > last]:
            self._finish(stream, CLOSED)

    def _take_push(self, flags: int, number: int, payload: bytes) -> None:
        raise Broken("a push, which we have forbidden")

    def _take_priority(self, flags: int, number: int, payload: bytes) -> None:
        """Deprecated (5.3); of no meaning to a client."""


_HANDLERS = {
    _DATA: Session._take_data,
    _HEADERS: Session._take_headers,
    _PRIORITY: Session._take_priority,
    _RST_STREAM: Session._take_reset,
    _SETTINGS: Session._take_settings,
    _PUSH: Session._take_push,
    _PING: Session._take_ping,
    _GOAWAY: Session._take_goaway,
    _WINDOW_UPDATE: Session._take_window,
    _CONTINUATION: Session._take_continuation,
}


def _is_call(stream: Stream) -> bool:
    """It has a status, and what it says is well has a whole message, if any."""
    if stream.code or not stream.size or stream.messages is not None:
        return stream.code != NO_CODE
    return stream.size >= _MESSAGE_HEAD + int.from_bytes(stream.head[1:], "big")


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Broken("more padding than there is")
    return payload[1 : len(payload) - payload[0]]
