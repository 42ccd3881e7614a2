"""One connection of HTTP/2 (h2c with prior knowledge, or inside TLS), gRPC on it.

gRPC: any method answers one StringValue with the reflection; one whose name contains `Stream` sends every message back
as it comes (bidirectional streaming); grpc.health.v1.Health/Check tells whether the stand-in is ready.

On SIGTERM a GOAWAY that refuses nothing tells the peer to open no more streams here (RFC 9113, 6.8); those that are
open are answered. The frame is ours, because h2 would take the connection for closed after its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError

from meshtest_envoy.pods import grpc
from meshtest_envoy.pods.http1 import BODY_KEPT, Request, has_type, join
from meshtest_envoy.pods.service import Answer, Service

GOAWAY = b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0"
"""Length 8, type 7, stream 0; no stream is refused, no error."""

Fields = list[tuple[str, str]]

_CONFIG = H2Configuration(client_side=False, header_encoding="latin-1")


class Stream:
    """One request, and what of its answer has not been sent yet."""

    __slots__ = ("answering", "end", "grpc", "output", "received", "request", "streaming", "task")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.grpc = request.protocol == "gRPC"
        self.streaming = self.grpc and "Stream" in request.target.rpartition("/")[2]
        self.received = b""
        """Of gRPC: what has come of messages."""
        self.output = b""
        self.answering = False
        self.end: Fields | None = None
        """Trailers, or none, once nothing more will be added to `output`."""
        self.task: asyncio.Task[None] | None = None


class Http2(asyncio.Protocol):
    """One connection."""

    def __init__(self, service: Service, secured: dict[str, Any] | None = None) -> None:
        self._service, self._secured = service, secured
        self._h2 = H2Connection(_CONFIG)
        self._streams: dict[int, Stream] = {}
        self._going = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.connections.add(self)
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.connections.discard(self)
        for stream in self._streams.values():
            if stream.task is not None:
                stream.task.cancel()
        self._streams.clear()

    def drain(self) -> None:
        """Said once: later ones could only say the same."""
        if not self._going:
            self._going = True
            self._transport.write(GOAWAY)

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        self._flush()

    def _flush(self) -> None:
        if out := self._h2.data_to_send():
            self._transport.write(out)

    def _take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, DataReceived):
            self._feed(event)
        elif isinstance(event, StreamEnded):
            if (stream := self._streams.get(event.stream_id or 0)) is not None:
                self._complete(event.stream_id or 0, stream)
        elif isinstance(event, StreamReset):
            self._forget(event.stream_id or 0)
        elif isinstance(event, WindowUpdated | RemoteSettingsChanged):
            for number, stream in list(self._streams.items()):
                self._push(number, stream)
        elif isinstance(event, ConnectionTerminated):
            self._transport.close()

    # What comes in.

    def _begin(self, event: RequestReceived) -> None:
        request = _request([(str(name), str(value)) for name, value in event.headers or ()])
        if self._secured is not None:
            request.tls = self._secured
        self._streams[event.stream_id or 0] = Stream(request)

    def _feed(self, event: DataReceived) -> None:
        number, data = event.stream_id or 0, event.data or b""
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
        stream = self._streams.get(number)
        if stream is None:
            return
        request = stream.request
        request.body_size += len(data)
        if stream.grpc:
            self._feed_messages(number, stream, data)
        elif len(request.body) < BODY_KEPT:
            request.body = (request.body + data)[:BODY_KEPT]

    def _feed_messages(self, number: int, stream: Stream, data: bytes) -> None:
        try:
            messages, stream.received = grpc.split(stream.received + data)
        except ValueError:
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
            self._forget(number)
            return
        if not stream.request.body and messages:
            stream.request.body = messages[0][:BODY_KEPT]
        if stream.streaming:
            stream.output += b"".join(map(grpc.frame, messages))
            if not stream.answering:
                self._answer(number, stream)
            self._push(number, stream)

    def _complete(self, number: int, stream: Stream) -> None:
        """The client has sent everything."""
        if stream.grpc and stream.request.target.startswith(grpc.HEALTH):
            self._tell_health(number, stream)
        elif not stream.answering:
            self._answer(number, stream)
        elif stream.task is None and stream.end is None:
            stream.end = [("grpc-status", "0")]
            self._push(number, stream)
        if self._service.draining:
            self.drain()

    # What goes out.

    def _answer(self, number: int, stream: Stream) -> None:
        stream.answering = True
        answer = self._service.answer(stream.request)
        if isinstance(answer, Answer):
            self._send(number, stream, answer)
        else:
            stream.task = asyncio.get_running_loop().create_task(self._wait_for(number, stream, answer))

    async def _wait_for(self, number: int, stream: Stream, answer: Awaitable[Answer]) -> None:
        answered = await answer
        stream.task = None
        if self._streams.get(number) is stream:
            self._send(number, stream, answered)
            self._flush()

    def _send(self, number: int, stream: Stream, answer: Answer) -> None:
        if lost := self._service.lost:
            answer = answer._replace(headers=tuple(one for one in answer.headers if one[0].lower() not in lost))
        if not stream.grpc:
            self._send_http(number, stream, answer)
        elif answer.status != 200:
            self._refuse(number, grpc.status_of(answer.status), f"told to answer HTTP {answer.status}", answer)
        else:
            self._head(number, [(":status", "200"), ("content-type", grpc.MEDIA_TYPE), *_lower(answer.headers)])
            if not stream.streaming:
                stream.output = grpc.frame(grpc.string_value(answer.body))
            if not stream.streaming or self._has_ended(number):
                stream.end = [("grpc-status", "0")]
            self._push(number, stream)

    def _send_http(self, number: int, stream: Stream, answer: Answer) -> None:
        head: Fields = [(":status", str(answer.status)), ("server", "meshtest-stand-in"), *_lower(answer.headers)]
        if answer.status not in (204, 304):
            has = has_type(answer.headers) or "content-type" in self._service.lost
            head += [] if has else [("content-type", "application/json")]
            head += [("content-length", str(len(answer.body)))]
            stream.output = b"" if stream.request.method == "HEAD" else answer.body
        self._head(number, head)
        stream.end = []
        self._push(number, stream)

    def _tell_health(self, number: int, stream: Stream) -> None:
        """Watch would have to tell changes; Kubernetes only checks."""
        if not stream.request.target.endswith("/Check"):
            self._refuse(number, grpc.UNIMPLEMENTED, "of the health service only Check is there")
            return
        stream.answering = True
        self._head(number, [(":status", "200"), ("content-type", grpc.MEDIA_TYPE)])
        stream.output = grpc.frame(grpc.SERVING if self._service.ready else grpc.NOT_SERVING)
        stream.end = [("grpc-status", "0")]
        self._push(number, stream)

    def _refuse(self, number: int, status: int, why: str, answer: Answer | None = None) -> None:
        """A status without a message: trailers only."""
        told = [("grpc-status", str(status)), ("grpc-message", grpc.percent(why))]
        more = _lower(answer.headers) if answer else []
        self._head(number, [(":status", "200"), ("content-type", grpc.MEDIA_TYPE), *told, *more], last=True)
        self._forget(number)

    def _head(self, number: int, fields: Fields, *, last: bool = False) -> None:
        self._h2.send_headers(number, fields, end_stream=last)

    def _push(self, number: int, stream: Stream) -> None:
        """As much as the peer's windows take."""
        try:
            while stream.output:
                room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
                if room <= 0 or stream.task is not None:
                    return
                part, stream.output = stream.output[:room], stream.output[room:]
                self._h2.send_data(number, part, end_stream=stream.end == [] and not stream.output)
            if stream.end is not None:
                self._finish(number, stream.end)
        except StreamClosedError:
            self._forget(number)

    def _finish(self, number: int, trailers: Fields) -> None:
        if trailers:
            self._h2.send_headers(number, trailers, end_stream=True)
        elif not self._has_answered(number):
            self._h2.end_stream(number)
        self._forget(number)

    def _has_ended(self, number: int) -> bool:
        """The client has sent everything."""
        return not self._h2.streams[number].open or self._h2.streams[number].state_machine.state.name.endswith("REMOTE")

    def _has_answered(self, number: int) -> bool:
        found = self._h2.streams.get(number)
        return found is None or found.closed

    def _forget(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None and stream.task is not None:
            stream.task.cancel()


def _request(fields: Fields) -> Request:
    """Pseudo-headers in the place that HTTP/1.1 has for them; `host` is the authority."""
    headers: dict[str, str] = {}
    pseudo = {name: value for name, value in fields if name.startswith(":")}
    if ":authority" in pseudo:
        headers["host"] = pseudo[":authority"]
    for name, value in fields:
        if not name.startswith(":") and not (name == "host" and ":authority" in pseudo):
            join(headers, name, value)
    is_grpc = headers.get("content-type", "").startswith(grpc.MEDIA_TYPE)
    made = Request(pseudo[":method"], pseudo.get(":path", ""), headers, protocol="gRPC" if is_grpc else "HTTP/2")
    made.scheme = pseudo.get(":scheme", "http")
    return made


def _lower(headers: tuple[tuple[str, str], ...]) -> Fields:
    return [(name.lower(), value) for name, value in headers]
