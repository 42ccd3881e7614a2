"""Takes spans: OTLP/HTTP, OTLP/gRPC and Zipkin, all at one port of the loopback interface.

    Envoy, pods ──► a thread a connection: HTTP, parsing ──► sink: queue ──► a thread: lines ──► spans.jsonl

Threads of the runner, not a process of its own: 5,000 spans a second take a fifth of a core; a process would cost each
mesh whose requests are traced 0.2 s of CPU to start, and most see a handful of spans. Until the first span comes there
is a listening socket and a thread that waits; what decodes is imported then.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.spi.telemetry import Collector

if TYPE_CHECKING:
    from meshtest.spi.provider import Record
    from meshtest_telemetry.receiver_grpc import GrpcServer
    from meshtest_telemetry.receiver_http import Answer, Request
    from meshtest_telemetry.receiver_sink import Batch, Sink

THROWN_AWAY = ("/v1/metrics", "/v1/logs")
"""Programs with automatic instrumentation send these to the same address; they are taken and thrown away."""
LINGER = 1.0
"""Seconds without a byte."""


class Receiver:
    """Implements meshtest.spi.telemetry.SpanReceiver."""

    def __init__(self, capacity: int | None = None) -> None:
        """`capacity`: spans that may wait to be written."""
        from meshtest_telemetry.receiver_sink import CAPACITY, Sink

        self._sink: Sink = Sink(CAPACITY if capacity is None else capacity)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._grpc: GrpcServer | None = None
        self._listening: socket.socket

    # ---- life

    def start(self) -> Collector:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._accept, name="meshtest-spans", daemon=True).start()
        port = self._listening.getsockname()[1]
        return Collector(f"http://127.0.0.1:{port}", f"127.0.0.1:{port}")

    def serve(self, spans: Path, record: Record) -> None:
        self._sink.serve(spans, record)

    def flush(self) -> None:
        self._sink.flush()

    def rest(self) -> None:
        self._sink.serve(None, None)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            connections = list(self._open)
        for one in (self._listening, *connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        if self._grpc is not None:
            self._grpc.close()
        self._sink.close()

    # ---- connections

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                self._open.add(connection)
            threading.Thread(target=self._serve, args=[connection], name="meshtest-spans-from", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        from meshtest_telemetry.receiver_grpc import PREFACE

        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if connection.recv(3, socket.MSG_PEEK | socket.MSG_WAITALL) == PREFACE[:3]:
                    self._grpc_server().relay(connection)
                else:
                    self._speak(connection)
        except OSError:
            pass  # whoever sent has gone
        finally:
            with self._lock:
                self._open.discard(connection)

    def _grpc_server(self) -> GrpcServer:
        from meshtest_telemetry.receiver_grpc import GrpcServer

        with self._lock:
            if self._grpc is None:
                self._grpc = GrpcServer(self._put, self._sink.drop)
            return self._grpc

    def _speak(self, connection: socket.socket) -> None:
        """HTTP/1.1, request after request."""
        from meshtest_telemetry.receiver_http import Answer, Refused, keeps_alive, read_request

        with connection.makefile("rb", 64 * 1024) as reader:
            while True:
                try:
                    request = read_request(reader, connection)
                    if request is None:
                        return
                    answer = self._answer(request)
                    keep = keeps_alive(request)
                except Refused as refusal:
                    self._sink.drop(1, str(refusal))
                    answer = Answer(refusal.status, f"{refusal}\n".encode(), close=refusal.close)
                    keep = not refusal.close
                connection.sendall(answer.wire())
                if not keep:
                    _linger(connection)
                    return

    # ---- requests

    def _answer(self, request: Request) -> Answer:
        from meshtest_telemetry.receiver_http import Answer

        if request.path in THROWN_AWAY:
            return Answer(200, b"", request.content_type)
        routes = {"/v1/traces": self._otlp, "/api/v2/spans": self._zipkin}
        if request.path not in routes:
            return Answer(404, b"spans go to /v1/traces (OTLP) or /api/v2/spans (Zipkin)\n")
        if request.method != "POST":
            return Answer(405, b"spans are sent with POST\n")
        return routes[request.path](request)

    def _otlp(self, request: Request) -> Answer:
        from meshtest_telemetry import receiver_otlp as otlp
        from meshtest_telemetry.receiver_http import Answer, Refused
        from meshtest_telemetry.receiver_sink import OVERLOAD

        match request.content_type:
            case "application/x-protobuf":
                read, answer = otlp.of_protobuf, otlp.answer_protobuf
            case "application/json":
                read, answer = otlp.of_json, otlp.answer_json
            case other:
                raise Refused(
                    415, f"content-type {other!r}: application/x-protobuf and application/json are understood"
                )
        refused = self._put_or_refuse(request.body, read)
        return Answer(200, answer(refused, OVERLOAD), request.content_type)

    def _zipkin(self, request: Request) -> Answer:
        from meshtest_telemetry import receiver_zipkin
        from meshtest_telemetry.receiver_http import Answer

        self._put_or_refuse(request.body, receiver_zipkin.of_json)
        return Answer(202)

    def _put_or_refuse(self, body: bytes, read: Callable[[bytes], Batch]) -> int:
        """How many there was no room for."""
        from meshtest_telemetry.receiver_http import Refused
        from meshtest_telemetry.receiver_otlp import Broken, Malformed

        try:
            return self._put(body, read)
        except Malformed as error:
            raise Refused(400, str(error)) from None
        except Broken as error:
            raise Refused(500, str(error)) from None

    def _put(self, body: bytes, read: Callable[[bytes], Batch]) -> int:
        batch = read(body)
        return self._sink.put(batch) if batch.spans else 0


def _linger(connection: socket.socket) -> None:
    """Let the other side read the answer: closing while it still sends would reset the connection, and the answer with
    it (RFC 9112, 9.6)."""
    connection.settimeout(LINGER)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(64 * 1024):
        pass
