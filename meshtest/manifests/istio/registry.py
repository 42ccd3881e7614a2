"""All services there are: those of Kubernetes, and the hosts of ServiceEntries with what their selectors find.

One host is one service. Istio's precedence among several of one host: a Kubernetes Service, then the oldest
ServiceEntry; entries of one host and namespace share their endpoints (pilot/pkg/model/sidecar.go, selectServices).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from meshtest.lib.words import listed
from meshtest.manifests.istio.service_entry import UNIX, Entry, is_ip
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
            found[entry.fqdn] = _together(first, entry)
    together = [_with_workloads(service, workloads) for service in found.values()]
    notes += [_nameless(service) for service in together if _named(service)]
    return tuple(_reachable(service) for service in together), notes


def _named(service: Service) -> list[Endpoint]:
    """Endpoints with a name where nobody looks one up: those of another entry, or of a WorkloadEntry."""
    if service.resolution not in ("PODS", "STATIC"):
        return []
    return [e for e in service.endpoints if not (e.address.startswith(UNIX) or is_ip(e.address))]


def _nameless(service: Service) -> Diagnostic:
    names = listed([f"`{endpoint.address}`" for endpoint in _named(service)])
    how = "the addresses of its pods" if service.resolution == "PODS" else "resolution STATIC"
    text = f"`{service.fqdn}` is reached by {how}, which looks up no name: {names} gets no request"
    return Diagnostic(Severity.WARNING, "unresolved-endpoint", text, service.source)


def _reachable(service: Service) -> Service:
    lost = _named(service)
    return replace(service, endpoints=tuple(e for e in service.endpoints if e not in lost)) if lost else service


def _duplicate(first: Service, entry: Service) -> Diagnostic:
    kind = "ServiceEntry" if first.host else "Service"
    text = f"`{entry.fqdn}` is already the host of a {kind} ({first.source}): this ServiceEntry is left out"
    return Diagnostic(Severity.WARNING, "duplicate-host", text, entry.source)


def _together(first: Service, other: Service) -> Service:
    """Ports of both, the first of a number; endpoints of both."""
    numbers = {port.number for port in first.ports}
    ports: tuple[ServicePort, ...] = (*first.ports, *(p for p in other.ports if p.number not in numbers))
    more = tuple(endpoint for endpoint in other.endpoints if endpoint not in first.endpoints)
    return replace(first, ports=ports, endpoints=(*first.endpoints, *more))


def _with_workloads(service: Service, workloads: Sequence[Entry]) -> Service:
    """WorkloadEntries of its namespace that it selects are endpoints beside its pods."""
    if not service.selector:
        return service
    chosen = [w.endpoint for w in workloads if w.namespace == service.namespace]
    more = tuple(_ported(e, service) for e in chosen if within(service.selector, e.labels))
    return replace(service, endpoints=(*service.endpoints, *more)) if more else service


def _ported(endpoint: Endpoint, service: Service) -> Endpoint:
    """A name that the endpoint does not have is the service's target port, if that is a number."""
    own = dict(endpoint.ports)
    ports = {p.name: own.get(p.name, p.target) for p in service.ports}
    return replace(endpoint, ports=tuple((name, n) for name, n in ports.items() if isinstance(n, int)))
