"""A whole configuration for the shared Envoy, and the check that nothing in it points nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from meshtest.errors import ConfigRejected
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts
from meshtest.manifests.scopes import selector_labels
from meshtest.model.route import Door, Fault, VirtualHost
from meshtest.model.service import Labels
from meshtest.model.topology import Topology, key
from meshtest_envoy.xds import clusters, listeners, names, own_clusters, routes
from meshtest_envoy.xds.clusters import Json, Replica

Resources = dict[str, Json]


@dataclass(frozen=True)
class Snapshot:
    """Resources by name, one mapping a type."""

    clusters: Resources = field(default_factory=dict)
    endpoints: Resources = field(default_factory=dict)
    listeners: Resources = field(default_factory=dict)
    routes: Resources = field(default_factory=dict)


@dataclass(frozen=True)
class Caller:
    """Whoever has an outbound listener: a workload, or the built-in client."""

    key: str
    namespace: str
    labels: Labels


def callers(topology: Topology) -> list[Caller]:
    client = Caller(names.CLIENT, names.CLIENT.partition("/")[0], {})
    return [client, *(Caller(key(w), w.namespace, w.labels) for w in topology.workloads)]


class Translator:
    """Topology and pods to a Snapshot. What a shift leaves alone (everything but routes) is translated once."""

    def __init__(self, *, hops: str) -> None:
        """`hops`: file of the access log."""
        self._hops = hops
        self._key: Any = None
        self._ground = Snapshot()

    def snapshot(self, topology: Topology, replicas: Sequence[Replica], ports: Mapping[str, int]) -> Snapshot:
        """`ports`: of tcp_listeners(topology). Raises ConfigRejected for a route to nowhere."""
        t = topology
        policies = (t.policies, t.namespace_policies)
        ground = (t.services, t.workloads, t.gateways, policies, t.faults, replicas, ports)
        if ground != self._key:
            self._key, self._ground = ground, self._translate_ground(topology, replicas, ports)
        moving = [*outbound_routes(topology), *gateway_routes(topology)]
        result = replace(self._ground, routes=self._ground.routes | {r["name"]: r for r in moving})
        check_references(result)
        return result

    def _translate_ground(self, topology: Topology, replicas: Sequence[Replica], ports: Mapping[str, int]) -> Snapshot:
        """Clusters, endpoints, listeners, and the routes of inbound listeners."""
        result = Snapshot()
        for service in topology.services:
            result.clusters.update((c["name"], c) for c in clusters.outbound_clusters(topology, service))
            result.endpoints.update((e["cluster_name"], e) for e in clusters.endpoints(topology, service, replicas))
        for cluster, endpoints in own_clusters.own(topology, replicas):
            result.clusters[cluster["name"]] = cluster
            if endpoints:
                result.endpoints[cluster["name"]] = endpoints
        for caller in callers(topology):
            name = names.outbound_listener(caller.key)
            result.listeners[name] = listeners.outbound(caller.key, caller.namespace, ports[name], self._hops)
        for door in doors(topology):
            name = names.gateway_listener(door)
            result.listeners[name] = listeners.gateway(door, ports[name], self._hops)
        for replica in replicas:
            self._add_inbound(result, replica, topology.faults.get(key(replica.workload)))
        return result

    def _add_inbound(self, result: Snapshot, replica: Replica, fault: Fault | None) -> None:
        for port in replica.ports:  # none when the process is gone
            cluster = clusters.inbound_cluster(replica, port)
            route = listeners.inbound_routes(replica, port, fault)
            listener = listeners.inbound(replica, port, self._hops)
            result.clusters[cluster["name"]] = cluster
            result.routes[route["name"]] = route
            result.listeners[listener["name"]] = listener


def tcp_listeners(topology: Topology) -> list[str]:
    """Names of the listeners that need a port on this host."""
    outbound = [names.outbound_listener(caller.key) for caller in callers(topology)]
    return outbound + [names.gateway_listener(door) for door in doors(topology)]


def outbound_routes(topology: Topology) -> Iterator[Json]:
    """One route configuration a namespace, for all its callers."""
    by_namespace: dict[str, list[Caller]] = {}
    for caller in callers(topology):
        by_namespace.setdefault(caller.namespace, []).append(caller)
    for namespace, members in by_namespace.items():
        seen = own_clusters.seen_from(topology, namespace)
        hosts = [*outbound_hosts(seen, namespace, members), routes.blocked()]
        if seen is not topology:
            hosts = own_clusters.renamed(hosts, own_clusters.names_of(topology, namespace))
        yield routes.route_configuration(names.outbound_routes(namespace), hosts, any_port=False)


def outbound_hosts(topology: Topology, namespace: str, members: Sequence[Caller]) -> Iterator[Json]:
    """Virtual hosts of a namespace. Where callers see different routes, each route names the callers it is for."""
    by_label = any(r.match.caller_labels for t in topology.tables for r in t.routes) or bool(selector_labels(topology))
    seen: list[tuple[tuple[VirtualHost, ...], list[Caller]]] = []
    for caller in members if by_label else members[:1]:
        hosts = mesh_hosts(topology, namespace=namespace, labels=caller.labels)
        if alike := next((group for known, group in seen if known == hosts), None):
            alike.append(caller)
        else:
            seen.append((hosts, [caller]))
    by_name: dict[str, list[tuple[VirtualHost, list[Caller]]]] = {}
    for hosts, group in seen:
        for host in hosts:
            by_name.setdefault(host.name, []).append((host, group))
    for variants in by_name.values():
        yield merged(topology, variants, everyone=len(variants) == len(seen))


def merged(topology: Topology, variants: Sequence[tuple[VirtualHost, list[Caller]]], *, everyone: bool) -> Json:
    """One virtual host from what each group of callers sees of it."""
    first = variants[0][0]
    result = routes.virtual_host(topology, first)
    if everyone and all(host == first for host, _ in variants):
        return result
    result["routes"] = [
        routes.only_for([c.key for c in group], routes.route(topology, r))
        for host, group in variants
        for r in host.routes
    ]
    if not everyone:
        # For those who do not know the host at all.
        result["routes"] += routes.blocked()["routes"]
    return result


def doors(topology: Topology) -> list[Door]:
    """Servers of all gateways of one address merged by port (Istio)."""
    return sorted({door for gateway in topology.gateways for door in gateway.doors})


def gateway_routes(topology: Topology) -> Iterator[Json]:
    for door in doors(topology):
        hosts = [routes.virtual_host(topology, h) for h in gateway_hosts(topology, door)]
        yield routes.route_configuration(names.gateway_routes(door), hosts, any_port=True)


def check_references(result: Snapshot) -> None:
    """Envoy acknowledges a route to a cluster that does not exist, and then serves 503: so it is caught here."""
    for configuration in result.routes.values():
        for host in configuration["virtual_hosts"]:
            for route in host["routes"]:
                for cluster in referred(route.get("route", {})):
                    if cluster not in result.clusters:
                        where = f"{configuration['name']}, {host['name']}, route {route.get('name') or route['match']}"
                        raise ConfigRejected(f"a route leads to the unknown cluster {cluster!r} ({where})")


def referred(action: Json) -> Iterator[str]:
    if "cluster" in action:
        yield action["cluster"]
    yield from (c["name"] for c in action.get("weighted_clusters", {}).get("clusters", ()))
    yield from (m["cluster"] for m in action.get("request_mirror_policies", ()))
