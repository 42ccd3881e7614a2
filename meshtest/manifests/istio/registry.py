"""All services there are: those of Kubernetes, and the hosts of ServiceEntries with what their selectors find.

One host is one service. Istio's precedence among several of one host: a Kubernetes Service, then the oldest
ServiceEntry; entries of one host and namespace share their endpoints (pilot/pkg/model/sidecar.go, selectServices).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from meshtest.manifests.istio.service_entry import Entry, is_address
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.service import Endpoint, Service, ServicePort, within


def services(
    known: Sequence[Service], entries: Iterable[Service], workloads: Sequence[Entry]
) -> tuple[tuple[Service, ...], list[Diagnostic]]:
    """`entries`: services of ServiceEntries, the oldest first."""
    found: dict[str, Service] = {service.fqdn: service for service in known}
    notes: list[Diagnostic] = []
    for entry in entries:
        first = found.setdefault(entry.fqdn, entry)
        if first is entry:
            continue
        if not first.host or first.namespace != entry.namespace:
            notes.append(_duplicate(first, entry))
        else:
            if first.resolution != entry.resolution:
                notes.append(_otherwise(first, entry))
            found[entry.fqdn] = _together(first, entry)
    return tuple(_with_workloads(service, workloads, notes) for service in found.values()), notes


def _duplicate(first: Service, entry: Service) -> Diagnostic:
    kind = "ServiceEntry" if first.host else "Service"
    text = f"`{entry.fqdn}` is already the host of a {kind} ({first.source}): this ServiceEntry is left out"
    return Diagnostic(Severity.WARNING, "duplicate-host", text, entry.source)


def _otherwise(first: Service, entry: Service) -> Diagnostic:
    text = (
        f"`{entry.fqdn}` has resolution {first.resolution} by another ServiceEntry ({first.source}): "
        f"the endpoints of this one, {entry.resolution}, are left out"
    )
    return Diagnostic(Severity.WARNING, "duplicate-host", text, entry.source)


def _together(first: Service, other: Service) -> Service:
    """Ports of both, the first of a number; endpoints of both, where they are found in one way."""
    numbers = {port.number for port in first.ports}
    ports: tuple[ServicePort, ...] = (*first.ports, *(p for p in other.ports if p.number not in numbers))
    alike = other.endpoints if first.resolution == other.resolution else ()
    more = tuple(endpoint for endpoint in alike if endpoint not in first.endpoints)
    return replace(first, ports=ports, endpoints=(*first.endpoints, *more))


def _with_workloads(service: Service, workloads: Sequence[Entry], notes: list[Diagnostic]) -> Service:
    """WorkloadEntries of its namespace that it selects are endpoints beside its pods."""
    if not service.selector:
        return service
    chosen = [w.endpoint for w in workloads if w.namespace == service.namespace]
    chosen = [e for e in chosen if within(service.selector, e.labels)]
    if service.resolution in ("PODS", "STATIC"):
        for named in (e for e in chosen if not is_address(e.address)):
            text = f"`{service.fqdn}` selects a WorkloadEntry by name, {named.address!r}, which only DNS could look up"
            notes.append(Diagnostic(Severity.WARNING, "not-supported", text, service.source))
        chosen = [e for e in chosen if is_address(e.address)]
    more = tuple(_ported(e, service) for e in chosen)
    return replace(service, endpoints=(*service.endpoints, *more)) if more else service


def _ported(endpoint: Endpoint, service: Service) -> Endpoint:
    """A name that the endpoint does not have is the service's target port, if that is a number."""
    own = dict(endpoint.ports)
    ports = {p.name: own.get(p.name, p.target) for p in service.ports}
    return replace(endpoint, ports=tuple((name, n) for name, n in ports.items() if isinstance(n, int)))
