"""TCP in the mesh and at gateways, on the real Envoy, with plain sockets as clients and small servers as services."""

from __future__ import annotations

import http.client
import socket
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from meshtest import Mesh
from meshtest.lib.wait import until
from meshtest.model.route import MESH, Destination, Gateway, RouteTable, Server, ServerTls, StreamMatch, StreamRoute

ECHO = (
    "import os, socketserver\n"
    "class Echo(socketserver.BaseRequestHandler):\n"
    "    def handle(self):\n"
    "        self.request.sendall(os.environ['WHO'].encode() + b'\\\\n')\n"
    "        while data := self.request.recv(4096):\n"
    "            self.request.sendall(data)\n"
    "socketserver.ThreadingTCPServer.allow_reuse_address = True\n"
    "socketserver.ThreadingTCPServer.daemon_threads = True\n"
    "socketserver.ThreadingTCPServer(('127.0.0.1', {port}), Echo).serve_forever()\n"
)
MONGO = "mongo.default.svc.cluster.local"


def version(name: str) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: mongo-{name}}}
spec:
  selector: {{matchLabels: {{app: mongo, version: {name}}}}}
  template:
    metadata: {{labels: {{app: mongo, version: {name}}}}}
    spec:
      serviceAccountName: mongo-{name}
      containers:
      - name: mongo
        image: example/echo:1
        env: [{{name: WHO, value: {name}}}]
        ports: [{{containerPort: 27017}}]
        readinessProbe: {{tcpSocket: {{port: 27017}}, periodSeconds: 1}}
"""


SHOP = f"""
apiVersion: v1
kind: Service
metadata: {{name: mongo}}
spec: {{selector: {{app: mongo}}, ports: [{{name: mongo, port: 27017}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: mongo}}
spec:
  host: mongo
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: tester}}
spec:
  selector: {{matchLabels: {{app: tester}}}}
  template:
    metadata: {{labels: {{app: tester}}}}
    spec: {{containers: [{{name: tester, image: "example/tester:1"}}]}}
---
{version("v1")}
---
{version("v2")}
"""
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
"""

pytestmark = pytest.mark.mesh(images={"example/echo": f'{sys.executable} -c "{ECHO}"'})


def tunnel(mesh: Mesh, source: str = "", to: str = "mongo:27017") -> socket.socket | int:
    """A connection through the caller's proxy, or the status it was refused with."""
    entrance = mesh.provider.entrance(source)
    client = socket.create_connection((entrance.address, entrance.port), timeout=10)
    client.sendall(f"CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        got = client.recv(1)
        if not got:
            break
        head += got
    status = int(head.split()[1])
    if status != 200:
        client.close()
        return status
    return client


def line(client: socket.socket | int) -> str:
    """The first line that comes out of it; then it is closed."""
    assert isinstance(client, socket.socket), client
    with client, client.makefile("rb") as reader:
        return reader.readline().decode().strip()


def to(subset: str, weight: int = 1) -> Destination:
    return Destination(host=MONGO, port=27017, subset=subset, weight=weight)


def table(*routes: StreamRoute, gateways: tuple[str, ...] = (MESH,)) -> RouteTable:
    return RouteTable(name="mongo", namespace="default", hosts=(MONGO,), gateways=gateways, tcp=routes)


def test_a_caller_reaches_a_tcp_service_through_its_proxy_by_connect(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    client = tunnel(mesh, "tester")
    assert isinstance(client, socket.socket)
    with client, client.makefile("rb") as reader:
        assert reader.readline() in (b"v1\n", b"v2\n")
        client.sendall(b"ping\n")
        assert reader.readline() == b"ping\n"
    for name in ("mongo.default:27017", "mongo.default.svc:27017", f"{MONGO}:27017"):
        assert line(tunnel(mesh, "tester", name)) in ("v1", "v2")
    assert tunnel(mesh, "tester", "nobody:27017") in (404, 502)


def test_weights_choose_for_each_connection_and_a_shift_moves_only_new_ones(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    base = mesh.topology
    mesh.provider.apply(replace(base, tables=(table(StreamRoute(destinations=(to("v1", 50), to("v2", 50)))),)))
    seen = Counter(line(tunnel(mesh)) for _ in range(60))
    assert set(seen) == {"v1", "v2"}
    mesh.provider.apply(replace(base, tables=(table(StreamRoute(destinations=(to("v1", 100), to("v2", 0)))),)))
    held = tunnel(mesh)
    assert isinstance(held, socket.socket)
    mesh.provider.apply(replace(base, tables=(table(StreamRoute(destinations=(to("v1", 0), to("v2", 100)))),)))
    assert {line(tunnel(mesh)) for _ in range(10)} == {"v2"}
    with held, held.makefile("rb") as reader:
        assert reader.readline() == b"v1\n"
        held.sendall(b"still here\n")
        assert reader.readline() == b"still here\n"


def test_routes_may_be_for_some_callers_only(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    rules = (
        StreamRoute(match=StreamMatch(caller_labels={"app": "tester"}), destinations=(to("v2"),)),
        StreamRoute(match=StreamMatch(port=27017), destinations=(to("v1"),)),
    )
    mesh.provider.apply(replace(mesh.topology, tables=(table(*rules),)))
    assert {line(tunnel(mesh, "tester")) for _ in range(5)} == {"v2"}
    assert {line(tunnel(mesh)) for _ in range(5)} == {"v1"}


def test_tcp_is_mutual_tls_under_strict_and_outsiders_are_cut_off(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    assert line(tunnel(mesh, "outside")) in ("v1", "v2")
    mesh.apply(text=STRICT)
    assert line(tunnel(mesh, "tester")) in ("v1", "v2")
    assert sum(mesh.provider.counters(r"^cluster\.outbound\|27017.*ssl\.handshake$").values()) > 0
    assert line(tunnel(mesh, "outside")) == ""


def test_a_connection_leaves_a_hop_at_each_proxy(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    line(tunnel(mesh, "tester"))

    def hops() -> list[tuple[str, str, str]]:
        """A connection has no id to be waited for by; each proxy writes its line when it has seen the end."""
        return sorted((hop.direction, hop.method, hop.proxy) for hop in mesh.run.history().hops)

    until(lambda: len(hops()) == 2, within=10, what=lambda: f"a hop of each proxy, not {hops()}")
    inbound, outbound = hops()
    assert (*inbound[:2], inbound[2][:7]) == ("inbound", "TCP", "mongo-v")
    assert outbound == ("outbound", "CONNECT", "default/tester")


def test_a_gateway_passes_tcp_on_by_weight(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    server = Server(port=27017, protocol="TCP", name="mongo")
    gateway = Gateway(name="gw", namespace="default", servers=(server,))
    base = replace(mesh.topology, gateways=(gateway,))

    def split(v1: int, v2: int) -> set[str]:
        route = StreamRoute(match=StreamMatch(port=27017), destinations=(to("v1", v1), to("v2", v2)))
        mesh.provider.apply(replace(base, tables=(table(route, gateways=("default/gw",)),)))
        entrance = mesh.provider.entrance("ingress/27017")
        return {line(socket.create_connection((entrance.address, entrance.port), timeout=10)) for _ in range(30)}

    assert split(50, 50) == {"v1", "v2"}
    assert split(0, 100) == {"v2"}
    mesh.provider.apply(base)
    entrance = mesh.provider.entrance("ingress/27017")
    assert line(socket.create_connection((entrance.address, entrance.port), timeout=10)) == "", "no route, no answer"


def test_tls_may_end_at_the_gateway_and_tcp_go_on(mesh: Mesh, authority: Any) -> None:
    from meshtest.model.credential import Credential

    mesh.apply(text=SHOP)
    pair = authority.pair("mongo.example.com")
    own = Credential(name="own", namespace="default", certificate=pair.certificate, private_key=pair.key)
    server = Server(port=27018, protocol="TLS", name="t", tls=ServerTls(mode="SIMPLE", certificates=("default/own",)))
    gateway = Gateway(name="gw", namespace="default", servers=(server,))
    rule = table(StreamRoute(destinations=(to("v1"),)), gateways=("default/gw/t",))
    mesh.provider.apply(replace(mesh.topology, gateways=(gateway,), tables=(rule,), credentials={"default/own": own}))
    entrance = mesh.provider.entrance("ingress/27018")
    raw = socket.create_connection((entrance.address, entrance.port), timeout=10)
    with authority.client().wrap_socket(raw, server_hostname="mongo.example.com") as wrapped:
        assert wrapped.makefile("rb").readline() == b"v1\n"


def test_http_and_tcp_callers_do_not_get_in_each_others_way(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    entrance = mesh.provider.entrance("")
    connection = http.client.HTTPConnection(entrance.address, entrance.port, timeout=10)
    connection.request("GET", "/", headers={"host": "mongo:27017"})
    assert connection.getresponse().status == 404, "a TCP service takes no requests"
    connection.close()
