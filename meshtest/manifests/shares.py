"""The intended split of a service's requests by version: what a run's figures are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from meshtest.manifests.apex import led_to
from meshtest.manifests.error_backends import is_error_backend
from meshtest.manifests.gateway_api.versions import parts
from meshtest.manifests.hosts import claims, default_route, in_order
from meshtest.model.route import MESH, Destination, Match, Route, RouteTable
from meshtest.model.service import VERSION_LABELS, Service, Workload
from meshtest.model.topology import Topology


def shares(topology: Topology, host: str) -> dict[str, float]:
    """Version to percent for requests that no rule picks by user; {} for a host that is no Service.

    In the mesh; where only a gateway's table leads to the host, by that one.
    """
    service = topology.service(host)
    if service is None:
        return {}
    route = intended(topology, service)
    total = sum(d.weight for d in route.destinations)
    found: dict[str, float] = {}
    for destination in route.destinations:
        for version, part in _versions(topology, destination).items():
            found[version] = found.get(version, 0.0) + 100.0 * destination.weight / total * part
    return {version: round(percent, 9) for version, percent in found.items()}


def intended(topology: Topology, service: Service) -> Route:
    """The route of the requests that are nothing special."""
    tables = in_order(topology.tables)
    in_mesh = claims([t for t in tables if MESH in t.gateways], service.fqdn)
    route = _default(topology, in_mesh[:1] or tables, service)
    if route is not None:
        return route
    port = service.ports[0].number if service.ports else 0
    return default_route(topology, service, port)


def _default(topology: Topology, tables: Iterable[RouteTable], service: Service) -> Route | None:
    """Of Gateway API's tables, and of those that Flagger makes, routes to Services of the versions count as well."""
    routes = [
        route
        for table in tables
        for hosts in [_hosts(topology, table, service)]
        for route in map(_without_errors, _all(table))
        if route.destinations and not route.match.selects_users and all(d.host in hosts for d in route.destinations)
    ]
    return next((r for r in routes if r.match.is_catch_all), routes[0] if routes else None)


def _without_errors(route: Route) -> Route:
    """Requests that a fault takes away are chosen by no version."""
    kept = tuple(d for d in route.destinations if not is_error_backend(d.host))
    return route if len(kept) == len(route.destinations) else replace(route, destinations=kept)


def _hosts(topology: Topology, table: RouteTable, service: Service) -> set[str]:
    if table.order == "listed":
        return {service.fqdn, *(version.fqdn for version in led_to(topology, service.fqdn))}
    return {part.fqdn for part in parts(topology, service.fqdn)}


def _all(table: RouteTable) -> Iterator[Route]:
    """Its routes; connections count as requests."""
    yield from table.routes
    for stream in (*table.tls, *table.tcp):
        match = Match(caller_labels=stream.match.caller_labels, caller_namespace=stream.match.caller_namespace)
        yield Route(match=match, destinations=stream.destinations)


def _versions(topology: Topology, destination: Destination) -> dict[str, float]:
    """The parts of one destination: its subset's version, or all workloads by their replicas."""
    subset = topology.subset(destination.host, destination.subset) if destination.subset else None
    service = topology.service(destination.host)
    if subset is not None:
        version = next((subset.labels[name] for name in VERSION_LABELS if name in subset.labels), None)
        return {version or subset.name: 1.0}
    if destination.subset or service is None:
        return {destination.subset or destination.host: 1.0}
    return _by_replicas(topology.backends(service))


def _by_replicas(workloads: Sequence[Workload]) -> dict[str, float]:
    total = sum(workload.replicas for workload in workloads)
    found: dict[str, float] = {}
    for workload in workloads:
        if total and workload.replicas:
            found[workload.version] = found.get(workload.version, 0.0) + workload.replicas / total
    return found
