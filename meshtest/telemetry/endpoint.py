"""The metrics of a mesh over HTTP, on loopback: GET /metrics, as text or OpenMetrics, for whatever scrapes.

Not here: what they are (a provider's), when the endpoint begins and ends (mesh/metrics.py).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from meshtest.errors import MeshtestError
from meshtest.lib.exposition import OPENMETRICS, openmetrics, wanted

PATH = "/metrics"


class Endpoint:
    """Answers until close()."""

    def __init__(self, metrics: Callable[[], str]) -> None:
        handler = type("Handler", (_Handler,), {"metrics": staticmethod(metrics)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="metrics-endpoint", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # head and body of an answer would otherwise be two packets, and the second wait 40 ms for the first one's ACK
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = 60
    metrics: Callable[[], str]

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self._answer(404, f"there is only {PATH}\n".encode(), "text/plain; charset=utf-8")
            return
        try:
            text = self.metrics()
        except MeshtestError as error:
            self._answer(503, f"{error}\n".encode(), "text/plain; charset=utf-8")
            return
        kind = wanted(self.headers.get("accept", ""))
        self._answer(200, (openmetrics(text) if kind == OPENMETRICS else text).encode(), kind)

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def handle(self) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):  # the client went
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no news."""
