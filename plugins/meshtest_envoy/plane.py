"""The data plane: one shared Envoy, what is in force in it, and the order in which that may change.

Make before break. A request never meets a route to a cluster without endpoints, nor an endpoint without a listener:

    clusters (old and new) ─► listeners of new pods and callers, with their filters and routes
                           ─► endpoints ─► security filters ─► routes ─► removals

A listener that changes first takes what the old and the new one take, then only the latter: so mutual TLS becomes
STRICT under load. Certificates (SDS) are offered before anything refers to them; a rotation changes nothing else.

Each arrow is an acknowledgement; before the removals comes the barrier: the worker serves it. A shift changes routes
only, so it is one push, one ACK, and a look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from meshtest.errors import ConfigRejected, PortTaken, ProcessFailed
from meshtest.model.route import Door
from meshtest.model.topology import Topology
from meshtest_envoy.ads.server import AdsServer
from meshtest_envoy.ads.stream import CLUSTER, ENDPOINTS, FILTERS, LISTENER, ROUTES, SECRET
from meshtest_envoy.barrier import Barrier, numbered
from meshtest_envoy.envoy import Admin
from meshtest_envoy.ground import ADMIN, ADS
from meshtest_envoy.pki import Authority
from meshtest_envoy.ports import Ports
from meshtest_envoy.xds import listeners, names, security
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.resources import Json, Resources
from meshtest_envoy.xds.snapshot import Snapshot, Translator, doors, tcp_listeners


class DataPlane:
    """Not thread-safe: the provider holds its lock around every call."""

    def __init__(self, runtime: Path) -> None:
        self._in_force = Snapshot()
        self._asked = Snapshot()
        """What is in force, without the marker of the barrier."""
        self._doors: list[Door] = []
        self._generation = 0
        self._barrier = Barrier(runtime / "barrier.sock")
        self._ports = Ports()
        self._ads = AdsServer(runtime / ADS)
        self.admin = Admin(runtime / ADMIN)

    def serve(self, *, hops: Path, ingress: Mapping[int, int], within: float) -> None:
        """For the next run: where the access log goes, host ports of gateway ports, seconds to wait for an ACK."""
        self._authority = Authority()
        self._translator = Translator(hops=str(hops.absolute()), authority=self._authority)
        self._fixed = {names.gateway_listener(Door(gateway)): port for gateway, port in ingress.items()}
        self._within = within

    def start(self) -> None:
        """Start the control plane: Envoy finds it."""
        self._ads.start()

    def stop(self) -> None:
        self._barrier.close()
        self._ads.stop()

    def fail(self, failure: ProcessFailed) -> None:
        """Envoy is gone."""
        self._ads.fail(failure)

    def push(self, topology: Topology, replicas: Sequence[Replica]) -> bool:
        """Bring this into force; False if it already is. ConfigRejected leaves the old configuration in force."""
        ports = self._ports.of(tcp_listeners(topology, with_outside=self._translator.outside), self._fixed)
        goal = self._translator.snapshot(topology, replicas, ports)
        if goal == self._asked:
            return False
        self._generation += 1
        made = numbered(goal, self._generation, self._barrier.path)
        try:
            self._make(made)
            self._barrier.pass_(self._generation, within=self._within)
            self._break(made)
            self._asked, self._doors = goal, doors(topology)
        except ConfigRejected as error:
            if "Address already in use" in str(error):
                hint = "choose another with [tool.meshtest] ingress_ports, or leave it out"
                raise PortTaken(f"{error}; {hint}") from None
            raise ConfigRejected(self._translator.blamed(str(error))) from None
        finally:
            self._ports.settle(self._in_force.listeners)
        return True

    def _make(self, goal: Snapshot) -> None:
        """Everything new comes into being; nothing old goes."""
        now = self._in_force
        touched = {eds_name(c) for n, c in goal.clusters.items() if now.clusters.get(n) != c}
        serving = {
            n: widened(now.listeners[n], goal.listeners[n]) for n in now.listeners.keys() & goal.listeners.keys()
        }
        # new ones are at hand when something refers to them; changed ones come when all else is accepted
        self._ads.put(SECRET, goal.secrets | now.secrets)
        if any(now.listeners[n] != listener for n, listener in serving.items() if n.startswith("inbound_")):
            # an endpoint understands what callers will say before they say it
            inbound = {n: listener for n, listener in serving.items() if n.startswith("inbound_")}
            self._push(LISTENER, "listeners", now.listeners | inbound)
        self._push_clusters(now.clusters | goal.clusters, goal, touched)
        if goal.listeners.keys() - now.listeners.keys():
            # the routes of listeners that do not serve yet; the others keep theirs until endpoints are there
            self._push(LISTENER, "listeners", goal.listeners | self._in_force.listeners)
            self._push_filters(goal.filters | now.filters)
            self._push_routes(goal.routes | now.routes)
        self._push_endpoints(now.endpoints | goal.endpoints, touch=touched)
        self._push(LISTENER, "listeners", self._in_force.listeners | serving)
        # after endpoints, from which keys may be fetched; before routes, which may ask for the claims of a token
        self._push_filters(now.filters | goal.filters)
        self._push_routes(now.routes | goal.routes)
        self._push(SECRET, "secrets", goal.secrets)

    def _push_filters(self, filters: Resources) -> None:
        """Envoy asks for those that a listener names, and would acknowledge no other."""
        asked = security.discovered(self._in_force.listeners.values())
        self._push(FILTERS, "filters", {n: f for n, f in filters.items() if n in asked})

    def _push_routes(self, routes: Resources) -> None:
        """Those that a listener in force asks for: a filter chain that went asks for its own no more, and one that
        changes, last of all, not yet for its new ones."""
        asked = {name for listener in self._in_force.listeners.values() for name in listeners.routes_of(listener)}
        self._push(ROUTES, "routes", {n: r for n, r in routes.items() if n in asked})

    def _push_endpoints(self, endpoints: Resources, touch: set[str] | None = None) -> None:
        """Not of a cluster that looks its endpoints up itself: it asks for none."""
        asked = {eds_name(c) for c in self._in_force.clusters.values() if c.get("type") == "EDS"}
        self._push(ENDPOINTS, "endpoints", {n: e for n, e in endpoints.items() if n in asked}, touch=touch)

    def _push_clusters(self, clusters: Resources, goal: Snapshot, touched: set[str]) -> None:
        """Envoy acknowledges no cluster until each new or changed one has its endpoints and secrets. So these are sent
        right behind: those of new clusters empty, those of changed ones as they are, for it asks for them again."""
        if clusters == self._in_force.clusters:
            return
        empty = {n: {**goal.endpoints[n], "endpoints": []} for n in touched & goal.endpoints.keys()}
        self._ads.put(ENDPOINTS, empty | self._in_force.endpoints, touch=touched & self._in_force.endpoints.keys())
        self._push(CLUSTER, "clusters", clusters)

    def _break(self, goal: Snapshot) -> None:
        """What nothing refers to any more goes: who refers before what is referred to."""
        self._push(LISTENER, "listeners", goal.listeners)
        self._push_filters(goal.filters)
        self._push_routes(goal.routes)
        self._push(CLUSTER, "clusters", goal.clusters)
        self._push_endpoints(goal.endpoints)

    def _push(self, type_url: str, field: str, resources: Resources, touch: set[str] | None = None) -> None:
        if resources == getattr(self._in_force, field) and not touch:
            return
        self._ads.push(type_url, resources, touch=(touch or set()) & resources.keys(), within=self._within)
        self._in_force = replace(self._in_force, **{field: resources})

    def without_effect(self) -> list[str]:
        """A sentence for each patch of an EnvoyFilter that found nothing to change."""
        found = self._translator.patcher.without_effect()
        return [f"{p.source}: the EnvoyFilter patch of {p.apply_to} matches nothing here" for p in found]

    def rotate(self) -> int:
        """New certificates for all identities; the next push brings them into force. Returns how many."""
        return self._authority.rotate()

    def let_outside_in(self) -> None:
        """From the next push on, a client that is not in the mesh can enter."""
        self._translator.outside = True

    def outbound_port(self, caller: str) -> int:
        return self._ports[names.outbound_listener(caller)]

    @property
    def doors(self) -> dict[Door, int]:
        """Ports on this host, of the doors that are in force."""
        return {door: self._ports[names.gateway_listener(door)] for door in self._doors}


def eds_name(cluster: Json) -> str:
    """Under which name its endpoints are asked for."""
    name: str = cluster.get("eds_cluster_config", {}).get("service_name") or cluster["name"]
    return name


def widened(old: Json, new: Json) -> Json:
    """The new listener, which still takes what the old one does: the new filter chains and those of the old that they
    do not replace. Envoy keeps the connections of a chain that stays as it is."""
    if old == new or not new["name"].startswith("inbound_"):
        return new
    taken = [chain.get("filter_chain_match") for chain in new["filter_chains"]]
    kept = [chain for chain in old["filter_chains"] if chain.get("filter_chain_match") not in taken]
    chains = [*new["filter_chains"], *kept]
    inspection = listeners.INSPECTION if any("filter_chain_match" in chain for chain in chains) else {}
    return {**new, **inspection, "filter_chains": chains}
