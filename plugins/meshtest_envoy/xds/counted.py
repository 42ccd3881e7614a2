"""A snapshot whose proxies count what passes them: loggers into listeners, the caller's id into routes.

Not here: what is counted (stats.py), what it means (metrics/).
"""

from __future__ import annotations

from collections.abc import Sequence

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.hosts import HTTP_PROTOCOLS
from meshtest.model.identity import in_mesh
from meshtest.model.route import Door
from meshtest.model.service import Workload
from meshtest.model.topology import Topology, key
from meshtest_envoy.xds import endpoints, names, peers, stats, streams
from meshtest_envoy.xds import listeners as network
from meshtest_envoy.xds.clusters import HTTP2, HTTP_OPTIONS
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.resources import Json, Resources
from meshtest_envoy.xds.stats import Counting, Log

MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"


@dataclass(frozen=True)
class Instruments:
    """Puts them in."""

    counting: Counting

    def put_in(
        self,
        topology: Topology,
        replicas: Sequence[Replica],
        doors: Sequence[Door],
        *,
        listeners: Resources,
        routes: Resources,
        clusters: Resources,
    ) -> None:
        """Into the resources of a translation: all but the routes of callers and gateways, which come later."""
        for caller in (None, *(w for w in topology.workloads if in_mesh(w))):
            self._outbound(listeners, caller)
        for door in doors:
            self._change(listeners, names.gateway_listener(door), Log(self.counting, self._door(door)))
        for replica in replicas:
            for port in replica.ports:
                name = names.inbound_listener(replica.pod, port)
                if in_mesh(replica.workload):
                    self._inbound(listeners, name, topology, replica.workload, port)
                if name in routes:
                    routes[name] = {**routes[name], "request_headers_to_remove": stats.take_off(self.counting)}
        for name in self._leaving(topology, clusters):
            clusters[name] = without_peer(clusters[name], self.counting)

    # -- listeners

    def _outbound(self, listeners: Resources, caller: Workload | None) -> None:
        """A caller without a proxy of the mesh counts nothing, and tells nobody who it is."""
        peer = key(caller) if caller else names.CLIENT
        name = names.outbound_listener(peer)
        self._change(listeners, name, Log(self.counting, peer), first=[caller_peer(peer)])

    def _inbound(self, listeners: Resources, name: str, topology: Topology, workload: Workload, port: int) -> None:
        leading = names.led_to(topology).get(key(workload), {}).get(port, ())
        service = leading[0][0].fqdn if leading else ""
        owner = f"{self.counting.peers.id(peers.of_workload(workload))}/{service}"
        grpc = names.port_protocols(topology, workload).get(port) in HTTP2
        log = Log(self.counting, owner, inbound=True, authority=not service, grpc=grpc)
        self._change(listeners, name, log, http=[stats.remember_peer(self.counting)])

    def _change(
        self, listeners: Resources, name: str, log: Log, *, first: Sequence[Json] = (), http: Sequence[Json] = ()
    ) -> None:
        """Loggers into every chain of a listener. `first`: filters before all of a chain; `http`: of its requests."""
        chains = []
        for chain in listeners[name]["filter_chains"]:
            own = log._replace(mutual="transport_socket" in chain) if log.inbound else log
            chains.append({**chain, "filters": [*first, *(logging(f, own, http) for f in chain["filters"])]})
        listeners[name] = {**listeners[name], "filter_chains": chains}

    # -- routes

    def routes_out(self, made: Json) -> Json:
        return {**made, **stats.add_peer(self.counting)}

    def routes_of_gateway(self, made: Json, door: Door) -> Json:
        return {**made, **stats.add_gateway(self.counting, self._door(door))}

    def _door(self, door: Door) -> str:
        return self.counting.peers.gateway(door)

    # -- clusters

    def _leaving(self, topology: Topology, clusters: Resources) -> list[str]:
        """Those that lead to where no proxy of the mesh takes the caller's id off."""
        outside = {s.fqdn for s in topology.services if s.endpoints or not endpoints.discovered(s)}
        bare = as_bytes(topology)
        return [
            name
            for name, cluster in clusters.items()
            if name.startswith("outbound|")
            and (
                names.host_of(name) in outside
                or "transport_socket" in cluster  # TLS of the application's own
                or (names.host_of(name), int(name.split("|")[1])) in bare
            )
        ]


def as_bytes(topology: Topology) -> set[streams.Target]:
    """Ports that callers speak HTTP to, while the proxy in front of the pods passes bytes: another service leads to the
    same container port, and says that it is TCP."""
    spoken = streams.Spoken.of(topology).protocols
    return {
        (service.fqdn, port.number)
        for workload, ports in names.led_to(topology).items()
        for number, leading in ports.items()
        if spoken.get((workload, number), "http") not in HTTP_PROTOCOLS
        for service, port in leading
        if port.protocol in HTTP_PROTOCOLS
    }


def caller_peer(peer: str) -> Json:
    return network.filter_state(stats.PEER, "envoy.string", peer)


def logging(made: Json, log: Log, http: Sequence[Json]) -> Json:
    """A network filter with loggers, if it is one that logs."""
    config = made["typed_config"]
    if made["name"] == MANAGER:
        added: Json = {
            "access_log": [*config["access_log"], *log.of_requests()],
            "http_filters": [*http, *([stats.count_messages()] if log.grpc else []), *config["http_filters"]],
        }
    elif made["name"] == TCP_PROXY:
        own = [{**logger, "filter": stats.END} for logger in config["access_log"]]
        added = {
            "access_log": [*own, *log.of_connections()],
            "access_log_options": {"flush_access_log_on_connected": True},
        }
    else:
        return made
    return {**made, "typed_config": {**config, **added}}


def without_peer(cluster: Json, counting: Counting) -> Json:
    options = cluster["typed_extension_protocol_options"]
    http = {**options[HTTP_OPTIONS], "http_filters": stats.forget_peer(counting)}
    return {**cluster, "typed_extension_protocol_options": {**options, HTTP_OPTIONS: http}}
