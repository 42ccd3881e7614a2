"""One request of HTTP/2 with prior knowledge (or by ALPN), or one call of gRPC: stream 1 of a connection of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from meshtest.errors import UsageError
from meshtest.loads import grpc_frames
from meshtest.loads.line import Heard, Line, Trouble

if TYPE_CHECKING:
    from meshtest.loads.ask import Ask

STREAM = 1
_GOAWAY = 7
_HTTP1 = b"HTTP/1."
_CONFIG = H2Configuration(client_side=True, header_encoding="utf-8")


def speak(line: Line, what: Ask, heard: Heard, *, proxy: bool) -> None:
    """A proxy is told by `:authority` alone, as HTTP/2 has no other form."""
    exchange = _Exchange(what, heard)
    try:
        while not exchange.over:
            exchange.push()
            line.send(exchange.h2.data_to_send())
            if not (data := line.receive()):
                raise Trouble("closed", "the peer closed the connection before the answer was complete")
            exchange.feed(data)
    except ProtocolError as error:
        raise Trouble("garbled", f"the answer is not HTTP/2: {error}") from None
    finally:
        if what.protocol == "grpc":
            _understand(heard)


class _Exchange:
    """The stream, fed with bytes until it is over."""

    def __init__(self, what: Ask, heard: Heard) -> None:
        self.h2 = H2Connection(_CONFIG)
        self.over = False
        self._heard = heard
        self._frames = _Frames()
        self._unsent = grpc_frames.frame(what.body) if what.protocol == "grpc" else what.body
        self.h2.initiate_connection()
        try:
            self.h2.send_headers(STREAM, _fields(what), end_stream=not self._unsent)
        except ProtocolError as error:
            raise UsageError(f"these headers cannot be sent by HTTP/2: {error}") from None

    def push(self) -> None:
        """As much of the body as the windows take."""
        while self._unsent and not self.over:
            room = min(self.h2.local_flow_control_window(STREAM), self.h2.max_outbound_frame_size)
            if room <= 0:
                return
            part, self._unsent = self._unsent[:room], self._unsent[room:]
            self.h2.send_data(STREAM, part, end_stream=not self._unsent)

    def feed(self, data: bytes) -> None:
        for event in self.h2.receive_data(self._frames.without_farewell(data)):
            self._take(event)

    def _take(self, event: Event) -> None:
        heard = self._heard
        if isinstance(event, InformationalResponseReceived):
            return
        if isinstance(event, ResponseReceived):
            fields = [(str(name), str(value)) for name, value in event.headers or ()]
            heard.status = int(dict(fields)[":status"])
            heard.headers = [(name, value) for name, value in fields if not name.startswith(":")]
        elif isinstance(event, TrailersReceived):
            heard.trailers = [(str(name), str(value)) for name, value in event.headers or ()]
        elif isinstance(event, DataReceived):
            heard.body += event.data or b""
            if event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, STREAM)
        elif isinstance(event, StreamEnded):
            self.over = True
        elif isinstance(event, StreamReset) and not self.over:
            raise Trouble("reset", f"the peer reset the stream: {_name(event.error_code)}")
        elif isinstance(event, ConnectionTerminated) and not self.over:
            raise Trouble("reset", f"the peer ended the connection: {_name(event.error_code)}")


class _Frames:
    """Takes the GOAWAY out that only says that no further stream will be served: h2 would not read on after it."""

    def __init__(self) -> None:
        self._rest = b""

    def without_farewell(self, data: bytes) -> bytes:
        data, out = self._rest + data, []
        if data.startswith(_HTTP1):  # as a frame it would be 4.7 MB, waited for until the deadline
            raise Trouble("garbled", "the answer is not HTTP/2: it is HTTP/1")
        while len(data) >= 9 and len(data) >= (end := 9 + int.from_bytes(data[:3], "big")):
            frame, data = data[:end], data[end:]
            if not (frame[3] == _GOAWAY and _serves_ours(frame[9:])):
                out.append(frame)
        self._rest = data
        return b"".join(out)


def _serves_ours(goaway: bytes) -> bool:
    last, error = int.from_bytes(goaway[:4], "big") & 0x7FFFFFFF, int.from_bytes(goaway[4:8], "big")
    return last >= STREAM and not error


def _fields(what: Ask) -> list[tuple[str, str]]:
    given = {name.lower(): value for name, value in what.fields}
    fields = [
        (":method", what.method),
        (":scheme", "https" if what.tls else "http"),
        (":authority", given.get("host", what.authority)),
        (":path", what.path),
    ]
    if what.protocol == "grpc":
        fields += [("te", "trailers")] * ("te" not in given)
        fields += [("content-type", grpc_frames.MEDIA_TYPE)] * ("content-type" not in given)
    elif what.body and "content-length" not in given:
        fields.append(("content-length", str(len(what.body))))
    return fields + [(name.lower(), value) for name, value in what.fields if name.lower() != "host"]


def _understand(heard: Heard) -> None:
    """gRPC's own status is in the trailers, or in the headers if there is nothing else."""
    told = dict(heard.headers) | dict(heard.trailers)
    status = told.get("grpc-status", "")
    heard.grpc_status = int(status) if status.isdigit() else None
    heard.grpc_message = grpc_frames.message_of(told.get("grpc-message", ""))
    if dict(heard.headers).get("content-type", "").startswith(grpc_frames.MEDIA_TYPE):
        heard.messages, _ = grpc_frames.split(heard.body)
        heard.body = b""


def _name(code: ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, ErrorCodes) else f"error {code}"
