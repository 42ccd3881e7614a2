"""WebSockets of a load: held connections on which a server sends every message back. Frames: websocket_frames.py.

A message is answered by its own text, whatever else the server says in between. If the server closes the WebSocket,
what waits is CLOSED, with the code of its close frame. An upgrade that is refused is an answer, with its status.
"""

from __future__ import annotations

import os
from binascii import b2a_base64

from meshtest.loads.held import Held, Message, Talk
from meshtest.loads.websocket_frames import BINARY, CLOSE, PING, PONG, TEXT, FrameReader, close_code, frame
from meshtest.loads.wire import LONGEST_HEAD, Answer, Garbled
from meshtest.model.record import ANSWERED, CLOSED, NO_CODE, WEBSOCKET

try:
    from _sha1 import sha1  # type: ignore[import-not-found]  # `hashlib` costs 5 ms
except ImportError:  # an interpreter that has OpenSSL's only
    from hashlib import sha1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from meshtest.loads.exchange import Stage, TargetOrder

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LEAST_CODE, _CODES = 1000, 255
"""A record has one byte for the code of a close."""


class WebSocket(Held):
    """All messages of a target."""

    transport = WEBSOCKET

    def __init__(self, stage: Stage, target: TargetOrder, number: int) -> None:
        super().__init__(stage, target, number)
        self._before = _upgrade(target)

    def talk(self, index: int) -> Talk:
        key = b2a_base64(os.urandom(16), newline=False)
        head = self._before + b"sec-websocket-key: " + key + b"\r\n" + self.stamp.lines(index) + b"\r\n"
        return Frames(head, accept(key))


def _upgrade(target: TargetOrder) -> bytes:
    """The request without its key (RFC 6455, 4.1). Through a proxy in absolute form, unless TLS has a tunnel."""
    absolute = target["proxy"] and not target["tls"]
    path = f"http://{target['authority']}{target['path']}" if absolute else target["path"]
    lines = [f"GET {path} HTTP/1.1"]
    if "host" not in {name.lower() for name, _ in target["headers"]}:
        lines.append(f"host: {target['authority']}")
    lines += [f"{name}: {value}" for name, value in target["headers"]]
    lines += ["connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", ""]
    return "\r\n".join(lines).encode("latin-1")


def accept(key: bytes) -> bytes:
    """What a server makes of the key (RFC 6455, 4.2.2)."""
    return b2a_base64(sha1(key + _GUID).digest(), newline=False)


class Frames(Talk):
    """One WebSocket, from the request for it to its close."""

    def __init__(self, request: bytes, accept: bytes) -> None:
        super().__init__()
        self.out.append(request)
        self._accept = accept
        self._answer: Answer | None = Answer()
        """To the request; None once it is accepted."""
        self._head = b""
        self._reader = FrameReader()

    # Messages.

    def say(self, message: Message) -> None:
        self.waiting.append(message)
        if self._answer is None:
            self.out.append(_framed(message.text))

    def feed(self, data: bytes, now: int) -> None:
        if self._answer is not None:
            data = self._open(self._answer, data)
            if not data:
                return
        try:
            self._reader.read(data)
        finally:
            for kind, payload in self._reader.found:
                self._take(kind, payload, now)

    def end(self) -> int:
        """Of a refusal, the end of the connection may be the end of the answer."""
        if self._answer is not None and self._answer.status and self._answer.end():
            self._refused(self._answer)
            return ANSWERED
        return CLOSED

    def _take(self, kind: int, payload: bytes, now: int) -> None:
        if kind in (TEXT, BINARY):
            self._hear(payload, now)
        elif kind == PING:
            self.out.append(frame(PONG, payload))
        elif kind == CLOSE and self.over < 0:
            self._closed(payload)

    def _hear(self, text: bytes, now: int) -> None:
        """The answer to the message with this text, if there is one that waits."""
        for place, message in enumerate(self.waiting):
            if message.text == text:
                del self.waiting[place]
                message.first, message.size = now, len(text)
                self.answered.append(message)
                return

    def _closed(self, payload: bytes) -> None:
        """Answered in kind: the closing handshake (RFC 6455, 5.5.1)."""
        code = close_code(payload) - _LEAST_CODE
        self.code = code if code < _CODES else NO_CODE
        self.over = CLOSED
        self.out.append(frame(CLOSE, payload[:2]))

    # The opening.

    def _open(self, answer: Answer, data: bytes) -> bytes:
        """What follows the acceptance; b"" until then."""
        if answer.status:
            if answer.feed(data):
                self._refused(answer)
            return b""
        self._head += data
        head, found, rest = self._head.partition(b"\r\n\r\n")
        if not found:
            if not b"HTTP/1.".startswith(self._head[:7]) or len(self._head) > LONGEST_HEAD:
                raise Garbled("not HTTP/1")
            return b""
        if head[9:10] == b"1" and head[9:12] != b"101":  # interim: the answer is yet to come
            self._head = b""
            return self._open(answer, rest)
        over = answer.feed(head + b"\r\n\r\n")
        if head[9:12] != b"101":
            if over or (rest and answer.feed(rest)):
                self._refused(answer)
            return b""
        self._accepted(answer, head)
        return rest

    def _accepted(self, answer: Answer, head: bytes) -> None:
        if b"\r\nsec-websocket-accept: " + self._accept.lower() + b"\r\n" not in head.lower() + b"\r\n":
            raise Garbled("another WebSocket is accepted than was asked for")
        self.status, self.served_by, self.attempts = answer.status, answer.served_by, answer.attempts
        self._answer = None
        self.out += [_framed(message.text) for message in self.waiting]

    def _refused(self, answer: Answer) -> None:
        self.status, self.served_by, self.attempts = answer.status, answer.served_by, answer.attempts
        self.over = ANSWERED


def _framed(text: bytes) -> bytes:
    """Text if it is some."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return frame(BINARY, text)
    return frame(TEXT, text)
