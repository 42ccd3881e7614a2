"""Whom a version answers for, where a version is a Service of its own (Gateway API, Linkerd, Flagger). Pure.

web ─ HTTPRoute ─► web-v1 90, web-v2 10        hops to either are hops to `web`, and their version tells them apart

The apex of a Service is the parent Service of a route in the mesh that has it as one of its versions; else, of the
Services that select its pods, the one that selects most. Not here: subsets, whose Service is one anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.error_backends import is_error_backend
from meshtest.manifests.memo import per_object
from meshtest.model.route import MESH, Route, RouteTable
from meshtest.model.service import Service, Workload
from meshtest.model.topology import Topology, key


def of_workload(topology: Topology, workload: Workload) -> str:
    """The name of the service that the workload's replicas answer for; its app label if no Service selects it."""
    return _known(topology).names.get(key(workload)) or workload.app


def answering(topology: Topology, service: Service, workload: Workload) -> str:
    """As whom a pod of the workload is seen by those who call it through the Service.

    That is its apex; but a second Service for all the pods of the apex (another port, headless) keeps its own name.
    """
    known = _known(topology)
    if service.fqdn not in known.parents and known.alike(service, of_workload(topology, workload)):
        return service.name
    return of_workload(topology, workload)


def names(topology: Topology) -> Mapping[str, str]:
    """Workload key to the name of the service that it answers for, of those that some Service selects."""
    return _known(topology).names


def parents(topology: Topology) -> Mapping[str, str]:
    """Service to the Service whose version a route makes it, both fully qualified."""
    return _known(topology).parents


def led_to(topology: Topology, host: str) -> list[Service]:
    """Services that are versions of the host because a route of its own leads there, in manifest order."""
    known = parents(topology)
    return [service for service in topology.services if known.get(service.fqdn) == host]


def backends(topology: Topology, service: Service) -> tuple[Workload, ...]:
    """All versions of the service: workloads that it selects, or that its routes lead to; in manifest order."""
    members = (service, *led_to(topology, service.fqdn))
    selected = {key(workload) for member in members for workload in _known(topology).selected.get(member.fqdn, ())}
    return tuple(workload for workload in topology.workloads if key(workload) in selected)


@dataclass(frozen=True)
class _Known:
    """What routes and selectors of one topology say."""

    parents: Mapping[str, str]
    """Service to the Service whose version it is by a route, both fully qualified."""
    selected: Mapping[str, tuple[Workload, ...]]
    """By the Service's full name."""
    names: Mapping[str, str]
    """Workload to the name of its apex."""
    sizes: Mapping[tuple[str, str], int]
    """(namespace, name) of a Service to the number of its workloads."""

    def alike(self, service: Service, apex: str) -> bool:
        return self.sizes.get((service.namespace, apex)) == self.sizes[service.namespace, service.name]


@per_object
def _known(topology: Topology) -> _Known:
    led = _parents(topology)
    selected = _selected(topology)
    by_workload: dict[str, list[Service]] = {}
    for service in topology.services:
        for workload in selected[service.fqdn]:
            by_workload.setdefault(key(workload), []).append(service)
    found = {workload: _apex(topology, services, led, selected) for workload, services in by_workload.items()}
    sizes = {(s.namespace, s.name): len(selected[s.fqdn]) for s in topology.services}
    return _Known(led, selected, found, sizes)


def _apex(
    topology: Topology,
    services: list[Service],
    led: Mapping[str, str],
    selected: Mapping[str, tuple[Workload, ...]],
) -> str:
    for service in services:
        host = led.get(service.fqdn)
        if host and (parent := topology.service(host)) is not None:
            return parent.name
    return max(services, key=lambda service: len(selected[service.fqdn])).name


def _selected(topology: Topology) -> dict[str, tuple[Workload, ...]]:
    """As Topology.backends, for all Services at once: only workloads with the selector's first label are looked at."""
    by_label: dict[tuple[str, str, str], list[Workload]] = {}
    for workload in topology.workloads:
        for name, value in workload.labels.items():
            by_label.setdefault((workload.namespace, name, value), []).append(workload)
    found = {}
    for service in topology.services:
        first = next(iter(service.selector.items()), ("", ""))
        candidates = by_label.get((service.namespace, *first), ())
        found[service.fqdn] = tuple(workload for workload in candidates if service.selects(workload))
    return found


def _parents(topology: Topology) -> dict[str, str]:
    found: dict[str, str] = {}
    for table in topology.tables:
        if MESH in table.gateways:
            versions = _versions if table.order == "specific" else _flaggers
            for parent in table.hosts:
                for host in versions(table, parent):
                    # of two that lead to one another neither is a version of the other
                    if host != parent and found.get(parent) != host:
                        found.setdefault(host, parent)
    return found


def _versions(table: RouteTable, parent: str) -> Iterator[str]:
    for route in table.routes:
        hosts = [host for host in (*(d.host for d in route.destinations), *route.resting) if host]
        if _is_of_all(route) or any(_named_after(host, parent) for host in hosts):
            yield from (host for host in hosts if not is_error_backend(host))
    yield from (d.host for stream in table.tcp for d in stream.destinations)


def _flaggers(table: RouteTable, parent: str) -> Iterator[str]:
    """Istio's routes may lead anywhere; those that Flagger makes lead to `web-primary` and `web-canary`."""
    name, dot, domain = parent.partition(".")
    both = {f"{name}-{role}{dot}{domain}" for role in ("primary", "canary")}
    for destinations in (*(route.destinations for route in table.routes), *(one.destinations for one in table.tcp)):
        hosts = {destination.host for destination in destinations}
        yield from sorted(hosts) if hosts and hosts <= both else ()


def _is_of_all(route: Route) -> bool:
    """Whatever is asked for. A path of its own, such as /api, may lead to a service that is no version of this one."""
    path = route.match.path
    return path is None or (path.kind in ("prefix", "path_prefix") and path.value in ("", "/"))


def _named_after(host: str, parent: str) -> bool:
    """The parent itself, or `web-v1` for `web`."""
    name = parent.partition(".")[0]
    return host == parent or host.startswith(f"{name}-")
