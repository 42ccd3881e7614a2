"""A whole configuration for the shared Envoy, and the check that nothing in it points nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from meshtest.errors import ConfigRejected
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed
from meshtest.manifests import apex
from meshtest.manifests.hosts import HTTP_PROTOCOLS, mesh_hosts
from meshtest.manifests.scopes import selector_labels
from meshtest.model.route import Door, VirtualHost
from meshtest.model.security import Proxy, sidecar
from meshtest.model.service import Labels
from meshtest.model.topology import Topology, key
from meshtest_envoy.pki import Authority
from meshtest_envoy.xds import (
    clusters,
    endpoints,
    gateways,
    listeners,
    localities,
    names,
    outside,
    own_clusters,
    patches,
    routes,
    security,
    streams,
    tls,
)
from meshtest_envoy.xds.mutual import Mutual, caller_identity, client_identity
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.resources import Json
from meshtest_envoy.xds.resources import Resources as Resources
from meshtest_envoy.xds.streams import Spoken


@dataclass(frozen=True)
class Snapshot:
    """Resources by name, one mapping a type."""

    clusters: Resources = field(default_factory=dict)
    endpoints: Resources = field(default_factory=dict)
    listeners: Resources = field(default_factory=dict)
    routes: Resources = field(default_factory=dict)
    secrets: Resources = field(default_factory=dict, repr=False)
    filters: Resources = field(default_factory=dict)
    """Configurations of security filters, which listeners discover by name."""


@dataclass(frozen=True)
class Caller:
    """Whoever has an outbound listener: a workload, or the built-in client."""

    key: str
    namespace: str
    labels: Labels
    identity: str = ""
    """What it shows in mutual TLS. Told in plain text too: so a mesh turns to mutual TLS and no listener of a caller
    changes, and callers have connections of their own, as sidecars do."""


def callers(topology: Topology) -> list[Caller]:
    client = Caller(names.CLIENT, names.CLIENT.partition("/")[0], {}, client_identity())
    return [client, *(Caller(key(w), w.namespace, w.labels, caller_identity(w)) for w in topology.workloads)]


class Translator:
    """Topology and pods to a Snapshot. What a shift leaves alone (everything but routes) is translated once."""

    def __init__(self, *, hops: str, authority: Authority | None = None) -> None:
        """`hops`: file of the access log. `authority` issues the identities of mutual TLS."""
        self._hops = hops
        self._authority = authority or Authority()
        self._key: Any = None
        self.patcher = patches.Patcher(())
        """What EnvoyFilters have changed in the snapshot made last."""
        self._ground = Snapshot()
        self._guards_key: Any = None
        self._guards: Resources = {}
        self._secrets_key: Any = None
        self._secrets: Resources = {}
        self.outside = False
        """A client without a proxy can enter (outside.py)."""

    def snapshot(self, topology: Topology, replicas: Sequence[Replica], ports: Mapping[str, int]) -> Snapshot:
        """`ports`: of tcp_listeners(topology). Raises ConfigRejected for a route to nowhere."""
        t, replicas = topology, [answering(topology, replica) for replica in replicas]
        connections = [(table.name, table.namespace, table.tls, table.tcp, table.gateways) for table in t.tables]
        asked = (
            t.credentials,
            t.peers,
            t.identified,
            t.authorizations,
            [c for c in connections if c[2] or c[3]],
            self.outside,
            apex.parents(topology),
        )
        policies = (t.policies, t.namespace_policies)
        ground = (t.services, t.workloads, t.gateways, policies, t.faults, asked, replicas, ports)
        if ground != self._key:
            self._key, self._ground = ground, self._translate_ground(topology, replicas, ports)
        moving = [*outbound_routes(topology), *gateway_routes(topology)]
        if self.outside:
            moving.append(outside.route_configuration(topology))
        result = replace(self._ground, routes=self._ground.routes | {r["name"]: r for r in moving})
        self.patcher = patches.Patcher(())
        if topology.proxy_patches:
            result = self._patched(result, topology, replicas)
        result = replace(result, filters=self._make_guards(topology, replicas, result))
        check_references(result)
        return replace(result, secrets=self._make_secrets(topology))

    def _make_guards(self, topology: Topology, replicas: Sequence[Replica], made: Snapshot) -> Resources:
        """Security filters that some listener asks for; of listeners for TCP alone nobody does, and what nobody asks
        for is never acknowledged. Made anew only with the ground, or when policies change."""
        wanted = (self._key, topology.authentications, topology.proxy_patches)
        if wanted != self._guards_key:
            asked = security.discovered(made.listeners.values())
            found = {f["name"]: f for f in filter_configs(topology, replicas) if f["name"] in asked}
            self._guards_key, self._guards = wanted, found
        return self._guards

    def _make_secrets(self, topology: Topology) -> Resources:
        """Made anew only with the ground, or when the authority has issued new certificates."""
        wanted = (self._key, self._authority.generation)
        if wanted != self._secrets_key:
            named = tls.secrets_of(self._ground.clusters.values(), self._ground.listeners.values())
            made = {name: tls.secret(name, topology.credentials, self._authority) for name in sorted(named)}
            self._secrets_key, self._secrets = wanted, made
        return self._secrets

    def _patched(self, made: Snapshot, topology: Topology, replicas: Sequence[Replica]) -> Snapshot:
        """The user's EnvoyFilters have the last word."""
        who = [(c.key, Proxy(namespace=c.namespace, labels=c.labels)) for c in callers(topology)]
        places = patches.listener_places(topology, who, replicas)
        self.patcher = patches.Patcher(patches.scoped(topology.proxy_patches, places.values()))
        return replace(
            made,
            listeners=self.patcher.listeners(made.listeners, places),
            routes=self.patcher.routes(made.routes, patches.route_places(topology, places, who)),
            clusters=self.patcher.clusters(made.clusters, patches.cluster_places(made.clusters, places, replicas)),
        )

    def blamed(self, refusal: str) -> str:
        """Envoy's refusal, with the lines of EnvoyFilters that have changed what it refused."""
        origins = self.patcher.origins
        named = [source for name, sources in origins.items() if name in refusal for source in sources]
        sources = dict.fromkeys(named or [source for sources in origins.values() for source in sources])
        return f"{refusal} (EnvoyFilter: {listed(map(str, sources))})" if sources else refusal

    def _translate_ground(self, topology: Topology, replicas: Sequence[Replica], ports: Mapping[str, int]) -> Snapshot:
        """Clusters, endpoints, listeners, and the routes of inbound listeners."""
        result, mutual = Snapshot(), Mutual.of(topology, replicas)
        for service in topology.services:
            result.clusters.update((c["name"], c) for c in clusters.outbound_clusters(topology, service, mutual))
            found = endpoints.assignments(topology, service, replicas, mutual)
            result.endpoints.update((e["cluster_name"], e) for e in found)
        for cluster, load in own_clusters.own(topology, replicas, mutual):
            result.clusters[cluster["name"]] = cluster
            if load:
                result.endpoints[cluster["name"]] = load
        for caller in callers(topology):
            name = names.outbound_listener(caller.key)
            made = listeners.outbound(caller.key, caller.namespace, ports[name], self._hops, caller.identity)
            result.listeners[name] = made
        if self.outside:
            made = outside.listener(ports[outside.LISTENER], self._hops)
            result.listeners[made["name"]] = made
            result.clusters.update((c["name"], c) for c in outside.clusters_of(topology))
        for door in doors(topology):
            name = names.gateway_listener(door)
            result.listeners[name] = gateways.listener(topology, door, ports[name], self._hops)
        spoken = Spoken.of(topology)
        for replica in replicas:
            self._add_inbound(result, topology, replica, spoken, mutual)
        if streams.used(topology):
            result.clusters[names.BLACK_HOLE] = clusters.black_hole()
        return result

    def _add_inbound(
        self, result: Snapshot, topology: Topology, replica: Replica, spoken: Spoken, mutual: Mutual
    ) -> None:
        fault = topology.faults.get(key(replica.workload))
        for port in replica.ports:  # none when the process is gone
            own = (key(replica.workload), port)
            protocol = spoken.protocols.get(own, "http")
            cluster = clusters.inbound_cluster(replica, port, protocol)
            guards = security.network_filters(topology, sidecar(replica.workload), port)
            listener = listeners.inbound(
                replica,
                port,
                self._hops,
                protocol=protocol,
                raw_tls=own in spoken.raw_tls,
                mode=mutual.mode(replica.workload, port) if mutual.reason else "DISABLE",
                guards=guards if own in spoken.raw_tls or protocol not in HTTP_PROTOCOLS else (),
            )
            direct = clusters.pod_cluster(replica, port, mutual)
            result.clusters.update({cluster["name"]: cluster, direct["name"]: direct})
            result.listeners[listener["name"]] = listener
            if protocol in HTTP_PROTOCOLS:
                route = listeners.inbound_routes(replica, port, fault)
                result.routes[route["name"]] = route


def answering(topology: Topology, replica: Replica) -> Replica:
    """The pod under the name of the service that it is a version of now: routes may have made it one since it began."""
    service = apex.names(topology).get(key(replica.workload), replica.service)
    return replica if service == replica.service else replace(replica, service=service)


def tcp_listeners(topology: Topology, *, with_outside: bool = False) -> list[str]:
    """Names of the listeners that need a port on this host."""
    outbound = [names.outbound_listener(caller.key) for caller in callers(topology)]
    extra = [outside.LISTENER] if with_outside else []
    return outbound + extra + [names.gateway_listener(door) for door in doors(topology)]


def outbound_routes(topology: Topology) -> Iterator[Json]:
    """One route configuration a namespace, for all its callers."""
    by_namespace: dict[str, list[Caller]] = {}
    for caller in callers(topology):
        by_namespace.setdefault(caller.namespace, []).append(caller)
    for namespace, members in by_namespace.items():
        seen = own_clusters.seen_from(topology, namespace)
        hosts = [*outbound_hosts(seen, namespace, members)]
        hosts += [*streams.connect_hosts(seen, namespace, members, hosts), routes.pods(), routes.blocked()]
        hosts = [*localities.localised(seen, hosts)]
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
        routes.only_for([c.key for c in group], translated)
        for host, group in variants
        for r in host.routes
        for translated in routes.routes(topology, r)
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
        yield from gateways.route_configurations(topology, door)


def filter_configs(topology: Topology, replicas: Sequence[Replica]) -> Iterator[Json]:
    """Security filters of every inbound and gateway listener there is; pods of one workload share theirs."""
    guarded = {(key(r.workload), port): r.workload for r in replicas for port in r.ports}
    for (_, port), workload in guarded.items():
        yield from security.filter_configs(topology, sidecar(workload), names.guard(workload, port), port)
    for door in doors(topology):
        proxy = security.door_proxy(topology, door)
        yield from security.filter_configs(topology, proxy, names.gateway_listener(door), door.port)


def check_references(result: Snapshot) -> None:
    """Envoy acknowledges a route to a cluster that does not exist, and then serves 503: so it is caught here."""
    for configuration in result.routes.values():
        for host in configuration["virtual_hosts"]:
            for route in host.get("routes", ()):
                for cluster in referred(route.get("route", {})):
                    if cluster not in result.clusters:
                        where = f"{configuration['name']}, {host['name']}, route {route.get('name') or route['match']}"
                        raise ConfigRejected(f"a route leads to the unknown cluster {cluster!r} ({where})")


def referred(action: Json) -> Iterator[str]:
    if "cluster" in action:
        yield action["cluster"]
    yield from (c["name"] for c in action.get("weighted_clusters", {}).get("clusters", ()))
    yield from (m["cluster"] for m in action.get("request_mirror_policies", ()))
