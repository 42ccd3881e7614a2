"""Every protocol through the real Envoy, from a caller in the mesh and from outside, as one ask."""

from __future__ import annotations

import pytest

from meshtest import Mesh
from meshtest.loads.ask import Reply

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
        assert spoken(echo.ask(urls["http"], protocol=protocol)) == "HTTP/1.1"  # type: ignore[arg-type]
        assert spoken(echo.ask(urls["h2c"], protocol=protocol)) == "HTTP/2"  # type: ignore[arg-type]


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
