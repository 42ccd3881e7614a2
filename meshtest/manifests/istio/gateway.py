"""Gateway: its servers that speak plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.istio.fields import GATEWAY
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.route import Gateway, Server

PLAIN = ("HTTP", "HTTP2", "GRPC")
OTHERS = ("HTTPS", "TLS", "TCP", "MONGO")


@per_document
def gateway(document: Document, notes: list[Diagnostic]) -> Gateway | None:
    view = View.of(document, GATEWAY, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    servers = tuple(_servers(spec))
    selector, where = spec.string_map("selector"), document.where()
    return Gateway(name=document.name, namespace=document.namespace, servers=servers, selector=selector, source=where)


def _servers(spec: View) -> Iterator[Server]:
    for view in spec.children("servers"):
        port = view.child("port")
        if port is None or not port.require("number") or not port.require("protocol"):
            view.require("port")
            continue
        number, protocol = port.port("number"), port.string("protocol").upper()
        if protocol in OTHERS:
            port.not_supported(f"this {protocol} server is left out; gateways speak plain HTTP here", "protocol")
        elif protocol not in PLAIN:
            port.choice("protocol", (*PLAIN, *OTHERS), "HTTP")
        elif number is not None and view.require("hosts"):
            own, of_port = view.string("name"), port.string("name")
            yield Server(port=number, protocol=protocol, name=own or of_port, hosts=tuple(_hosts(view)))


def _hosts(view: View) -> Iterator[str]:
    """`./host` is scoped to the gateway's own namespace."""
    for host in view.strings("hosts"):
        yield f"{view.document.namespace}/{host[2:]}" if host.startswith("./") else host
