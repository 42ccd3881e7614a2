"""EnvoyFilters: the user's own changes to what was generated, applied as the last step of the translation.

    Snapshot ──► for each proxy's listeners, routes, clusters: patches that match, in order ──► Snapshot

By Istio's rules (pilot/pkg/networking/core/envoyfilter). What differs, because proxies share one Envoy: callers of one
namespace share their routes, all share the clusters, and a caller has one outbound listener for every port; the dialect
warns where that matters. A patched listener reaches open connections from their second request on: each is served once
more by the old filters, and then closed (`--drain-strategy immediate`). That is so on a cluster too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field

from meshtest.errors import ManifestError
from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Diagnostic, Severity, Source
from meshtest.model.security import Patch, Proxy, ProxyPatches, RoutesMatch, covers, patches_for, sidecar
from meshtest.model.topology import Topology
from meshtest_envoy.xds import names, protos
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.resources import Json
from meshtest_envoy.xds.security import door_proxy, istio_name

MANAGER = "envoy.filters.network.http_connection_manager"
MESSAGES = {
    "HTTP_FILTER": "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
    "NETWORK_FILTER": "envoy.config.listener.v3.Filter",
    "FILTER_CHAIN": "envoy.config.listener.v3.FilterChain",
    "LISTENER": "envoy.config.listener.v3.Listener",
    "ROUTE_CONFIGURATION": "envoy.config.route.v3.RouteConfiguration",
    "VIRTUAL_HOST": "envoy.config.route.v3.VirtualHost",
    "HTTP_ROUTE": "envoy.config.route.v3.Route",
    "CLUSTER": "envoy.config.cluster.v3.Cluster",
}
OLD_NAMES = {
    "envoy.http_connection_manager": MANAGER,
    "envoy.router": "envoy.filters.http.router",
    "envoy.fault": "envoy.filters.http.fault",
    "envoy.cors": "envoy.filters.http.cors",
    "envoy.tcp_proxy": "envoy.filters.network.tcp_proxy",
}
"""Names before Envoy 1.14, which Istio still finds (core/envoyfilter DeprecatedFilterNames)."""

INBOUND, OUTBOUND, GATEWAY = "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY"
Found = Callable[[Json], bool]
Resources = dict[str, Json]


@dataclass(frozen=True)
class Place:
    """Whose resource it is, and where traffic is on its way through it."""

    context: str
    proxy: Proxy
    port: int | None = None
    """None: every port."""


@dataclass
class Patcher:
    """All EnvoyFilters of a topology; remembers what each resource owes to which, and which found nothing."""

    filters: Sequence[ProxyPatches]
    origins: dict[str, list[Source]] = field(default_factory=dict)
    applied: set[int] = field(default_factory=set)
    """Identities of patches that found something."""

    # -- listeners

    def listeners(self, listeners: Resources, places: dict[str, Place]) -> Resources:
        result = dict(listeners)
        for name, place in places.items():
            if name in listeners:
                for patch in self.at(place):
                    if patch.apply_to in ("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER"):
                        self._listener(result, name, place, patch)
        for patch in self.additions("LISTENER"):
            made = self.value(patch)
            result[self._named(made, patch)] = {"@type": TYPE_URL + MESSAGES["LISTENER"], **made}
        return result

    def _listener(self, listeners: Resources, name: str, place: Place, patch: Patch) -> None:
        listener = listeners.get(name)
        if listener is None or (patch.operation == "ADD" and patch.apply_to == "LISTENER"):
            return
        if not listener_matches(patch, name, place):
            return
        if patch.apply_to == "LISTENER":
            if patch.operation == "REMOVE":
                del listeners[name]
                self._mark(patch, name)
                return
            changed = self.merged(patch, listener)
        else:
            changed = {**listener, "filter_chains": self._chains(listener["filter_chains"], place, patch)}
        if changed != listener:
            self._mark(patch, name)
            listeners[name] = changed

    def _chains(self, chains: list[Json], place: Place, patch: Patch) -> list[Json]:
        def found(chain: Json) -> bool:
            return chain_matches(patch, chain, place)

        if patch.apply_to == "FILTER_CHAIN":
            return self.edited(chains, patch, found, anchored=True)
        return [self._filters(chain, patch) if found(chain) else chain for chain in chains]

    def _filters(self, chain: Json, patch: Patch) -> Json:
        wanted = current(patch.listener.filter)

        def found(one: Json) -> bool:
            return not wanted or istio_name(one["name"]) == wanted

        if patch.apply_to == "NETWORK_FILTER":
            return {**chain, "filters": self.edited(chain["filters"], patch, found, anchored=bool(wanted))}
        filters = [self._http_filters(f, patch) if f["name"] == MANAGER and found(f) else f for f in chain["filters"]]
        return {**chain, "filters": filters}

    def _http_filters(self, manager: Json, patch: Patch) -> Json:
        wanted = current(patch.listener.sub_filter)

        def found(one: Json) -> bool:
            return istio_name(one["name"]) == wanted

        config = manager["typed_config"]
        filters = self.edited(config["http_filters"], patch, found, anchored=bool(wanted))
        return {**manager, "typed_config": {**config, "http_filters": filters}}

    # -- routes

    def routes(self, routes: Resources, places: dict[str, list[Place]]) -> Resources:
        result = dict(routes)
        for name, users in places.items():
            for patch, place in self.for_any(users) if name in routes else ():
                if patch.apply_to in ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE"):
                    changed = self._configuration(result[name], place, patch)
                    if changed != result[name]:
                        self._mark(patch, name)
                        result[name] = changed
        return result

    def _configuration(self, configuration: Json, place: Place, patch: Patch) -> Json:
        if not configuration_matches(patch.routes, configuration["name"], place):
            return configuration
        if patch.apply_to == "ROUTE_CONFIGURATION":
            return self.merged(patch, configuration)
        hosts = configuration["virtual_hosts"]

        def found(host: Json) -> bool:
            return host_matches(patch.routes, host, place)

        if patch.apply_to == "VIRTUAL_HOST":
            return {**configuration, "virtual_hosts": self.edited(hosts, patch, found, anchored=True)}
        changed = [{**h, "routes": self._routes(h["routes"], patch)} if found(h) else h for h in hosts]
        return {**configuration, "virtual_hosts": changed}

    def _routes(self, routes: list[Json], patch: Patch) -> list[Json]:
        wanted = patch.routes

        def found(route: Json) -> bool:
            return (not wanted.route or route.get("name") == wanted.route) and has_action(route, wanted.action)

        return self.edited(routes, patch, found, anchored=bool(wanted.route or wanted.action != "ANY"))

    # -- clusters

    def clusters(self, clusters: Resources, places: dict[str, list[Place]]) -> Resources:
        result = dict(clusters)
        for name, users in places.items():
            for patch, _ in self.for_any(users) if name in clusters else ():
                if patch.apply_to == "CLUSTER" and patch.operation != "ADD" and cluster_matches(patch, name):
                    self._mark(patch, name)
                    if patch.operation == "REMOVE":
                        result.pop(name, None)
                    elif name in result:
                        result[name] = self.merged(patch, result[name])
        for patch in self.additions("CLUSTER"):
            made = self.value(patch)
            result[self._named(made, patch)] = {"@type": TYPE_URL + MESSAGES["CLUSTER"], **made}
        return result

    # -- patches

    def at(self, place: Place) -> Iterator[Patch]:
        """Patches for one proxy at this place, in order."""
        for one in patches_for(self.filters, place.proxy):
            yield from (p for p in one.patches if p.context in ("ANY", place.context))

    def for_any(self, places: Iterable[Place]) -> Iterator[tuple[Patch, Place]]:
        """Patches for any of those who share a resource, each once."""
        seen: set[int] = set()
        for place in places:
            for patch in self.at(place):
                if id(patch) not in seen:
                    seen.add(id(patch))
                    yield patch, place

    def additions(self, kind: str) -> Iterator[Patch]:
        for one in self.filters:
            for patch in one.patches:
                if patch.apply_to == kind and patch.operation == "ADD":
                    yield patch

    def edited(self, items: list[Json], patch: Patch, found: Found, *, anchored: bool) -> list[Json]:
        """`anchored`: the match names one of the items; without it, `INSERT_BEFORE` is first, `INSERT_AFTER` last."""
        at = next((i for i, item in enumerate(items) if found(item)), None)
        match patch.operation:
            case "ADD":
                return [*items, self.value(patch)]
            case "INSERT_FIRST":
                return [self.value(patch), *items]
            case "INSERT_BEFORE" | "INSERT_AFTER" if not anchored:
                made = [self.value(patch)]
                return made + items if patch.operation == "INSERT_BEFORE" else items + made
            case _ if at is None:
                return items
            case "INSERT_BEFORE":
                return [*items[:at], self.value(patch), *items[at:]]
            case "INSERT_AFTER":
                return [*items[: at + 1], self.value(patch), *items[at + 1 :]]
            case "REMOVE":
                return [item for item in items if not found(item)]
            case "REPLACE":
                return [self.value(patch) if found(item) else item for item in items]
            case _:
                return [self.merged(patch, item) if found(item) else item for item in items]

    def value(self, patch: Patch) -> Json:
        """What the user wrote, checked against Envoy's API."""
        try:
            return protos.canonical(MESSAGES[patch.apply_to], patch.value)
        except protos.NotEnvoysError as error:
            raise refused(patch, str(error)) from None

    def merged(self, patch: Patch, base: Json) -> Json:
        if "config_discovery" in base and patch.apply_to == "HTTP_FILTER":
            text = (
                f"the configuration of {istio_name(base['name'])} is made from the policies; it cannot be merged into"
            )
            raise refused(patch, text)
        lists = patch.operation == "MERGE_AND_REPLACE_LIST"
        try:
            return protos.merged(MESSAGES[patch.apply_to], base, dict(patch.value), replace_lists=lists)
        except protos.NotEnvoysError as error:
            raise refused(patch, str(error)) from None

    def _named(self, made: Json, patch: Patch) -> str:
        if not made.get("name"):
            raise refused(patch, f"a {patch.apply_to} that is added needs a name")
        self._mark(patch, made["name"])
        return str(made["name"])

    def _mark(self, patch: Patch, resource: str) -> None:
        self.applied.add(id(patch))
        sources = self.origins.setdefault(resource, [])
        if patch.source not in sources:
            sources.append(patch.source)

    def without_effect(self) -> list[Patch]:
        """Patches that found nothing to change. Istio says nothing of these; a person wants to know."""
        return [p for one in self.filters for p in one.patches if id(p) not in self.applied]


def refused(patch: Patch, text: str) -> ManifestError:
    said = f"EnvoyFilter patch of {patch.apply_to}: {text}"
    return ManifestError([Diagnostic(Severity.ERROR, "bad-patch", said, patch.source)])


# -- matches


def current(name: str) -> str:
    return OLD_NAMES.get(name, name)


def listener_matches(patch: Patch, name: str, place: Place) -> bool:
    match = patch.listener
    known = {INBOUND: ("virtualInbound",), OUTBOUND: ("virtualOutbound",)}.get(place.context, ())
    if match.name and match.name != name and match.name not in known and not _port_name(match.name, place):
        return False
    return match.port is None or place.port is None or match.port == place.port


def _port_name(name: str, place: Place) -> bool:
    """`0.0.0.0_8080`: Istio's name of a port's listener."""
    port = name.rpartition("_")[2]
    return port.isdecimal() and (place.port is None or int(port) == place.port)


def chain_matches(patch: Patch, chain: Json, place: Place) -> bool:
    match, criteria = patch.listener, chain.get("filter_chain_match", {})
    if match.destination_port is not None and match.destination_port not in (
        place.port,
        criteria.get("destination_port"),
    ):
        return False
    return (
        (not match.chain or chain.get("name") == match.chain)
        and (not match.sni or match.sni in criteria.get("server_names", ()))
        and (not match.transport or criteria.get("transport_protocol") == match.transport)
        and set(filter(None, match.application_protocols.split(","))) <= set(criteria.get("application_protocols", ()))
    )


def configuration_matches(match: RoutesMatch, name: str, place: Place) -> bool:
    if match.gateway and match.gateway not in place.proxy.gateways:
        return False
    port = place.port
    if port is None:  # one configuration for all ports: virtual hosts are told apart by theirs
        return not match.name or match.name == name or match.name.isdecimal()
    spellings = {name, f"inbound|{port}||", str(port)}
    return (not match.name or match.name in spellings) and match.port in (None, port)


def host_matches(match: RoutesMatch, host: Json, place: Place) -> bool:
    if match.host and host["name"] != match.host:
        return False
    if match.domain and match.domain not in host["domains"]:
        return False
    wanted = match.port or (int(match.name) if match.name.isdecimal() else None)
    return place.port is not None or wanted is None or host["name"].endswith(f":{wanted}")


def has_action(route: Json, action: str) -> bool:
    fields = {"ROUTE": "route", "REDIRECT": "redirect", "DIRECT_RESPONSE": "direct_response"}
    return action == "ANY" or fields[action] in route


def cluster_matches(patch: Patch, name: str) -> bool:
    direction, port, subset, host = [*name.split("|"), "", "", ""][:4]
    match = patch.cluster
    short = f"{direction}|{port}||" if direction == "inbound" else name
    return (
        match.name in ("", name, short)
        and (match.port is None or str(match.port) == port)
        and (not match.service or match.service == host)
        and (not match.subset or match.subset == subset)
    )


# -- places


def listener_places(
    topology: Topology, callers: Iterable[tuple[str, Proxy]], replicas: Sequence[Replica]
) -> dict[str, Place]:
    """By the name of the listener; `callers` are (key, proxy)."""
    found = {names.outbound_listener(key): Place(OUTBOUND, proxy) for key, proxy in callers}
    for gateway in topology.gateways:
        for door in gateway.doors:
            place = Place(GATEWAY, door_proxy(topology, door), door.port)
            found[names.gateway_listener(door)] = place
    for replica in replicas:
        for port in replica.ports:
            place = Place(INBOUND, sidecar(replica.workload), port)
            found[names.inbound_listener(replica.pod, port)] = place
    return found


def route_places(
    topology: Topology, places: dict[str, Place], callers: Iterable[tuple[str, Proxy]]
) -> dict[str, list[Place]]:
    """By the name of the route configuration, all who use it."""
    found: dict[str, list[Place]] = {}
    for _, proxy in callers:
        found.setdefault(names.outbound_routes(proxy.namespace), []).append(Place(OUTBOUND, proxy))
    for gateway in topology.gateways:
        for door in gateway.doors:
            found[names.gateway_routes(door)] = [places[names.gateway_listener(door)]]
    for name, place in places.items():
        if place.context == INBOUND:
            found[name] = [place]
    return found


def cluster_places(
    clusters: Iterable[str], places: dict[str, Place], replicas: Sequence[Replica]
) -> dict[str, list[Place]]:
    """Clusters to others are everyone's; those to a pod's own process are its own."""
    own = {
        names.inbound_cluster(r.pod, port): [Place(INBOUND, sidecar(r.workload), port)]
        for r in replicas
        for port in r.ports
    }
    everyone = [place for place in places.values() if place.context != INBOUND]
    return {name: own.get(name, everyone) for name in clusters}


def scoped(filters: Iterable[ProxyPatches], places: Iterable[Place]) -> list[ProxyPatches]:
    """EnvoyFilters that are for any proxy at all."""
    proxies = [place.proxy for place in places]
    return [f for f in filters if any(covers(f.scope, proxy) for proxy in proxies)]
