"""What is spoken: HTTP/2, gRPC, WebSocket, bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.model.feature import Feature
from meshtest.testing.conformance.case import Cases
from meshtest.testing.conformance.manifests import deployment, service, subsets

if TYPE_CHECKING:
    from meshtest.mesh import Mesh

CASES = cases = Cases()


def echo(protocol: str, *, port: int = 80) -> str:
    return service("echo", protocol=protocol, port=port) + deployment("echo", "v1") + deployment("echo", "v2")


@cases(Feature.HTTP2, echo("http2"))
def http2_reaches_the_service_as_http2(mesh: Mesh) -> None:
    reply = mesh.ask("GET http://echo/", protocol="http2")
    assert (reply.status, reply.json["protocol"]) == (200, "HTTP/2")


@cases(
    Feature.GRPC,
    echo("grpc", port=9000)
    + subsets("echo")
    + """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo}
spec:
  hosts: [echo]
  http:
  - match: [{uri: {prefix: /shop.Cart/}}]
    route: [{destination: {host: echo, subset: v2}}]
  - route: [{destination: {host: echo, subset: v1}}]
""",
)
def a_grpc_call_is_routed_by_its_service_and_answered_with_a_status(mesh: Mesh) -> None:
    cart = mesh.ask("grpc://echo:9000/shop.Cart/Add")
    other = mesh.ask("grpc://echo:9000/shop.Search/Find")
    assert (cart.grpc_status, other.grpc_status) == (0, 0)
    assert (cart.json["version"], other.json["version"]) == ("v2", "v1")


@cases(Feature.WEBSOCKET, echo("http"))
def a_websocket_is_opened_and_answers(mesh: Mesh) -> None:
    reply = mesh.ask("ws://echo/", body="hello")
    assert (reply.status, reply.answered) == (101, True)


@cases(
    Feature.TCP,
    echo("tcp", port=5000)
    + subsets("echo")
    + """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo}
spec:
  hosts: [echo]
  tcp: [{match: [{port: 5000}], route: [{destination: {host: echo, subset: v2}}]}]
""",
)
def a_connection_goes_where_its_route_says(mesh: Mesh) -> None:
    assert {mesh.ask("tcp://echo:5000").json["version"] for _ in range(4)} == {"v2"}
