"""An endpoint with metrics that tests set, and a real Prometheus that is fed from it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from meshtest_telemetry.prometheus import Prometheus

from meshtest.settings import Settings
from meshtest.spi.telemetry import Asking
from tests.conftest import PATIENCE

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs prometheus: apt install prometheus"
)


class Endpoint:
    """`http://.../metrics` says `text`; while `down`, it answers 503."""

    def __init__(self) -> None:
        self.text, self.down, self.scrapes = "", False, 0
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.scrapes += 1
                body = endpoint.text.encode()
                self.send_response(503 if endpoint.down else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def module_endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def endpoint(module_endpoint: Endpoint) -> Endpoint:
    module_endpoint.text, module_endpoint.down = "", False
    return module_endpoint


class Notes:
    """Events that were recorded."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, kind: str, subject: str = "", /, **data: Any) -> None:
        self.texts.append(str(data.get("text", "")))


class Wall:
    """In place of the module `time` of prometheus_clock: it stands still until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


def asking(folder: Path, *targets: str, record: Any = None, **settings: Any) -> Asking:
    """Of a run whose second 0 is the epoch."""
    return Asking(
        folder=folder,
        settings=Settings(**{"start_timeout": PATIENCE, **settings}),
        wall_start=0.0,
        targets=targets,
        record=record or Notes(),
    )


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, module_endpoint: Endpoint) -> Iterator[Prometheus]:
    """One for a module's tests: each uses metrics of its own."""
    made = Prometheus(asking(tmp_path_factory.mktemp("run"), module_endpoint.url))
    yield made
    made.close()
