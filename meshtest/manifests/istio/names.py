"""How Istio reads names: hosts, gateways, namespaces of visibility."""

from __future__ import annotations

from collections.abc import Iterable

from meshtest.lib.words import nearest
from meshtest.model.document import Document
from meshtest.model.route import MESH
from meshtest.model.service import DOMAIN

ROOT_NAMESPACE = "istio-system"
"""Rules here count for the whole mesh (Istio's default)."""

API_VERSION = "networking.istio.io/v1"
VIRTUAL_SERVICE = "networking.istio.io/VirtualService"
DESTINATION_RULE = "networking.istio.io/DestinationRule"
GATEWAY = "networking.istio.io/Gateway"
SERVICE_ENTRY = "networking.istio.io/ServiceEntry"
WORKLOAD_ENTRY = "networking.istio.io/WorkloadEntry"
SIDECAR = "networking.istio.io/Sidecar"


def fqdn(host: str, namespace: str) -> str:
    """A host without dots is a service of the object's own namespace; others are taken as they are."""
    if not host or "." in host or host.startswith("*"):
        return host
    return f"{host}.{namespace}.svc.{DOMAIN}"


def short(host: str, namespace: str) -> str:
    """The shortest spelling of a fully qualified host for objects of this namespace."""
    name, _, rest = host.partition(".")
    return name if rest == f"{namespace}.svc.{DOMAIN}" else host


def meant(host: str, known: Iterable[str]) -> str | None:
    """The known host that was probably meant. Only first labels are compared: the rest is alike in all of them."""
    by_label = {name.partition(".")[0]: name for name in known}
    close = nearest(host.partition(".")[0], by_label)
    return by_label[close] if close else None


def gateway(name: str, namespace: str) -> str:
    """`mesh`, or `namespace/name`; `name.namespace...` is an old spelling that Istio still takes."""
    if name == MESH:
        return name
    if "/" in name:
        return f"{namespace}/{name[2:]}" if name.startswith("./") else name
    if "." not in name:
        return f"{namespace}/{name}"
    first, second = name.split(".")[:2]
    return f"{second}/{first}"


def visible_to(export_to: Iterable[str], namespace: str) -> tuple[str, ...]:
    """Namespaces that see an object; empty: all. `~` (nobody) stays, as no namespace has that name."""
    export_to = tuple(export_to)
    return () if "*" in export_to else tuple(namespace if name == "." else name for name in export_to)


def age(document: Document) -> tuple[str, str, str]:
    """Istio's order among objects that claim the same thing: the oldest first, then by name."""
    return (str(document.metadata.get("creationTimestamp") or ""), document.name, document.namespace)
