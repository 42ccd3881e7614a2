"""Forwarding to a collector of the user's: it arrives whole, and a collector that is down fails no test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from meshtest import Mesh, Settings, UsageError
from meshtest.reporters.traces import forward as forwarding
from meshtest.reporters.traces.forward import forward
from meshtest.run import Run, open_run
from meshtest.settings import resolve
from meshtest.testing import FakeProvider
from tests.model.test_traces import shops


class Collector:
    """Answers as it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.status, self.answer = 200, b"{}"
        self.got: list[tuple[str, dict[str, str], Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.got.append((self.path, dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.answer)))
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def spans(self) -> list[Any]:
        told = [scope for _, _, body in self.got for r in body["resourceSpans"] for scope in r["scopeSpans"]]
        return [span for scope in told for span in scope["spans"]]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


class TestForward:
    def test_all_spans_arrive_in_several_messages(self, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forwarding, "BATCH", 5)
        spans = shops(2)
        assert forward(spans, 0.0, collector.url, {"Authorization": "Bearer x"}) == (16, "")
        assert len(collector.got) == 4
        assert [span["spanId"] for span in collector.spans()] == [span.id for span in spans]
        path, headers, _ = collector.got[0]
        assert (path, headers["Content-Type"], headers["Authorization"]) == (
            "/v1/traces", "application/json", "Bearer x",
        )  # fmt: skip

    def test_the_whole_url_may_be_given(self, collector: Collector) -> None:
        forward(shops(1), 0.0, f"{collector.url}/otlp/v1/traces")
        assert collector.got[0][0] == "/otlp/v1/traces"

    def test_a_user_in_the_url_is_a_header(self, collector: Collector) -> None:
        forward(shops(1), 0.0, collector.url.replace("//", "//me:se%40cret@"))
        assert collector.got[0][1]["Authorization"] == "Basic bWU6c2VAY3JldA=="

    def test_a_collector_that_is_down(self) -> None:
        assert forward(shops(1), 0.0, "http://127.0.0.1:9") == (0, "Connection refused")

    def test_a_collector_that_says_no(self, collector: Collector) -> None:
        collector.status, collector.answer = 401, b"who are\n you?"
        assert forward(shops(1), 0.0, collector.url) == (0, "HTTP 401 Unauthorized: who are you?")

    def test_a_collector_that_takes_a_part(self, collector: Collector) -> None:
        collector.answer = b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too many tags"}}'
        assert forward(shops(1), 0.0, collector.url) == (8, "3 refused: too many tags")


class TestRun:
    def ended(self, tmp_path: Path, endpoint: str) -> Any:
        settings = Settings(reports=tmp_path, seed=7, otlp_endpoint=endpoint)
        with Mesh(FakeProvider(), Run("unit", settings, seed=7), settings) as mesh:
            mesh.record("step.start", "shift")
            mesh.record("step.end", "shift")
        (event,) = open_run(mesh.run.directory).history().of("spans.forwarded", "spans.forward_failed")
        return event

    def test_it_sends_what_it_has_at_its_end(self, tmp_path: Path, collector: Collector) -> None:
        event = self.ended(tmp_path, collector.url)
        assert (event.kind, event.data["endpoint"], event.data["sent"]) == ("spans.forwarded", collector.url, 2)
        assert [span["name"] for span in collector.spans()] == ["run unit", "step shift"]

    def test_a_collector_that_is_down_is_one_note(self, tmp_path: Path) -> None:
        event = self.ended(tmp_path, "http://me:secret@127.0.0.1:9")
        assert event.kind == "spans.forward_failed"
        assert (event.data["reason"], event.data["endpoint"]) == ("Connection refused", "http://127.0.0.1:9")

    def test_the_environment_counts_only_where_it_is_named(
        self, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        settings = Settings(reports=tmp_path, seed=7)
        with Mesh(FakeProvider(), Run("unit", settings, seed=7), settings):
            pass
        assert collector.got == []
        assert self.ended(tmp_path, "$OTEL_EXPORTER_OTLP_ENDPOINT").kind == "spans.forwarded"
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
        event = self.ended(tmp_path, "$OTEL_EXPORTER_OTLP_ENDPOINT")
        assert event.data["reason"] == "$OTEL_EXPORTER_OTLP_ENDPOINT is not set"

    def test_what_is_no_url_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"otlp_endpoint.*'collector:4317' is neither a URL"):
            resolve({"command line": {"otlp_endpoint": "collector:4317"}})
