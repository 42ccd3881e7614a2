"""OTLP/gRPC: a server that is started when the first client speaks HTTP/2, and the way of its bytes there.

    client ──► the receiver's port ── begins with `PRI * HTTP/2.0` ──► relayed ──► grpcio on a port of its own

So one port takes both protocols, whichever an SDK chooses, and grpcio's server costs nothing until somebody needs it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from meshtest_telemetry import receiver_otlp
from meshtest_telemetry.receiver_http import BODY
from meshtest_telemetry.receiver_sink import OVERLOAD, Batch

PREFACE = b"PRI * HTTP/2.0"
TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
OTHERS = (
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.logs.v1.LogsService",
)
"""Programs with automatic instrumentation send these to the same address; they are taken and thrown away."""

Put = Callable[[bytes, Callable[[bytes], Batch]], int]


class GrpcServer:
    """Safe from any thread."""

    def __init__(self, put: Put, drop: Callable[[int, str], None]) -> None:
        self._put, self._drop = put, drop
        self._lock = threading.Lock()
        self._server: Any = None
        self._port = 0

    def relay(self, client: socket.socket) -> None:
        """Serve this connection, until either side ends it."""
        with socket.create_connection(("127.0.0.1", self._started())) as ours:
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_pump, args=(ours, client), name="meshtest-spans-grpc", daemon=True)
            back.start()
            _pump(client, ours)
            back.join()

    def close(self) -> None:
        with self._lock:
            if self._server is not None:
                self._server.stop(0).wait()

    def _started(self) -> int:
        with self._lock:
            if self._server is None:
                import grpc

                options = [("grpc.max_receive_message_length", BODY)]
                workers = ThreadPoolExecutor(2, "meshtest-spans-grpc")
                self._server = grpc.server(workers, self._handlers(), options=options)
                self._port = self._server.add_insecure_port("127.0.0.1:0")
                self._server.start()
            return self._port

    def _handlers(self) -> list[Any]:
        import grpc

        taken = grpc.unary_unary_rpc_method_handler(self._export)
        thrown_away = grpc.unary_unary_rpc_method_handler(lambda body, context: b"")
        services = {TRACES: taken, **dict.fromkeys(OTHERS, thrown_away)}
        return [grpc.method_handlers_generic_handler(name, {"Export": handler}) for name, handler in services.items()]

    def _export(self, body: bytes, context: Any) -> bytes:
        import grpc

        try:
            refused = self._put(body, receiver_otlp.of_protobuf)
        except (receiver_otlp.Malformed, receiver_otlp.Broken) as error:
            self._drop(1, str(error))
            malformed = isinstance(error, receiver_otlp.Malformed)
            status = grpc.StatusCode.INVALID_ARGUMENT if malformed else grpc.StatusCode.FAILED_PRECONDITION
            context.abort(status, str(error))
        return receiver_otlp.answer_protobuf(refused, OVERLOAD)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(64 * 1024):
            target.sendall(data)
    for one, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            one.shutdown(how)
