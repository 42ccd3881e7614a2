"""What one caller's proxy, or one gateway port, knows: virtual hosts with the routes that count for it, in order.

Pure. By the rules of Istio (pilot/pkg/networking/core httproute.go, gateway.go), with one difference: a caller has one
outbound listener for all ports, so domains carry ports where Istio has a listener a port. Tables of Gateway API
(`order="specific"`) are merged by precedence.py, and gateways that isolate their listeners are left to isolation.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.isolation import TLS_PROTOCOLS, isolated_hosts
from meshtest.manifests.memo import per_object
from meshtest.manifests.precedence import specific
from meshtest.manifests.scopes import selector_labels, sight
from meshtest.manifests.wildcards import covers, intersection
from meshtest.model.route import (
    MESH,
    Destination,
    Door,
    Gateway,
    Match,
    Redirect,
    Route,
    RouteTable,
    Server,
    VirtualHost,
)
from meshtest.model.service import DOMAIN, Labels, Service, ServicePort, within
from meshtest.model.topology import Topology

HTTP_PROTOCOLS = frozenset({"http", "http2", "grpc"})
DEFAULT_PORTS = {80: "http", 443: "https"}
EXTERNAL_PORT = 80
"""A table's host that is no service is served on this port only (Istio's hack)."""

Counts = Callable[[Match], bool]


def mesh_hosts(topology: Topology, *, namespace: str, labels: Labels) -> tuple[VirtualHost, ...]:
    """All hosts that a caller in the mesh can name, sorted by name. Callers that see the same get the same tuple."""
    seen = _seen(topology)
    caller = (namespace, tuple((name, labels.get(name)) for name in seen.label_names))
    if caller not in seen.hosts:
        hosts = _distinct(_mesh_hosts(topology, namespace, labels))
        seen.hosts[caller] = tuple(sorted(hosts, key=lambda host: host.name))
    return seen.hosts[caller]


def gateway_hosts(
    topology: Topology, door: Door, gateways: Iterable[str] | None = None, *, server: str = ""
) -> tuple[VirtualHost, ...]:
    """All hosts that requests at one door can name, sorted by name; `gateways` are keys, None for all.

    `server`: of one server of a gateway only, `namespace/gateway/server`.
    """
    wanted, port = None if gateways is None else set(gateways), door.port
    chosen = [g for g in topology.gateways if g.address == door.address and (wanted is None or g.key in wanted)]
    if any(gateway.isolated for gateway in chosen):
        return _isolated(topology, port, chosen, server)
    found: dict[str, list[Route]] = {}
    for table in in_order(topology.tables):
        # A table adds its routes to a host once, however many of its gateways admit it.
        admitting = {g.key: _admitted(g, port, table, server) for g in chosen if _named(g, table)}
        keys = {key for key, domains in admitting.items() if domains}
        routes = list(_routes(table, port, _counts_at(keys))) if keys else []
        for domain in sorted({domain for domains in admitting.values() for domain in domains}):
            found.setdefault(domain, []).extend(routes)
    hosts = (_gateway_host(domain, port, routes) for domain, routes in found.items() if routes)
    return tuple(sorted(hosts, key=lambda host: host.name))


def _isolated(topology: Topology, port: int, gateways: Iterable[Gateway], only: str) -> tuple[VirtualHost, ...]:
    tables = _by_gateway(topology)

    def arrivals(table: RouteTable, server: Server) -> Sequence[Route]:
        scheme = "https" if server.protocol in TLS_PROTOCOLS else "http"
        return [_arrived(route, table, port, scheme) for route in table.routes if route.match.port in (None, port)]

    hosts = [host for gateway in gateways for host in isolated_hosts(gateway, port, tables, arrivals, only)]
    return tuple(sorted(_distinct(hosts), key=lambda host: host.name))


@per_object
def _by_gateway(topology: Topology) -> dict[str, list[RouteTable]]:
    """Tables by what they name as their gateway."""
    found: dict[str, list[RouteTable]] = {}
    for table in topology.tables:
        for gateway in table.gateways:
            found.setdefault(gateway, []).append(table)
    return found


def in_order(tables: Iterable[RouteTable]) -> list[RouteTable]:
    """Istio's order among tables that claim one host."""
    return sorted(tables, key=lambda table: (table.created, table.name, table.namespace))


def sees(table: RouteTable, namespace: str) -> bool:
    return not table.visible_to or namespace in table.visible_to


def by_scope(tables: Sequence[RouteTable], namespace: str) -> list[RouteTable]:
    """Tables that are private to the namespace first, then those exported to some, then the public ones (Istio's
    VirtualServicesForGateway): the order among tables of one host, before their age."""

    def scope(table: RouteTable) -> int:
        if not table.visible_to:
            return 2
        return 0 if table.namespace == namespace else 1

    return sorted(tables, key=scope)


class Claims:
    """Tables by the hosts they name, in their order: many services look in it."""

    def __init__(self, tables: Iterable[RouteTable]) -> None:
        self._exact: dict[str, list[tuple[int, RouteTable]]] = {}
        self._wild: list[tuple[int, RouteTable, str]] = []
        for position, table in enumerate(tables):
            for host in dict.fromkeys(table.hosts):
                if "*" in host:
                    self._wild.append((position, table, host))
                else:
                    self._exact.setdefault(host, []).append((position, table))

    def of(self, fqdn: str) -> list[RouteTable]:
        """Tables for a service: those that name it first, then by the longest wildcard."""
        found: dict[int, tuple[int, RouteTable]] = {}
        for position, table, host in self._wild:
            if covers(host, fqdn):
                found[position] = (max(len(host), found.get(position, (0, table))[0]), table)
        found |= {position: (1000 + len(fqdn), table) for position, table in self._exact.get(fqdn, ())}
        ranked = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))
        return [table for _, (_, table) in ranked]

    def hosts_of(self, known: Iterable[str]) -> set[str]:
        """Hosts of tables that mean one of these services."""
        known = set(known)
        wild = {host for _, _, host in self._wild if any(covers(host, name) for name in known)}
        return (self._exact.keys() & known) | wild


def claims(tables: Iterable[RouteTable], fqdn: str) -> list[RouteTable]:
    """As Claims.of, for one service."""
    return Claims(tables).of(fqdn)


# -- hosts of the mesh


@dataclass(frozen=True)
class _Seen:
    """What callers see of one topology, by what tells them apart: namespace and the labels matches ask for."""

    label_names: tuple[str, ...]
    hosts: dict[tuple[str, tuple[tuple[str, str | None], ...]], tuple[VirtualHost, ...]] = field(default_factory=dict)


@per_object
def _seen(topology: Topology) -> _Seen:
    routes = (route for table in topology.tables for route in table.routes)
    asked = {name for route in routes for name in route.match.caller_labels}
    return _Seen(tuple(sorted(asked | selector_labels(topology))))


def _mesh_hosts(topology: Topology, namespace: str, labels: Labels) -> Iterator[VirtualHost]:
    tables = by_scope([t for t in in_order(topology.tables) if MESH in t.gateways and sees(t, namespace)], namespace)
    seen = sight(topology, namespace, labels)

    def counts(match: Match) -> bool:
        if match.gateways:
            return MESH in match.gateways
        return within(match.caller_labels, labels) and match.caller_namespace in ("", namespace)

    claimed = Claims(tables)
    taken = claimed.hosts_of(service.fqdn for service in topology.services)
    yield from _external_hosts(seen.tables(tables, EXTERNAL_PORT), taken, counts)
    for service in topology.services:
        mine = claimed.of(service.fqdn)
        for port in service.ports:
            if port.protocol in HTTP_PROTOCOLS and seen.service(service, port.number):
                yield _service_host(topology, service, port, seen.tables(mine, port.number), counts, namespace)


def _distinct(hosts: Iterable[VirtualHost]) -> Iterator[VirtualHost]:
    """A domain belongs to the first host that has it (Envoy refuses one that stands twice)."""
    seen: set[str] = set()
    for host in hosts:
        if seen.isdisjoint(host.domains):
            yield host
        elif domains := tuple(domain for domain in host.domains if domain not in seen):
            yield replace(host, domains=domains)
        seen.update(host.domains)


def _service_host(
    topology: Topology, service: Service, port: ServicePort, tables: list[RouteTable], counts: Counts, namespace: str
) -> VirtualHost:
    """The first table that has routes for this caller; without one, every request to the service."""
    routes: tuple[Route, ...] = ()
    for table in tables:
        if routes:
            break
        if table.order == "specific":
            routes = _merged([t for t in tables if t.order == "specific"], service, port.number, counts)
        else:
            routes = tuple(_routes(table, port.number, counts))
    return VirtualHost(
        name=f"{service.fqdn}:{port.number}",
        domains=tuple(_domains(service, port.number, namespace)),
        routes=routes or (default_route(topology, service, port.number),),
    )


def _merged(tables: Sequence[RouteTable], service: Service, port: int, counts: Counts) -> tuple[Route, ...]:
    """All tables of Gateway API together; those of consumers' namespaces override the producer's (GAMMA, GEP-1294)."""
    found = [(table, list(_routes(table, port, counts, until_catch_all=False))) for table in tables]
    found = [(table, routes) for table, routes in found if routes]
    consumers = [(table, routes) for table, routes in found if table.namespace != service.namespace]
    return specific(consumers or found)


def default_route(topology: Topology, service: Service, port: int) -> Route:
    """What requests to a service do when no table says otherwise."""
    retry, policy = topology.default_retry, topology.policies.get(service.fqdn)
    balancing = policy.policy_for(port).load_balancing if policy else None
    if retry and balancing and balancing.hash_on:
        retry = replace(retry, other_host=False)
    return Route(name="default", destinations=(Destination(host=service.fqdn, port=port),), retry=retry)


def _domains(service: Service, port: int, namespace: str) -> Iterator[str]:
    """With the port, because one listener serves all ports; without it for 80, which clients leave out."""
    names = [service.fqdn, f"{service.name}.{service.namespace}.svc", f"{service.name}.{service.namespace}"]
    if service.namespace == namespace:
        names.append(service.name)
    if service.host:
        ips = [a for a in service.addresses if "/" not in a]
        names = [*_spellings(service.host), *(f"[{ip}]" if ":" in ip else ip for ip in ips)]
    for name in names:
        yield f"{name}:{port}"
        if port == EXTERNAL_PORT:
            yield name


def _external_hosts(tables: Sequence[RouteTable], taken: set[str], counts: Counts) -> Iterator[VirtualHost]:
    """Hosts of tables that are no service; the first table of a host wins."""
    seen = set(taken)
    for table in tables:
        for host in table.hosts:
            if host in seen:
                continue
            routes = tuple(_routes(table, EXTERNAL_PORT, counts))
            if routes:
                seen.add(host)
                domains = tuple(d for name in _spellings(host) for d in (f"{name}:{EXTERNAL_PORT}", name))
                yield VirtualHost(name=f"{host}:{EXTERNAL_PORT}", domains=domains, routes=routes)


def _spellings(host: str) -> list[str]:
    """A host that only looks like a service (a short name without one) is called by its short name too."""
    suffix = f".svc.{DOMAIN}"
    if not host.endswith(suffix) or host.startswith("*"):
        return [host]
    return [host, host.removesuffix(f".{DOMAIN}"), host.removesuffix(suffix)]


# -- hosts of a gateway


def _named(gateway: Gateway, table: RouteTable) -> bool:
    """The table is for the gateway, or for a server of it."""
    return any(key == gateway.key or key.startswith(f"{gateway.key}/") for key in table.gateways)


def _admitted(gateway: Gateway, port: int, table: RouteTable, only: str = "") -> set[str]:
    """The table's hosts as far as the gateway's servers on the port admit them: `namespace/host`, `*/host`, `host`."""
    domains: set[str] = set()
    servers = [s for s in gateway.servers if not {gateway.key, f"{gateway.key}/{s.name}"}.isdisjoint(table.gateways)]
    for server in servers if sees(table, gateway.namespace) else ():
        if only not in ("", f"{gateway.key}/{server.name}"):
            continue
        for admitted in server.hosts if server.port == port else ():
            scope, slash, pattern = admitted.rpartition("/")
            if not slash or scope in ("*", table.namespace):
                domains.update(d for host in table.hosts if (d := intersection(pattern, host)))
    return domains


def _counts_at(gateways: set[str]) -> Counts:
    """For requests behind these gateways. Their pods have no labels that a `sourceLabels` could mean."""
    namespaces = {"", *(key.partition("/")[0] for key in gateways)}

    def counts(match: Match) -> bool:
        if match.gateways:
            return not gateways.isdisjoint(match.gateways)
        return not match.caller_labels and match.caller_namespace in namespaces

    return counts


def _gateway_host(domain: str, port: int, routes: Sequence[Route]) -> VirtualHost:
    """Routes of all tables one after the other, those that take everything last (Istio's SortVHostRoutes)."""
    ordered = sorted(routes, key=lambda route: route.match.is_catch_all)
    return VirtualHost(name=f"{domain}:{port}", domains=(domain,), routes=tuple(ordered))


# -- routes


def _routes(table: RouteTable, port: int, counts: Counts, *, until_catch_all: bool = True) -> Iterator[Route]:
    """The routes that count here, up to the first that takes every request."""
    for route in table.routes:
        match = route.match
        if match.port in (None, port) and counts(match):
            yield _arrived(route, table, port)
            if match.is_catch_all and until_catch_all:
                return


def _arrived(route: Route, table: RouteTable, port: int, scheme: str = "http") -> Route:
    """The route with the port of the request filled in where it was left open."""
    by_istio = table.order == "listed"
    if route.redirect is not None:
        redirect = _redirected(route.redirect, port, scheme, by_istio=by_istio)
        return route if redirect is route.redirect else replace(route, redirect=redirect)
    complete = all((d.port or d.broken) and d.redirect is None for d in route.destinations)
    if complete and all(m.destination.port for m in route.mirrors):
        return route
    destinations = tuple(
        replace(d, port=d.port or port, redirect=d.redirect and _redirected(d.redirect, port, scheme))
        for d in route.destinations
    )
    mirrors = tuple(
        m if m.destination.port else replace(m, destination=replace(m.destination, port=port)) for m in route.mirrors
    )
    return replace(route, destinations=destinations, mirrors=mirrors)


def _redirected(redirect: Redirect, port: int, scheme: str = "http", *, by_istio: bool = False) -> Redirect:
    """A scheme's own port is left out; for Gateway API not where the request's own would stay in its place."""
    if redirect.port is None:
        return redirect
    wanted = redirect.port or port
    own = DEFAULT_PORTS.get(wanted) == (redirect.scheme or scheme)
    replaced = by_istio or bool(redirect.authority) or port in DEFAULT_PORTS
    return replace(redirect, port=None if own and replaced else wanted)
