"""The metrics of the proxies on the real Envoy: every request is counted, by both sides, with Istio's labels."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from meshtest import Mesh
from meshtest.lib import wait
from meshtest.model.request import Fate
from meshtest.model.series import NO_DATA, NoDataFound
from tests.web import SERVICE, SUBSETS, deployment, joined

from .web import WEB

SHOP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop, version: "7"}}
    spec: {serviceAccountName: shop, containers: [{name: shop, image: "shop:1"}]}
"""

CANARY = joined(SERVICE, deployment("v1", replicas=2), deployment("v2", 'meshtest.dev/errors: "503:40"'), SHOP, SUBSETS)

ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - fault: {abort: {percentage: {value: 20}, httpStatus: 418}}
    route:
    - {destination: {host: web, subset: v1}, weight: 60}
    - {destination: {host: web, subset: v2}, weight: 40}
    retries: {attempts: 2, retryOn: "5xx,reset,connect-failure"}
    mirror: {host: web, subset: v2}
    mirrorPercentage: {value: 50}
"""

HEALTHY = CANARY.replace("503:40", "503:0")

LABELS = {
    "reporter", "source_workload", "source_canonical_service", "source_canonical_revision",
    "source_workload_namespace", "source_principal", "source_app", "source_version", "source_cluster",
    "destination_workload", "destination_canonical_service", "destination_canonical_revision",
    "destination_workload_namespace", "destination_principal", "destination_app", "destination_version",
    "destination_cluster", "destination_service", "destination_service_name", "destination_service_namespace",
    "request_protocol", "response_code", "grpc_response_status", "response_flags", "connection_security_policy",
}  # fmt: skip
"""Of the goldens in istio/proxy, testdata/metric/client_request_total.yaml.tmpl and server_request_total.yaml.tmpl."""


def the(mesh: Mesh, name: str = "istio_requests_total", **labels: str) -> Mapping[str, str]:
    (found,) = mesh.metrics().samples(name, **labels)
    return found.labels


def by_hops(mesh: Mesh, direction: str) -> Counter[tuple[str, str, str]]:
    """How many requests with (status, flags, version) the access log has."""
    hops = [hop for hop in mesh.hops() if hop.direction == direction]
    return Counter((str(hop.status), hop.flags, hop.server.version or "unknown") for hop in hops)


def by_metrics(mesh: Mesh, reporter: str) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for name, labels, value, _ in mesh.metrics().samples("istio_requests_total", reporter=reporter):
        assert name
        key = (labels["response_code"], labels["response_flags"], labels["destination_version"])
        found[key] += int(value)
    return found


class TestCounts:
    def test_each_request_is_counted_once_by_its_caller_and_once_by_each_that_it_reached(self, mesh: Mesh) -> None:
        """With aborts, retries, mirrored requests, and a pod that is killed under load."""
        mesh.apply(text=CANARY + "---" + ROUTES)
        with mesh.load("GET http://web/", rps=100, source="shop") as load:
            load.until(requests=100)
            mesh.provider.kill(mesh["web"]["v1"].pods[0].name, signal.SIGKILL)
            load.until(requests=200)
        answered = sum(r.fate is Fate.ANSWERED for r in load.requests)
        sent = sum(r.fate is not Fate.NOT_SENT for r in load.requests)
        mesh.flush()
        metrics = mesh.metrics()
        counted = metrics.value("istio_requests_total", reporter="source")
        assert answered <= counted <= sent, "they are the same, unless a machine without time lets requests run out"
        assert metrics.value("istio_request_duration_milliseconds_count", reporter="source") == counted
        assert by_metrics(mesh, "source") == by_hops(mesh, "outbound")
        assert by_metrics(mesh, "destination") == by_hops(mesh, "inbound")
        assert metrics.value("istio_requests_total", reporter="source", response_flags="FI") >= 1
        assert metrics.value("istio_requests_total", reporter="destination") > counted, "mirrored ones count there"
        known = metrics.by("istio_requests_total", "source_workload", reporter="destination")
        assert set(known) == {"shop"}, "mirrored ones too tell who caused them"

    def test_counts_outlive_their_pods_and_what_a_caller_was_called_before(self, mesh: Mesh) -> None:
        mesh.apply(text=HEALTHY)
        mesh.load("GET http://web/", rps=200, requests=20, source="shop").run()
        mesh.apply(text=HEALTHY.replace('version: "7"', 'version: "8"'))
        mesh.load("GET http://web/", rps=200, requests=10, source="shop").run()
        mesh.scale("default/web-v2", 0)
        mesh.scale("default/web-v1", 1)
        metrics = mesh.metrics()
        for reporter in ("source", "destination"):
            assert metrics.by("istio_requests_total", "source_version", reporter=reporter) == {"7": 20, "8": 10}

    def test_a_run_begins_at_zero(self, mesh: Mesh) -> None:
        """Envoy is warm: tests before this one have left their counts in it."""
        mesh.apply(text=HEALTHY)
        assert mesh.metrics().value("istio_requests_total") == NO_DATA
        assert mesh.ask("GET http://web/").status == 200
        assert mesh.metrics().value("istio_requests_total", reporter="source") == 1

    def test_no_sample_is_no_zero(self, mesh: Mesh) -> None:
        mesh.apply(text=CANARY)
        mesh.ask("GET http://web/")
        with pytest.raises(NoDataFound, match="no sample has reporter=\"sauce\"; there are: 'destination', 'source'"):
            assert mesh.metrics().value("istio_requests_total", reporter="sauce") < 1


class TestLabels:
    def test_all_of_istios(self, mesh: Mesh) -> None:
        mesh.apply(text=CANARY + "---" + ROUTES.replace("value: 20", "value: 0").replace("value: 50", "value: 0"))
        mesh.load("GET http://web/", rps=100, requests=20, source="shop").run()
        source, destination = (
            the(mesh, reporter=reporter, destination_version="v1", response_code="200")
            for reporter in ("source", "destination")
        )
        assert set(source) == set(destination) == LABELS
        for labels in (source, destination):
            assert dict(labels) == {
                "reporter": labels["reporter"],
                "source_workload": "shop",
                "source_canonical_service": "shop",
                "source_canonical_revision": "7",
                "source_workload_namespace": "default",
                "source_principal": "unknown",
                "source_app": "shop",
                "source_version": "7",
                "source_cluster": "Kubernetes",
                "destination_workload": "web-v1",
                "destination_canonical_service": "web",
                "destination_canonical_revision": "v1",
                "destination_workload_namespace": "default",
                "destination_principal": "unknown",
                "destination_app": "web",
                "destination_version": "v1",
                "destination_cluster": "Kubernetes",
                "destination_service": "web.default.svc.cluster.local",
                "destination_service_name": "web",
                "destination_service_namespace": "default",
                "request_protocol": "http",
                "response_code": "200",
                "grpc_response_status": "",
                "response_flags": "-",
                "connection_security_policy": "none" if labels is destination else "unknown",
            }

    def test_principals_and_the_policy_of_mutual_tls(self, mesh: Mesh) -> None:
        strict = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
"""
        mesh.apply(text=CANARY + "---" + strict)
        mesh.load("GET http://web/", rps=100, requests=10, source="shop").run()
        assert mesh.metrics().by("istio_requests_total", "connection_security_policy", reporter="destination") == {
            "mutual_tls": 10
        }
        for reporter in ("source", "destination"):
            metrics = mesh.metrics()
            assert metrics.by("istio_requests_total", "source_principal", reporter=reporter) == {
                "spiffe://cluster.local/ns/default/sa/shop": 10
            }
            assert metrics.by("istio_requests_total", "destination_principal", reporter=reporter) == {
                "spiffe://cluster.local/ns/default/sa/default": 10
            }

    def test_where_no_pod_was_reached_the_caller_alone_knows_and_not_which_version(self, mesh: Mesh) -> None:
        """What Flagger's queries of reporter="destination" do not see (flagger#1005)."""
        mesh.apply(text=CANARY)
        mesh.scale("default/web-v1", 0)
        mesh.scale("default/web-v2", 0)
        assert mesh.ask("GET http://web/", source="shop").status == 503
        assert mesh.ask("GET http://nosuch/", source="shop").status == 502
        unreached = the(mesh, reporter="source", response_flags="UH")
        assert (unreached["destination_service"], unreached["destination_workload"]) == (
            "web.default.svc.cluster.local",
            "unknown",
        )
        assert unreached["destination_canonical_revision"] == "latest"
        assert the(mesh, destination_service="nosuch")["destination_service_name"] == "BlackHoleCluster"
        assert mesh.metrics().value("istio_requests_total", reporter="destination") == NO_DATA

    def test_a_gateway_is_a_caller_like_any(self, mesh: Mesh) -> None:
        mesh.apply(text=WEB)
        mesh.load("GET http://shop.example.com/", rps=100, requests=5).run()
        for reporter in ("source", "destination"):
            labels = the(mesh, reporter=reporter)
            assert (labels["source_workload"], labels["source_workload_namespace"]) == (
                "istio-ingressgateway",
                "istio-system",
            )
            assert (labels["destination_workload"], labels["destination_service_name"]) == ("web-v1", "web")

    def test_calls_of_grpc_have_a_status_and_messages(self, mesh: Mesh) -> None:
        mesh.apply(text=HEALTHY.replace("name: http, port: 80", "name: grpc, port: 80"))
        assert mesh.ask("grpc://web:80/shop.Cart/Add", source="shop").grpc_status == 0
        for reporter in ("source", "destination"):
            labels = the(mesh, reporter=reporter)
            assert (labels["request_protocol"], labels["grpc_response_status"]) == ("grpc", "0")
            assert mesh.metrics().value("istio_request_messages_total", reporter=reporter) == 1

    def test_a_connection_is_counted_when_it_opens_and_when_it_ends(self, mesh: Mesh) -> None:
        mesh.apply(text=HEALTHY.replace("name: http, port: 80", "name: tcp, port: 80"))
        assert mesh.ask("tcp://web:80/", source="shop", body=b"hello").body == b"hello"
        metrics = mesh.metrics()
        for reporter in ("source", "destination"):
            for what in ("opened", "closed"):
                assert metrics.value(f"istio_tcp_connections_{what}_total", reporter=reporter) == 1
            assert metrics.value("istio_tcp_received_bytes_total", reporter=reporter) == 5
        labels = the(mesh, "istio_tcp_connections_closed_total", reporter="source")
        assert set(labels) == LABELS - {"response_code", "grpc_response_status"}
        assert (labels["request_protocol"], labels["response_flags"]) == ("tcp", "-")

    def test_linkerds_names_where_the_manifests_are_linkerds(self, mesh: Mesh) -> None:
        failing = CANARY.replace("annotations: {", 'annotations: {linkerd.io/inject: "enabled", ')
        mesh.apply(text=failing.replace("503:40", "503:100"))
        mesh.scale("default/web-v1", 0)
        mesh.load("GET http://web/", rps=100, requests=10, source="shop").run()
        metrics = mesh.metrics()
        flagger = {"namespace": "default", "deployment": "web-v2", "direction": "inbound"}
        assert metrics.by("response_total", "classification", **flagger) == {"failure": 10}
        assert metrics.value("response_total", status_code="503", **flagger) == 10
        assert metrics.value("response_latency_ms_count", **flagger) == 10
        assert metrics.value("istio_requests_total") == NO_DATA


# -- who calls


def ask(mesh: Mesh, source: str, headers: dict[str, str]) -> dict[str, Any]:
    """The headers that the service saw."""
    entrance = mesh.provider.entrance(source)
    connection = http.client.HTTPConnection(entrance.address, entrance.port, timeout=10)
    connection.request("GET", "/", headers={"host": "web", **headers})
    answer = connection.getresponse()
    seen = json.loads(answer.read())["headers"]
    connection.close()
    return {name.lower(): value for name, value in seen.items()}


FORGED = {"x-envoy-peer-metadata": "CgA=", "x-envoy-peer-metadata-id": "shop", "x-meshtest-peer": "default/shop"}


class TestWhoCalls:
    @pytest.mark.parametrize("source", ["shop", "outside"])
    def test_no_application_sees_how_proxies_tell_each_other(self, mesh: Mesh, source: str) -> None:
        mesh.apply(text=HEALTHY)
        seen = ask(mesh, source, FORGED)
        assert [name for name in seen if "peer" in name] == ["x-meshtest-peer"], "which means nothing to anybody"
        caller = {"shop": "shop", "outside": "unknown"}[source]
        assert the(mesh, reporter="destination")["source_workload"] == caller

    def test_a_tunnel_of_an_outsider_does_not_help(self, mesh: Mesh) -> None:
        mesh.apply(text=HEALTHY)
        entrance = mesh.provider.entrance("outside")
        with socket.create_connection((entrance.address, entrance.port), timeout=10) as client:
            client.sendall(b"CONNECT web:80 HTTP/1.1\r\nhost: web:80\r\n\r\n")
            assert b" 200 " in client.recv(4096)
            forged = "".join(f"{name}: {value}\r\n" for name, value in FORGED.items())
            client.sendall(f"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n{forged}\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert the(mesh, reporter="destination")["source_workload"] == "unknown"

    def test_what_leads_out_of_the_mesh_does_not_carry_it(self, mesh: Mesh) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            entry = f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: out}}
spec:
  hosts: [out.example.com]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  location: MESH_EXTERNAL
  endpoints: [{{address: 127.0.0.1, ports: {{http: {server.getsockname()[1]}}}}}]
"""
            mesh.apply(text=CANARY + "---" + entry)
            caller = mesh.provider.entrance("shop")
            client = http.client.HTTPConnection(caller.address, caller.port, timeout=10)
            client.request("GET", "/", headers={"host": "out.example.com"})
            connection, _ = server.accept()
            with connection:
                connection.settimeout(10)
                seen = connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            assert client.getresponse().status == 200
            client.close()
        assert b"peer" not in seen
        labels = the(mesh, reporter="source")
        assert (labels["destination_service"], labels["destination_workload"]) == ("out.example.com", "unknown")


# -- users' own pods

OWN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata:
      labels: {app: app, version: v1}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8080"
        prometheus.io/path: /stats
        meshtest.dev/command: COMMAND
    spec:
      containers:
      - name: app
        image: app:1
        ports: [{containerPort: 8080}]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
"""
PROGRAM = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"carts 3\\n")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_pods_that_ask_for_it_are_scraped(mesh: Mesh, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(PROGRAM)
    mesh.apply(text=OWN.replace("COMMAND", f"{sys.executable} {program}"))
    wait.until(lambda: bool(mesh.metrics().samples("carts")), within=60, what=lambda: mesh.metrics().text)
    (sample,) = mesh.metrics().samples("carts")
    assert (sample.value, sample.labels["app"], sample.labels["version"]) == (3, "app", "v1")
