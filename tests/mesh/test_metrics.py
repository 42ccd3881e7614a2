"""The endpoint of a mesh: what it answers, in which format, and that it lives as long as the mesh."""

from __future__ import annotations

import http.client
import socket
import threading
from urllib.parse import urlsplit

import pytest

from meshtest import Mesh, UsageError
from meshtest.errors import ProviderError
from meshtest.lib.exposition import OPENMETRICS, TEXT
from meshtest.testing import FakeProvider

SAMPLES = '# TYPE istio_requests_total counter\nistio_requests_total{reporter="source"} 3\n'


class Telling(FakeProvider):
    """A provider that tells metrics."""

    name = "telling"
    fails = False

    def metrics(self, vocabulary: str = "istio") -> str:
        if self.fails:
            raise ProviderError("Envoy's admin interface does not answer: gone")
        return SAMPLES if vocabulary == "istio" else "request_total 5\n"


@pytest.fixture
def provider() -> FakeProvider:
    return Telling()


def get(mesh: Mesh, path: str = "", **headers: str) -> tuple[int, str, str]:
    url = urlsplit(mesh.metrics_url)
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    connection.request("GET", path or url.path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers["content-type"], answer.read().decode()
    connection.close()
    return found


def endpoints() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "metrics-endpoint"]


def test_text_or_openmetrics_as_asked(mesh: Mesh) -> None:
    assert get(mesh) == (200, TEXT, SAMPLES)
    status, kind, text = get(mesh, accept="application/openmetrics-text;version=1.0.0")
    assert (status, kind) == (200, OPENMETRICS)
    assert text == SAMPLES.replace("istio_requests_total counter", "istio_requests counter") + "# EOF\n"


def test_there_is_nothing_else(mesh: Mesh) -> None:
    assert get(mesh, "/")[0] == 404


def test_trouble_is_told_to_who_scrapes(mesh: Mesh, provider: Telling) -> None:
    provider.fails = True
    assert get(mesh)[0] == 503
    provider.fails = False
    assert get(mesh)[0] == 200


def test_many_scrapes_go_over_one_connection(mesh: Mesh) -> None:
    connection = http.client.HTTPConnection(urlsplit(mesh.metrics_url).netloc, timeout=60)
    for _ in range(20):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read().decode() == SAMPLES
    connection.close()


def test_a_client_that_goes_disturbs_nobody(mesh: Mesh, capfd: pytest.CaptureFixture[str]) -> None:
    url = urlsplit(mesh.metrics_url)
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=60) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n")
    assert get(mesh)[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_it_ends_with_the_mesh(mesh: Mesh) -> None:
    assert mesh.metrics_url
    assert endpoints()
    mesh.close()
    assert not endpoints()


def test_samples_to_assert_on(mesh: Mesh) -> None:
    assert mesh.metrics().value("istio_requests_total", reporter="source") == 3


def test_linkerds_names_for_linkerds_manifests(mesh: Mesh) -> None:
    mesh.apply(
        text="""
apiVersion: v1
kind: Service
metadata: {name: api, annotations: {retry.linkerd.io/http: 5xx}}
spec: {selector: {app: api}, ports: [{name: http, port: 80}]}
"""
    )
    assert mesh.metrics().names() == ["request_total"]


def test_a_provider_without_metrics_says_so(bare: Mesh) -> None:
    bare.provider = FakeProvider()
    with pytest.raises(UsageError, match="the provider 'fake' does not tell the metrics of its proxies"):
        bare.metrics()
