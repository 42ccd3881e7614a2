"""EndpointSlice: the endpoints of a Service without a selector, as its author has written them down.

A Service with a selector gets its own from its pods; slices of it are leftovers of a cluster (`kubectl get -o yaml`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.kubernetes.fields import ENDPOINT_SLICE
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import NOWHERE, Diagnostic, Severity, Source
from meshtest.model.document import Document
from meshtest.model.service import Endpoint, Service

SERVICE_NAME = "kubernetes.io/service-name"
"""The label that says whose slice it is."""
TYPES = ("IPv4", "IPv6", "FQDN")


@dataclass(frozen=True)
class Slice:
    """The ready endpoints of one slice."""

    service: str
    """`namespace/name`"""
    endpoints: tuple[Endpoint, ...]
    source: Source = field(default=NOWHERE, compare=False)


@per_document
def endpoint_slice(document: Document, notes: list[Diagnostic]) -> Slice | None:
    view = View.of(document, ENDPOINT_SLICE, notes)
    labels, _ = metadata(view)
    view.require("addressType")
    if view.choice("addressType", TYPES, "IPv4") == "FQDN":
        view.not_supported("write a ServiceEntry of resolution DNS", "addressType")
        return None
    name = labels.get(SERVICE_NAME)
    if name is None:
        view.warn("unknown-host", f"a slice without the label {SERVICE_NAME} belongs to no Service")
        return None
    ports = tuple(_ports(view))
    found = tuple(e for one in view.children("endpoints") for e in _endpoints(one, ports))
    return Slice(f"{document.namespace}/{name}", found, document.where())


def _ports(view: View) -> Iterator[tuple[str, int]]:
    for one in view.children("ports"):
        number, name = one.port("port"), one.string("name")
        if one.choice("protocol", ("TCP", "UDP", "SCTP"), "TCP") == "TCP" and number is not None:
            yield name, number


def _endpoints(view: View, ports: tuple[tuple[str, int], ...]) -> Iterator[Endpoint]:
    """An endpoint that says nothing of its readiness is ready (discovery/v1, EndpointConditions)."""
    conditions = view.child("conditions")
    ready = conditions.boolean("ready") if conditions else None
    view.require("addresses")
    zone = view.string("zone")
    for address in view.strings("addresses") if ready is not False else ():
        yield Endpoint(address=address, ports=ports, locality=f"/{zone}" if zone else "")


def with_slices(services: Iterable[Service], slices: list[Slice], notes: list[Diagnostic]) -> Iterator[Service]:
    """The Services with the endpoints of their slices; complaints about slices that change nothing go to `notes`."""
    known: dict[str, Service] = {f"{service.namespace}/{service.name}": service for service in services}
    found: dict[str, tuple[Endpoint, ...]] = {}
    for one in slices:
        service = known.get(one.service)
        if service is None:
            text = f"there is no Service `{one.service}` for this slice"
            notes.append(Diagnostic(Severity.WARNING, "unknown-host", text, one.source))
        elif service.selector:
            text = f"Service `{one.service}` has a selector: its endpoints are its pods, not this slice"
            notes.append(Diagnostic(Severity.INFO, "unused", text, one.source))
        else:
            found[one.service] = (*found.get(one.service, ()), *one.endpoints)
    for key, service in known.items():
        yield replace(service, endpoints=found[key]) if key in found else service
