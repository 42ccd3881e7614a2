"""Streams of gRPC as long-lived connections: bidirectional, one on each held connection, a message for a message.

The n-th message that comes back answers the n-th that was said, whatever it contains. If the server ends the stream in
order (trailers), what waits is CLOSED, with the status of gRPC; by RST_STREAM it is RESET. A stream that is refused
(trailers only) has answered its first message with that status.
"""

from __future__ import annotations

from meshtest.loads.grpc import call_fields
from meshtest.loads.grpc_frames import frame, string_value
from meshtest.loads.held import Held, Message, Talk
from meshtest.loads.http2 import fixed_block
from meshtest.loads.http2_fields import literal
from meshtest.loads.http2_session import Session, Stream
from meshtest.loads.wire import Garbled
from meshtest.model.record import ANSWERED, CLOSED, GARBLED, GRPC_STREAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from meshtest.loads.exchange import Stage, TargetOrder

_HEAD = 5
_OK = 200


class GrpcStream(Held):
    """All messages of a target."""

    transport = GRPC_STREAM

    def __init__(self, stage: Stage, target: TargetOrder, number: int) -> None:
        super().__init__(stage, target, number)
        self._block = fixed_block(target, lambda given: call_fields(given, 0))  # a stream has no deadline

    def talk(self, index: int) -> Talk:
        pairs = self.stamp.pairs(index)
        return Conversation(self._block + b"".join(literal(name, value) for name, value in pairs))

    def text(self, index: int) -> bytes:
        text = super().text(index)
        return frame(text if self.target["body"] else string_value(text.decode()))


class Conversation(Talk):
    """One stream, the only one of its connection."""

    def __init__(self, block: bytes) -> None:
        super().__init__()
        self._session = Session()
        self._stream = Stream(grpc=True, endless=True)
        self._session.open(self._stream, block, b"")
        self._collect()

    def _collect(self) -> None:
        self.out += self._session.out
        self._session.out.clear()

    def say(self, message: Message) -> None:
        self.waiting.append(message)
        self._session.send(self._stream, message.text)
        self._collect()

    def feed(self, data: bytes, now: int) -> None:
        stream = self._stream
        try:
            over = self._session.feed(data, now)
        finally:
            self.status, self.served_by, self.attempts = _OK, stream.served_by, stream.attempts
            self._take_messages(now)
            self._collect()
        if over:
            self._take_end(stream)

    def _take_messages(self, now: int) -> None:
        """Whole messages that have come, each for the one that has waited longest."""
        data = self._stream.messages
        assert data is not None
        while len(data) >= _HEAD and len(data) >= (end := _HEAD + int.from_bytes(data[1:_HEAD], "big")):
            if not self.waiting:
                raise Garbled("more messages than were said")
            message = self.waiting.pop(0)
            message.first, message.size = message.first or now, end
            self.answered.append(message)
            del data[:end]
        if data and self.waiting:
            self.waiting[0].first = self.waiting[0].first or now

    def _take_end(self, stream: Stream) -> None:
        """A status alone is an answer: it is how a proxy refuses a stream."""
        self.over = stream.fate
        if stream.fate != ANSWERED:
            return
        self.code = stream.code
        if stream.messages:
            self.over = GARBLED
        elif stream.bare and stream.code:
            self.status = stream.status
        else:
            self.over = CLOSED

    def end(self) -> int:
        return CLOSED
