"""A stand-in's own metrics: there if its pod is annotated as scraped, and exact."""

from __future__ import annotations

from collections.abc import Callable

from meshtest_envoy.pods.app_metrics import BUCKETS, MOST_PATHS, AppMetrics
from meshtest_envoy.pods.http1 import Request
from meshtest_envoy.pods.service import Answer

from .conftest import Watched, Wire

SCRAPED = {"prometheus.io/scrape": "true"}


def text(wire: Wire, path: str = "/metrics") -> str:
    status, headers = wire.get(path).head()
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return wire.read(int(headers["content-length"])).decode()


def samples(told: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in told.splitlines() if line[:1] != "#"]
    return {series: float(value) for series, _, value in lines}


class TestOverTheWire:
    def test_requests_are_counted_by_method_path_and_status(
        self, mesh: Watched, connect: Callable[[int], Wire]
    ) -> None:
        wire = connect(mesh.ready(annotations={**SCRAPED, "meshtest.dev/errors": "503:100"}).ports[8080])
        for path in ("/a", "/a?x=1", "/b?codes=200:1", "/c?delay=30ms&codes=201:1"):
            wire.get(path).answer()
        wire.get("/healthz", user_agent="kube-probe/1.30").answer()
        told = samples(text(wire))
        counts = {series: n for series, n in told.items() if "_count" in series}
        assert counts == {
            'http_request_duration_seconds_count{method="GET",path="/a",status="503"}': 2,
            'http_request_duration_seconds_count{method="GET",path="/b",status="200"}': 1,
            'http_request_duration_seconds_count{method="GET",path="/c",status="201"}': 1,
        }
        slow = 'http_request_duration_seconds_bucket{method="GET",path="/c",status="201",le="%s"}'
        assert (told[slow % "0.025"], told[slow % "10"], told[slow % "+Inf"]) == (0, 1, 1)
        assert told['http_request_duration_seconds_sum{method="GET",path="/c",status="201"}'] >= 0.03

    def test_a_scrape_is_none_of_them(self, mesh: Watched, connect: Callable[[int], Wire]) -> None:
        wire = connect(mesh.ready(annotations=SCRAPED).ports[8080])
        assert samples(text(wire)) == samples(text(wire)) == {}

    def test_the_path_is_as_annotated(self, mesh: Watched, connect: Callable[[int], Wire]) -> None:
        wire = connect(mesh.ready(annotations={**SCRAPED, "prometheus.io/path": "/stats"}).ports[8080])
        assert wire.get("/metrics").answer()[2]["path"] == "/metrics"
        assert 'path="/metrics"' in text(wire, "/stats")

    def test_without_the_annotation_there_is_none(self, mesh: Watched, connect: Callable[[int], Wire]) -> None:
        assert connect(mesh.ready().ports[8080]).get("/metrics").answer()[2]["path"] == "/metrics"


def serve(request: Request) -> Answer:
    return Answer(200, b"")


def test_many_paths_do_not_fill_the_memory() -> None:
    metrics = AppMetrics(SCRAPED)
    for number in range(3 * MOST_PATHS):
        metrics.answer(Request("GET", f"/{number}", {}), serve)
    counted = [value for series, value in samples(metrics.text()).items() if "_count" in series]
    assert len(counted) == MOST_PATHS + 1
    assert sum(counted) == 3 * MOST_PATHS


def test_labels_are_escaped_and_buckets_add_up() -> None:
    metrics = AppMetrics(SCRAPED)
    metrics.answer(Request("GET", '/"\\', {}), serve)
    told = samples(metrics.text())
    assert 'http_request_duration_seconds_count{method="GET",path="/\\"\\\\",status="200"}' in told
    assert len([series for series in told if "_bucket" in series]) == len(BUCKETS) + 1
