"""WebSockets of a load: held connections on which a server sends every message back. Frames: `wsproto`.

A message is answered by its own text, whatever else the server says in between. If the server closes the WebSocket,
what waits is CLOSED, with the code of its close frame. An upgrade that is refused is an answer, with its status.
"""

from __future__ import annotations

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token, generate_nonce

from meshtest.loads.held import Held, Message, Talk
from meshtest.loads.wire import LONGEST_HEAD, Answer, Garbled
from meshtest.model.record import ANSWERED, CLOSED, NO_CODE, WEBSOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from meshtest.loads.exchange import Stage, TargetOrder

_LEAST_CODE, _CODES = 1000, 255
"""A record has one byte for the code of a close."""


class WebSocket(Held):
    """All messages of a target."""

    transport = WEBSOCKET

    def __init__(self, stage: Stage, target: TargetOrder, number: int) -> None:
        super().__init__(stage, target, number)
        self._before = _upgrade(target)

    def talk(self, index: int) -> Talk:
        key = generate_nonce()
        head = self._before + b"sec-websocket-key: " + key + b"\r\n" + self.stamp.lines(index) + b"\r\n"
        return Frames(head, generate_accept_token(key))


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


class Frames(Talk):
    """One WebSocket, from the request for it to its close."""

    def __init__(self, request: bytes, accept: bytes) -> None:
        super().__init__()
        self.out.append(request)
        self._accept = accept
        self._answer: Answer | None = Answer()
        """To the request; None once it is accepted."""
        self._head = b""
        self._frames = Connection(ConnectionType.CLIENT)
        self._parts: list[bytes] = []

    # Messages.

    def say(self, message: Message) -> None:
        self.waiting.append(message)
        if self._answer is None:
            self.out.append(self._frames.send(_framed(message.text)))

    def feed(self, data: bytes, now: int) -> None:
        if self._answer is not None:
            data = self._open(self._answer, data)
            if not data:
                return
        try:
            self._frames.receive_data(data)
            for event in self._frames.events():
                self._take(event, now)
        except (RemoteProtocolError, LocalProtocolError) as error:
            raise Garbled(str(error)) from None

    def end(self) -> int:
        """Of a refusal, the end of the connection may be the end of the answer."""
        if self._answer is not None and self._answer.status and self._answer.end():
            self._refused(self._answer)
            return ANSWERED
        return CLOSED

    def _take(self, event: object, now: int) -> None:
        if isinstance(event, TextMessage | BytesMessage):
            self._parts.append(event.data.encode() if isinstance(event.data, str) else bytes(event.data))
            if event.message_finished:
                self._hear(b"".join(self._parts), now)
                self._parts.clear()
        elif isinstance(event, Ping):
            self.out.append(self._frames.send(event.response()))
        elif isinstance(event, CloseConnection):
            self._closed(event)

    def _hear(self, text: bytes, now: int) -> None:
        """The answer to the message with this text, if there is one that waits."""
        for place, message in enumerate(self.waiting):
            if message.text == text:
                del self.waiting[place]
                message.first, message.size = now, len(text)
                self.answered.append(message)
                return

    def _closed(self, event: CloseConnection) -> None:
        """A close frame - or wsproto's word for frames that are none, by which the state does not change."""
        if self._frames.state is ConnectionState.OPEN:
            raise Garbled(f"frames that are none: {event.reason}")
        code = int(event.code) - _LEAST_CODE
        self.code = code if 0 <= code < _CODES else NO_CODE
        self.over = CLOSED
        if self._frames.state is ConnectionState.REMOTE_CLOSING:
            self.out.append(self._frames.send(event.response()))

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
        self.out += [self._frames.send(_framed(message.text)) for message in self.waiting]

    def _refused(self, answer: Answer) -> None:
        self.status, self.served_by, self.attempts = answer.status, answer.served_by, answer.attempts
        self.over = ANSWERED


def _framed(text: bytes) -> TextMessage | BytesMessage:
    """Text if it is some."""
    try:
        return TextMessage(text.decode())
    except UnicodeDecodeError:
        return BytesMessage(text)
