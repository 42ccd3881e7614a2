"""Every protocol through the real Envoy, from a caller in the mesh and from outside, as one ask."""

from __future__ import annotations

import json
from textwrap import indent

import pytest

from meshtest import Mesh, no_downtime
from meshtest.loads.ask import Reply, TlsAsk
from meshtest.model import deeper
from meshtest.testing.certificates import CertificateAuthority

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  selector: {app: echo}
  ports:
  - {name: http, port: 80, targetPort: 3000}
  - {name: second, port: 8081, targetPort: 3001, appProtocol: kubernetes.io/h2c}
  - {name: third, port: 8082, targetPort: 3000, appProtocol: kubernetes.io/ws}
  - {name: grpc-api, port: 9000, targetPort: 3002}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo-v1}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo, version: v1}}
    spec:
      containers:
      - name: echo
        image: example/echo
        ports: [{containerPort: 3000}, {containerPort: 3001}, {containerPort: 3002}]
        readinessProbe: {grpc: {port: 3002}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo}
spec:
  hosts: [echo.example.com]
  gateways: [edge]
  http:
  - {match: [{uri: {prefix: /pkg.}}], route: [{destination: {host: echo, port: {number: 9000}}}]}
  - {match: [{uri: {prefix: /h2c}}], route: [{destination: {host: echo, port: {number: 8081}}}]}
  - {match: [{uri: {prefix: /ws}}], route: [{destination: {host: echo, port: {number: 8082}}}]}
  - {route: [{destination: {host: echo, port: {number: 80}}}]}
"""

INSIDE = {
    "http": "http://echo/",
    "h2c": "http://echo:8081/",
    "ws": "ws://echo:8082/",
    "grpc": "grpc://echo:9000/pkg.S/M",
}
OUTSIDE = {
    "http": "http://echo.example.com/",
    "h2c": "http://echo.example.com/h2c",
    "ws": "ws://echo.example.com/ws",
    "grpc": "grpc://echo.example.com/pkg.S/M",
}


@pytest.fixture
def echo(mesh: Mesh) -> Mesh:
    mesh.apply(text=MANIFESTS)
    return mesh


def spoken(reply: Reply) -> str:
    """What the pod says that it was asked by."""
    assert reply.answered, reply
    told: str = reply.json["protocol"]
    return told


@pytest.mark.parametrize("urls", [INSIDE, OUTSIDE], ids=["inside", "outside"])
def test_the_service_port_decides_what_the_pod_is_spoken_to_whatever_the_client_speaks(
    echo: Mesh, urls: dict[str, str]
) -> None:
    for protocol in ("http1", "http2"):
        assert spoken(echo.ask(urls["http"], protocol=protocol)) == "HTTP/1.1"
        assert spoken(echo.ask(urls["h2c"], protocol=protocol)) == "HTTP/2"


@pytest.mark.parametrize("urls", [INSIDE, OUTSIDE], ids=["inside", "outside"])
def test_grpc_brings_message_and_status(echo: Mesh, urls: dict[str, str]) -> None:
    reply = echo.ask(urls["grpc"], headers={"x-user": "7"})
    assert (reply.grpc_status, spoken(reply), reply.server.service) == (0, "gRPC", "echo")
    assert (reply.json["path"], reply.json["headers"]["x-user"]) == ("/pkg.S/M", "7")
    failed = echo.ask(urls["grpc"] + "?codes=503", headers={"x-envoy-max-retries": "0"})
    assert (failed.answered, failed.status, failed.grpc_status) == (True, 200, 14)


@pytest.mark.parametrize("urls", [INSIDE, OUTSIDE], ids=["inside", "outside"])
def test_a_websocket_stands_through_the_proxies(echo: Mesh, urls: dict[str, str]) -> None:
    reply = echo.ask(urls["ws"], body="over and back")
    assert (reply.status, reply.messages[1], reply.close_code) == (101, b"over and back", 1000)
    assert spoken(reply) == "WebSocket"


def test_an_ask_is_in_the_history_and_in_the_hops(echo: Mesh) -> None:
    reply = echo.ask("POST http://echo/", body="x", headers={"x-a": "1"})
    (event,) = echo.history().of("ask")
    assert (event.subject, event.data["request"], event.data["status"]) == (reply.id, "POST http://echo/", 200)
    echo.flush()
    assert {hop.direction for hop in echo.hops() if hop.request_id == reply.id} == {"outbound", "inbound"}


DATABASE = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  selector: {app: db}
  ports:
  - {name: tcp-sql, port: 5432, targetPort: 5432}
  - {name: tls-sql, port: 5433, targetPort: 5433}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db, version: v3}}
    spec:
      containers: [{name: db, image: example/db}]
      volumes: [{name: certificate, secret: {secretName: db}}]
---
apiVersion: v1
kind: Secret
metadata: {name: db}
type: kubernetes.io/tls
stringData:
  tls.crt: |
CERTIFICATE
  tls.key: |
KEY
"""


def database(authority: CertificateAuthority) -> str:
    leaf = authority.pair("db", "db.default.svc.cluster.local")
    return DATABASE.replace("CERTIFICATE", indent(leaf.certificate, "    ")).replace("KEY", indent(leaf.key, "    "))


def test_tcp_goes_through_the_mesh_and_back(mesh: Mesh) -> None:
    mesh.apply(text=database(CertificateAuthority()))
    told = mesh.ask("tcp://db:5432").json
    assert (told["service"], told["version"], told["protocol"], told["tls"]) == ("db", "v3", "TCP", None)
    assert mesh.ask("tcp://db:5432", body=b"x" * 100_000).body == b"x" * 100_000


def test_a_pod_with_a_mounted_certificate_speaks_tls_with_the_client_through_the_mesh(mesh: Mesh) -> None:
    authority = CertificateAuthority()
    mesh.apply(text=database(authority))
    tls = TlsAsk(ca=authority.root)
    assert mesh.ask("tls://db:5433", tls=tls).json["tls"]["sni"] == "db"
    for url, protocol in (("https://db:5433/", "HTTP/1.1"), ("grpcs://db:5433/a.B/C", "gRPC")):
        told = mesh.ask(url, tls=tls).json
        assert (told["protocol"], told["tls"]["sni"], told["service"]) == (protocol, "db", "db")


@pytest.mark.parametrize("port", ["", ":8081"], ids=["http1", "h2c"])
def test_a_replica_that_drains_loses_no_request(echo: Mesh, port: str) -> None:
    echo.scale("default/echo-v1", 2)
    with echo.load(f"http://echo{port}/?delay=20ms", rps=200) as load:
        load.until(requests=40)
        first, _ = echo.provider.pods("default/echo-v1")
        echo.provider.terminate(first.name)
        load.until(requests=40)
    echo.verify(no_downtime())
    assert echo.resets == 0


def test_a_mirrored_request_is_seen_by_its_version_alone(echo: Mesh) -> None:
    """In the hops, and in the log of a pod that is annotated so."""
    echo.apply(
        text="""
apiVersion: v1
kind: Service
metadata: {name: shadow}
spec: {selector: {app: shadow}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shadow}
spec:
  selector: {matchLabels: {app: shadow}}
  template:
    metadata: {labels: {app: shadow}, annotations: {meshtest.dev/log: "true"}}
    spec: {containers: [{name: shadow, image: example/shadow}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mirror}
spec:
  hosts: [echo]
  http: [{route: [{destination: {host: echo, port: {number: 80}}}], mirror: {host: shadow}}]
"""
    )
    reply = echo.ask("POST http://echo/paid", body="x")
    assert reply.server.service == "echo"
    echo.provider.settle()
    inbound = {hop.server.service for hop in echo.hops() if (hop.request_id, hop.direction) == (reply.id, "inbound")}
    assert inbound == {"echo", "shadow"}
    (log,) = (echo.run.directory / "pods").glob("shadow-*.log")
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert [line["path"] for line in lines if line["id"] == reply.id] == ["/paid"]


def test_a_run_of_asks_alone_has_a_timeline_too(echo: Mesh) -> None:
    echo.ask(INSIDE["http"])
    assert sum(deeper.timeline(echo.history(flushed=True), "echo", 10)["echo/v1"]) == 1


def test_a_host_that_is_not_there_is_an_answer_too(echo: Mesh) -> None:
    assert echo.ask("http://nowhere.svc/").status == 502
    assert not echo.ask("http://nowhere.svc/").ok


def test_a_stand_in_calls_others_by_grpc_and_http2_through_its_proxy(echo: Mesh) -> None:
    echo.apply(
        text="""
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: front}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  selector: {matchLabels: {app: front}}
  template:
    metadata:
      labels: {app: front}
      annotations: {meshtest.dev/calls: "grpc://echo:9000/pkg.S/M, http2://echo:8081/a, POST http://echo/b"}
    spec: {containers: [{name: front, image: example/front}]}
"""
    )
    calls = echo.ask("http://front/", headers={"x-user": "7"}).json["calls"]
    assert [(call["status"], call.get("grpc_status"), call["service"]) for call in calls] == [
        (200, 0, "echo"),
        (200, None, "echo"),
        (200, None, "echo"),
    ]
