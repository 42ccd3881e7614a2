"""Metrics of users' own pods: who is asked, what comes of it, and that a pod in trouble breaks nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from meshtest.lib.exposition import parse
from meshtest.model.service import Container, Workload
from meshtest.model.topology import Topology
from meshtest.spi.provider import Pod
from meshtest.telemetry.pods import Target, labels, merged, scrape, targets, text

WEB = Workload(
    name="web-v2",
    namespace="shop",
    labels={"app": "web", "app.kubernetes.io/version": "2"},
    annotations={"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
    containers=(Container(name="web", image="web:2"),),
)
POD = Pod(
    name="shop.web-v2-0", workload="shop/web-v2", version="2", pid=1, ready=True, ports={8080: 30001, 9090: 30002}
)


def found(annotations: Mapping[str, str]) -> list[Target]:
    return list(targets(Topology(workloads=(replace(WEB, annotations=annotations),)), [POD]))


class TestWho:
    def test_a_pod_that_asks_for_it_at_the_port_and_path_it_says(self) -> None:
        asked = {"prometheus.io/scrape": "true", "prometheus.io/port": "9090", "prometheus.io/path": "/stats"}
        (target,) = found(asked)
        assert (target.port, target.path) == (30002, "/stats")

    def test_without_a_port_all_that_it_declares(self) -> None:
        assert [(t.port, t.path) for t in found({"prometheus.io/scrape": "true"})] == [
            (30001, "/metrics"),
            (30002, "/metrics"),
        ]

    @pytest.mark.parametrize("annotations", [{}, {"prometheus.io/scrape": "false"}, {"prometheus.io/port": "9090"}])
    def test_nobody_else(self, annotations: Mapping[str, str]) -> None:
        assert found(annotations) == []

    def test_labels_are_the_pods_and_the_name_is_as_a_deployment_makes_it(self) -> None:
        given = labels(WEB, POD)
        name = given.pop("kubernetes_pod_name")
        assert given == {"app": "web", "app_kubernetes_io_version": "2", "kubernetes_namespace": "shop"}
        assert re.fullmatch("web-v2-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)", name), "Flagger's observer of Gateway API"
        assert not re.fullmatch("web-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)", name), "a canary's pods are not the primary's"

    def test_a_label_of_the_target_gives_way(self) -> None:
        assert merged({"app": "x", "code": "200"}, {"app": "web"}) == {
            "exported_app": "x",
            "code": "200",
            "app": "web",
        }


@contextlib.contextmanager
def answering(*parts: bytes, hold: threading.Event | None = None) -> Iterator[int]:
    """A pod that answers one request with these bytes, and then closes, or holds the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    for part in parts:
                        connection.sendall(part)
                    if hold:
                        hold.wait(60)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        if hold:
            hold.set()
        server.close()
        thread.join(60)


def http(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n{body}".encode()


def target(port: int, pod: str = "web-1") -> Target:
    return Target(port, "/metrics", {"app": "web", "kubernetes_pod_name": pod}, f"pod {pod}")


class TestAnswers:
    def test_all_of_a_family_stand_together_with_their_pods(self) -> None:
        body = (
            '# TYPE hits_total counter\nhits_total 3\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'
        )
        with answering(http(body)) as one, answering(http(body)) as two:
            told = text(scrape([target(one, "web-1"), target(two, "web-2")], within=60))
        assert [line for line in told.splitlines() if line.startswith("#")] == [
            "# TYPE hits_total counter",
            "# TYPE h histogram",
            "# TYPE up gauge",
        ]
        samples = list(parse(told))
        hits = [(s.labels["kubernetes_pod_name"], s.value) for s in samples if s.name == "hits_total"]
        assert hits == [("web-1", 3.0), ("web-2", 3.0)]
        assert [s.value for s in samples if s.name == "up"] == [1.0, 1.0]

    def test_one_that_hangs_and_one_that_drips_cost_no_more_than_their_time(self) -> None:
        over = threading.Event()
        with (
            answering(hold=over) as hangs,
            answering(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\na 1\n", hold=over) as drips,
        ):
            told = scrape([target(hangs), target(drips)], within=0.3)
            over.set()
        assert [one.trouble for one in told] == ["it did not answer in time"] * 2
        assert [s.value for s in parse(text(told))] == [0.0, 0.0]

    def test_what_is_no_answer_is_told_as_down(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            gone = closed.getsockname()[1]
        with (
            answering(http("<html>not metrics</html>")) as wrong,
            answering(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n") as missing,
        ):
            told = scrape([target(port) for port in (gone, wrong, missing)], within=60)
        assert "refused" in told[0].trouble
        assert told[1].trouble.startswith("line 1: a metric's name was expected")
        assert told[2].trouble == "it answered 404"
        assert [s.value for s in parse(text(told))] == [0.0, 0.0, 0.0]

    def test_nobody_asked_nothing_told(self) -> None:
        assert text(scrape([])) == ""
