"""Ports of Services: what their names say, and Services that share pods.

Upstream: istio/istio pkg/config/analysis/analyzers/service/portname.go, deployment/services.go,
pkg/config/kube/conversion.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from meshtest.lib.words import listed
from meshtest.model.document import Document
from meshtest.preflight.dig import at, labels, objects, port, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.injected import in_mesh
from meshtest.preflight.kinds import DEPLOYMENT, SERVICE
from meshtest.preflight.rules import across, each
from meshtest.preflight.scene import Host, Scene, hosts_of, pods_of

PROTOCOLS = frozenset(
    {"tcp", "udp", "grpc", "grpc-web", "http", "http_proxy", "http2", "https", "tls", "mongo", "redis", "mysql"}
)
STANDARD = frozenset({"kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss"})
"""appProtocol names of Kubernetes itself."""
PLAIN_TCP = frozenset({25, 53, 3306, 27017})
"""Ports whose protocols are known to speak first or oddly: they count as TCP without a name."""
MANAGED = frozenset({"istio.io-gateway-controller", "istio.io-mesh-controller", "istio.io-eastwest-controller"})
MANAGED_BY = "gateway.istio.io/managed"


@each(SERVICE, analyzer="service.PortNameAnalyzer")
def names(document: Document) -> Iterator[Hit]:
    """IST0118 for a port without a known protocol, IST0150 for one of an ExternalName service that catches too much."""
    own = labels(document.metadata, "labels")
    if "istio" in own or own.get("release") == "istio" or own.get(MANAGED_BY) in MANAGED:
        return
    external = text(document.data, "spec", "type") == "ExternalName"
    for index, item in objects(document.data, "spec", "ports"):
        name, number = text(item, "name"), port(item, "port")
        if says_protocol(item) and not (external and name == "tcp"):
            continue
        path = ("spec", "ports", index, "name")
        if external:
            yield Hit("IST0150", document, path, f"port {number} of an ExternalName service is named `{name}`")
        else:
            shown = f"`{name}`" if name else "(none)"
            yield Hit("IST0118", document, path, f"the name of port {number}, {shown}, says no protocol")


def says_protocol(item: object) -> bool:
    """The name or `appProtocol` of a port names a protocol that Istio knows."""
    if text(item, "protocol") == "UDP":
        return True
    declared = at(item, "appProtocol")
    name = declared if isinstance(declared, str) else text(item, "name")
    if name in STANDARD and declared:
        return True
    name = name.lower()
    prefix = "grpc-web" if name.startswith("grpc-web") else name.partition("-")[0]
    return prefix in PROTOCOLS or port(item, "port") in PLAIN_TCP


@across(DEPLOYMENT, analyzer="deployment.MultiServiceAnalyzer")
def shared_pods(scene: Scene) -> Iterator[Hit]:
    """IST0116 and IST0137, for Deployments in the mesh that several Services select."""
    selecting: dict[int, list[Host]] = defaultdict(list)
    for document in scene.of(SERVICE):
        for host in hosts_of(document):
            for pods in scene.selected(host.selector, document.namespace) if host.selector else ():
                selecting[id(pods)].append(host)
    for document in scene.of(DEPLOYMENT):
        found = pods_of(document)
        services = selecting.get(id(found), ())
        managed = labels(document.metadata, "labels").get(MANAGED_BY) == "istio.io-mesh-controller"
        if found is not None and services and not managed and in_mesh(scene, found):
            yield from _protocols(document, services)
            yield from _targets(document, services)


def _protocols(document: Document, services: Sequence[Host]) -> Iterator[Hit]:
    by_port: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for service in services:
        for item in service.ports:
            by_port[item.number][item.protocol].append(service.document.name)
    for number, protocols in by_port.items():
        if len(protocols) > 1:
            shown = listed(f"{name} ({p})" for p, found in protocols.items() for name in found)
            yield Hit("IST0116", document, ("metadata", "name"), f"port {number} has several protocols: {shown}")


def _targets(document: Document, services: Sequence[Host]) -> Iterator[Hit]:
    by_target: dict[str, dict[int, str]] = defaultdict(dict)
    for service in services:
        for item in service.ports:
            by_target[str(item.target or item.number)][item.number] = service.document.name
    for target, found in by_target.items():
        if len(found) > 1:
            shown = listed(f"{name}:{number}" for number, name in sorted(found.items()))
            yield Hit("IST0137", document, ("metadata", "name"), f"several ports lead to target port {target}: {shown}")
