"""Service: ports with the protocol Istio would choose, and whom it selects."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.kubernetes.fields import SERVICE
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.service import Service, ServicePort

PROTOCOLS = {
    "http": "http", "http1": "http", "kubernetes.io/ws": "http",
    "http2": "http2", "kubernetes.io/h2c": "http2",
    "grpc": "grpc", "grpc-web": "grpc",
    "https": "tcp", "tls": "tcp", "tcp": "tcp", "kubernetes.io/wss": "tcp",
    "mongo": "tcp", "mysql": "tcp", "redis": "tcp",
}  # fmt: skip
"""By appProtocol, or by the port's name up to the first `-`. Istio sniffs the others; HTTP is what it finds here."""

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")


def protocol(app_protocol: str, name: str) -> str:
    """Istio's explicit protocol selection."""
    if app_protocol:
        return PROTOCOLS.get(app_protocol.lower(), "http")
    word = "grpc-web" if name.lower().startswith("grpc-web") else name.lower().partition("-")[0]
    return PROTOCOLS.get(word, "http")


@per_document
def service(document: Document, notes: list[Diagnostic]) -> Service | None:
    """None for a Service without endpoints in the cluster (ExternalName)."""
    view = View.of(document, SERVICE, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    if spec.choice("type", TYPES, "ClusterIP") == "ExternalName":
        spec.not_supported("a Service of type ExternalName is left out", "type")
        return None
    if spec.choice("sessionAffinity", ("None", "ClientIP"), "None") == "ClientIP":
        spec.not_supported(
            "requests are spread over all pods; use a DestinationRule's consistentHash", "sessionAffinity"
        )
    return Service(
        name=document.name,
        namespace=document.namespace,
        ports=tuple(_ports(spec)),
        selector=spec.string_map("selector"),
        headless=spec.string("clusterIP") == "None",
        source=document.where(),
    )


def _ports(spec: View) -> Iterator[ServicePort]:
    views = spec.children("ports")
    seen: dict[int | str, View] = {}
    for view in views:
        number, name = view.port("port"), view.string("name")
        if not view.require("port") or number is None:
            continue
        if (kind := view.string("protocol", "TCP")) != "TCP":
            view.not_supported(f"this port speaks {kind}", "protocol")
            continue
        if not name and len(views) > 1:
            view.error("missing-field", f"{view.name('name')} is required: the Service has {len(views)} ports")
        for value in (number, name):
            if value and value in seen:
                view.error("duplicate-port", f"port {value!r} stands twice, first at {seen[value].source()}")
            seen[value] = view
        yield ServicePort(
            number=number,
            name=name,
            target=view.int_or_name("targetPort", number),
            protocol=protocol(view.string("appProtocol"), name),
        )
