"""The receiver of spans lives as long as its provider, and serves one run at a time."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from meshtest import Mesh, Settings
from meshtest.run import Run
from meshtest.spi import registry
from meshtest.testing import FakeProvider

OTLP = b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "%032x", "spanId": "%016x", "startTimeUnixNano": 1, '
OTLP += b'"endTimeUnixNano": 2, "name": "%b"}]}]}]}'


def mesh_of(provider: FakeProvider, folder: Path, *, owns_provider: bool = False, traces: str = "sampled") -> Mesh:
    settings = Settings(reports=folder, traces=traces)
    return Mesh(provider, Run("test", settings), settings, owns_provider=owns_provider).open()


def send(mesh: Mesh, name: bytes) -> None:
    assert mesh.collector is not None
    host, _, port = mesh.collector.http.removeprefix("http://").rpartition(":")
    body = OTLP % (1, 2, name)
    head = b"POST /v1/traces HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head + body)
        assert connection.recv(12) == b"HTTP/1.1 200"


def names(mesh: Mesh) -> list[str]:
    return [span.name for span in mesh.run.history().spans]


def test_the_provider_is_told_where_spans_go(tmp_path: Path) -> None:
    provider = FakeProvider()
    with mesh_of(provider, tmp_path, owns_provider=True) as mesh:
        assert provider.context is not None
        assert provider.context.collector == mesh.collector is not None


def test_off_there_is_no_receiver(tmp_path: Path) -> None:
    provider = FakeProvider()
    with mesh_of(provider, tmp_path, owns_provider=True, traces="off") as mesh:
        assert provider.context is not None
        assert provider.context.collector is mesh.collector is None
        mesh.flush_spans()


def test_a_warm_provider_keeps_the_address_and_each_run_has_its_own_spans(tmp_path: Path) -> None:
    provider = FakeProvider()
    with mesh_of(provider, tmp_path) as first:
        send(first, b"first")
        first.flush_spans()
        assert names(first) == ["first"]
    send(first, b"between")
    with mesh_of(provider, tmp_path, owns_provider=True) as second:
        assert second.collector == first.collector
        send(second, b"second")
    assert (names(first), names(second)) == (["first"], ["second"])


def test_the_receiver_goes_with_the_provider(tmp_path: Path) -> None:
    with mesh_of(FakeProvider(), tmp_path, owns_provider=True) as mesh:
        send(mesh, b"x")
    with pytest.raises(ConnectionRefusedError):
        send(mesh, b"y")


def test_without_a_receiver_installed_that_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.names
    monkeypatch.setattr(registry, "names", lambda seam: [] if seam == "telemetry" else real(seam))
    with mesh_of(FakeProvider(), tmp_path, owns_provider=True) as mesh:
        assert mesh.collector is None
        (note,) = mesh.run.history().of("note")
        assert "no span receiver is installed" in note.data["text"]
