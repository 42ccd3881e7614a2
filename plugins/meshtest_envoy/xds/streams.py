"""Connections routed by their bytes: TCP, and TLS that stays encrypted.

    a caller in the mesh   CONNECT mongo:27017  through its own proxy; the answer 200 opens the tunnel (RFC 9110, 9.3.6)
    a user                 connects to a gateway's port; the server name of the handshake chooses, if there is one

Routes of callers stand in the same route configuration as those of HTTP, so a shift is one push for both, and a
connection that is open stays where it is (as on Istio). A gateway's stand in its listener: a change of theirs ends
that listener's connections after the drain time.
Source: Istio's pilot/pkg/networking/core/tls.go, networkfilter.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.gateway_streams import passes
from meshtest.manifests.hosts import HTTP_PROTOCOLS, Claims, in_order, sees
from meshtest.manifests.memo import per_object
from meshtest.manifests.wildcards import covers
from meshtest.model.policy import ConnectionPool, LoadBalancing, TrafficPolicy
from meshtest.model.route import MESH, Destination, RouteTable, StreamMatch, StreamRoute
from meshtest.model.service import DOMAIN, Labels, Service, ServicePort, within
from meshtest.model.topology import Topology
from meshtest_envoy.xds import names, routes
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.resources import Json, drop_none, seconds

Target = tuple[str, int]
"""A host and one of its ports."""


class Caller(Protocol):
    """Whoever has an outbound listener (snapshot.Caller)."""

    @property
    def key(self) -> str: ...
    @property
    def labels(self) -> Labels: ...


# -- what ports speak


@dataclass(frozen=True)
class Spoken:
    """What the container ports of workloads speak, by workload key and number."""

    protocols: dict[tuple[str, int], str]
    raw_tls: frozenset[tuple[str, int]]
    """Also TLS of the application's own, though the port counts as HTTP: someone sends it there."""

    @classmethod
    def of(cls, topology: Topology) -> Spoken:
        as_tcp, as_tls = targets(topology)
        protocols: dict[tuple[str, int], str] = {}
        raw: set[tuple[str, int]] = set()
        for workload, ports in names.led_to(topology).items():
            for number, leading in ports.items():
                targeted = [(service.fqdn, port.number) for service, port in leading]
                protocols[workload, number] = "tcp" if targeted[0] in as_tcp else leading[0][1].protocol
                if not as_tls.isdisjoint(targeted):
                    raw.add((workload, number))
        return cls(protocols, frozenset(raw))


@per_object
def targets(topology: Topology) -> tuple[set[Target], set[Target]]:
    """(ports that get a route's bare bytes, ports that get TLS of the caller's own)

    Istio looks at the first bytes of a port whose protocol nobody told; here the routes that lead to it tell.
    """
    as_tcp = {(d.host, d.port) for t in topology.tables for r in t.tcp for d in r.destinations}
    as_tls = {(d.host, d.port) for t in topology.tables for r in t.tls for d in r.destinations}
    services = {service.fqdn: service for service in topology.services}
    for host in topology.policies.values():
        service = services.get(host.host)
        for port in service.ports if service else ():
            policies = [host.policy_for(port.number), *(s.policy_for(port.number) for s in host.subsets)]
            if any(p.tls and p.tls.mode in ("SIMPLE", "MUTUAL") for p in policies):
                as_tls.add((host.host, port.number))
    terminated = terminating_gateways(topology)
    for table in topology.tables:
        if table.tls and not terminated.isdisjoint(table.gateways):
            as_tcp |= {(d.host, d.port) for r in table.tls for d in r.destinations}
    return as_tcp, as_tls


def terminating_gateways(topology: Topology) -> set[str]:
    """How tables name the servers that end TLS and pass on what was in it."""
    return {
        name
        for gateway in topology.gateways
        for server in gateway.servers
        if server.tls and not passes(server.tls.mode) and server.protocol in ("TLS", "TCP", "MONGO")
        for name in (gateway.key, f"{gateway.key}/{server.name}")
    }


# -- callers in the mesh


def connect_hosts(
    topology: Topology, namespace: str, members: Sequence[Caller], others: Sequence[Json]
) -> Iterator[Json]:
    """Virtual hosts for CONNECT; `others` are those of HTTP, whose domains stay theirs."""
    found = list(connectable(topology, namespace))
    taken = {domain for host in others for domain in host["domains"]} if found else set()
    tables = [t for t in in_order(topology.tables) if (t.tls or t.tcp) and MESH in t.gateways and sees(t, namespace)]
    claimed = Claims(tables)
    for service, port in found:
        domains = [d for d in connect_domains(service, port.number, namespace) if d not in taken]
        taken.update(domains)
        if domains:
            yield {
                "name": f"{service.fqdn}:{port.number}|tcp",
                "domains": domains,
                "routes": list(connect_routes(service, port, claimed.of(service.fqdn), namespace, members)),
                "include_request_attempt_count": True,
            }


def connectable(topology: Topology, namespace: str) -> Iterator[tuple[Service, ServicePort]]:
    """What callers of a namespace can connect to: ports that are no HTTP, or that a route treats so."""
    as_tcp, _ = targets(topology)
    for service in topology.services:
        if not service.visible_to or namespace in service.visible_to:
            for port in service.ports:
                if port.protocol not in HTTP_PROTOCOLS or (service.fqdn, port.number) in as_tcp:
                    yield service, port


def connect_domains(service: Service, port: int, namespace: str) -> list[str]:
    """What a caller may write after CONNECT: any spelling of the host, or a virtual IP, with the port."""
    suffix = f".svc.{DOMAIN}"
    spellings = [service.fqdn]
    if service.fqdn.endswith(suffix):
        spellings += [service.fqdn.removesuffix(f".{DOMAIN}"), service.fqdn.removesuffix(suffix)]
        if service.namespace == namespace:
            spellings.append(service.fqdn.removesuffix(suffix).partition(".")[0])
    spellings += [address for address in service.addresses if "/" not in address]
    return [f"{spelling}:{port}" for spelling in spellings]


def connect_routes(
    service: Service, port: ServicePort, tables: Sequence[RouteTable], namespace: str, members: Sequence[Caller]
) -> Iterator[Json]:
    """The first table that has routes for the port counts, then the service itself."""
    for table in tables:
        found = [r for r in (*table.tls, *table.tcp) if counts(r.match, service, port.number, namespace)]
        for route in found:
            callers = [c.key for c in members if within(route.match.caller_labels, c.labels)]
            made = connect_route(route.name, arrived(route, port.number))
            if not route.match.caller_labels:
                yield made
                return
            if callers:
                yield routes.only_for(callers, made)
        if found:
            break
    yield connect_route("default", [Destination(host=service.fqdn, port=port.number)])


def counts(match: StreamMatch, service: Service, port: int, namespace: str) -> bool:
    """For a caller in the mesh. It names the host, so the host stands for the server name of its handshake."""
    if match.gateways and MESH not in match.gateways:
        return False
    if match.port not in (None, port) or match.caller_namespace not in ("", namespace):
        return False
    if match.sni_hosts and not any(covers(name, service.fqdn) for name in match.sni_hosts):
        return False
    return not match.destination_subnets or any(
        inside(address, subnet) for address in service.addresses for subnet in match.destination_subnets
    )


def inside(address: str, subnet: str) -> bool:
    """Both are addresses or networks; a service's network is inside one that holds all of it."""
    try:
        one, other = ipaddress.ip_network(address, strict=False), ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return False
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def arrived(route: StreamRoute, port: int) -> list[Destination]:
    """The destinations with the port of the connection filled in where it was left open."""
    return [d if d.port else replace(d, port=port) for d in route.destinations]


def connect_route(name: str, destinations: Sequence[Destination]) -> Json:
    upgrade = {"upgrade_type": "CONNECT", "connect_config": {}}
    action = {**clusters(destinations), "timeout": "0s", "upgrade_configs": [upgrade]}
    return {"match": {"connect_matcher": {}}, "route": action, **({"name": name} if name else {})}


def clusters(destinations: Sequence[Destination]) -> Json:
    """One destination is a cluster and its weight does not count; of several those without weight get nothing."""
    if len(destinations) == 1:
        return {"cluster": cluster_of(destinations[0])}
    weighted = [{"name": cluster_of(d), "weight": d.weight} for d in destinations if d.weight > 0]
    return {"weighted_clusters": {"clusters": weighted}} if weighted else {"cluster": names.BLACK_HOLE}


def cluster_of(destination: Destination) -> str:
    return names.BLACK_HOLE if destination.broken else routes.cluster_of(destination)


def used(topology: Topology) -> bool:
    """Something routes connections, so something may lead nowhere."""
    if any(table.tls or table.tcp for table in topology.tables):
        return True
    return any(s.tls or s.protocol in ("TCP", "TLS", "MONGO") for g in topology.gateways for s in g.servers)


# -- connections as they come


def tcp_proxy(name: str, destinations: Sequence[Destination], log: Json, policy: TrafficPolicy | None = None) -> Json:
    """The filter that ends a chain: everything goes to a cluster."""
    pool = (policy and policy.connection_pool) or ConnectionPool()
    hashed = ((policy and policy.load_balancing) or LoadBalancing()).hash_on
    return tcp_filter(
        name,
        {
            **clusters(destinations),
            **({"hash_policy": [{"source_ip": {}}]} if hashed and hashed.source_ip else {}),
            **drop_none(
                idle_timeout=None if pool.tcp_idle_timeout is None else seconds(pool.tcp_idle_timeout),
                max_downstream_connection_duration=(
                    None if pool.max_connection_duration is None else seconds(pool.max_connection_duration)
                ),
            ),
        },
        log,
    )


def tcp_filter(name: str, target: Json, log: Json) -> Json:
    config = {
        "@type": TYPE_URL + "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "access_log": [log],
        **target,
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def policy_of(topology: Topology, destinations: Iterable[Destination]) -> TrafficPolicy | None:
    """Istio takes the connection settings of the first destination."""
    first = next(iter(destinations), None)
    host = topology.policies.get(first.host) if first else None
    if first is None or host is None:
        return None
    subset = next((s for s in host.subsets if s.name == first.subset), None)
    return subset.policy_for(first.port) if subset else host.policy_for(first.port)
