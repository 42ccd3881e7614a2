"""The data plane: one shared Envoy, what is in force in it, and the order in which that may change.

Make before break. A request never meets a route to a cluster without endpoints, nor an endpoint without a listener:

    clusters (old and new) ─► listeners of new pods and callers, with their routes ─► endpoints ─► routes ─► removals

Each arrow is an acknowledgement; before the removals comes the barrier: the worker serves it. A shift changes routes
only, so it is one push, one ACK, and a look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from meshtest.errors import ConfigRejected, PortTaken, ProcessFailed
from meshtest.model.route import Door
from meshtest.model.topology import Topology
from meshtest_envoy.ads.server import AdsServer
from meshtest_envoy.ads.stream import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from meshtest_envoy.barrier import Barrier, marked
from meshtest_envoy.envoy import Admin
from meshtest_envoy.ports import Ports
from meshtest_envoy.xds import names
from meshtest_envoy.xds.bootstrap import bootstrap
from meshtest_envoy.xds.clusters import Replica
from meshtest_envoy.xds.snapshot import Resources, Snapshot, Translator, doors, tcp_listeners


class DataPlane:
    """Not thread-safe: the provider holds its lock around every call."""

    def __init__(self, runtime: Path) -> None:
        self._runtime = runtime
        self._in_force = Snapshot()
        self._asked = Snapshot()
        """What is in force, without the marker of the barrier."""
        self._doors: list[Door] = []
        self._generation = 0
        self._barrier = Barrier()
        self._ports = Ports()
        self._ads = AdsServer(runtime / "ads.sock")
        self.admin = Admin(runtime / "admin.sock")

    def serve(self, *, hops: Path, ingress: Mapping[int, int], within: float) -> None:
        """For the next run: where the access log goes, host ports of gateway ports, seconds to wait for an ACK."""
        self._translator = Translator(hops=str(hops.absolute()))
        self._fixed = {names.gateway_listener(Door(gateway)): port for gateway, port in ingress.items()}
        self._within = within

    def start(self) -> Path:
        """Start the control plane; returns the bootstrap file for Envoy."""
        self._ads.start()
        path = self._runtime / "bootstrap.json"
        content = bootstrap(node="meshtest", ads=self._runtime / "ads.sock", admin=self._runtime / "admin.sock")
        path.write_text(json.dumps(content))
        return path

    def stop(self) -> None:
        self._barrier.close()
        self._ads.stop()

    def fail(self, failure: ProcessFailed) -> None:
        """Envoy is gone."""
        self._ads.fail(failure)

    def push(self, topology: Topology, replicas: Sequence[Replica]) -> bool:
        """Bring this into force; False if it already is. ConfigRejected leaves the old configuration in force."""
        ports = self._ports.of(tcp_listeners(topology), self._fixed)
        goal = self._translator.snapshot(topology, replicas, ports)
        if goal == self._asked:
            return False
        self._generation += 1
        client = names.outbound_routes(names.CLIENT.partition("/")[0])
        numbered = replace(goal, routes=marked(goal.routes, client, self._generation))
        try:
            self._make(numbered)
            self._barrier.pass_(self.outbound_port(names.CLIENT), self._generation, within=self._within)
            self._break(numbered)
            self._asked, self._doors = goal, doors(topology)
        except ConfigRejected as error:
            if "Address already in use" in str(error):
                hint = "choose another with [tool.meshtest] ingress_ports, or leave it out"
                raise PortTaken(f"{error}; {hint}") from None
            raise
        finally:
            self._ports.settle(self._in_force.listeners)
        return True

    def _make(self, goal: Snapshot) -> None:
        """Everything new comes into being; nothing old goes."""
        now = self._in_force
        new_listeners = goal.listeners.keys() - now.listeners.keys()
        touched = {n for n, c in goal.clusters.items() if now.clusters.get(n) != c}
        self._push_clusters(now.clusters | goal.clusters, goal, touched)
        if new_listeners:
            # the routes of listeners that do not serve yet; the others keep theirs until endpoints are there
            self._push(LISTENER, "listeners", now.listeners | goal.listeners)
            self._push(ROUTES, "routes", goal.routes | now.routes)
        self._push(ENDPOINTS, "endpoints", now.endpoints | goal.endpoints, touch=touched)
        self._push(ROUTES, "routes", now.routes | goal.routes)

    def _push_clusters(self, clusters: Resources, goal: Snapshot, touched: set[str]) -> None:
        """Envoy holds back what follows until each new cluster has its endpoints, so these come at once, and empty."""
        if clusters == self._in_force.clusters:
            return
        empty = {n: {**goal.endpoints[n], "endpoints": []} for n in touched & goal.endpoints.keys()}
        self._ads.put(ENDPOINTS, empty | self._in_force.endpoints)
        self._ads.push(CLUSTER, clusters, endpoints=touched, within=self._within)
        self._in_force = replace(self._in_force, clusters=clusters)

    def _break(self, goal: Snapshot) -> None:
        """What nothing refers to any more goes: who refers before what is referred to."""
        self._push(LISTENER, "listeners", goal.listeners)
        self._push(ROUTES, "routes", goal.routes)
        self._push(CLUSTER, "clusters", goal.clusters)
        self._push(ENDPOINTS, "endpoints", goal.endpoints)

    def _push(self, type_url: str, field: str, resources: Resources, touch: set[str] | None = None) -> None:
        if resources == getattr(self._in_force, field) and not touch:
            return
        self._ads.push(type_url, resources, touch=(touch or set()) & resources.keys(), within=self._within)
        self._in_force = replace(self._in_force, **{field: resources})

    def outbound_port(self, caller: str) -> int:
        return self._ports[names.outbound_listener(caller)]

    @property
    def doors(self) -> dict[Door, int]:
        """Ports on this host, of the doors that are in force."""
        return {door: self._ports[names.gateway_listener(door)] for door in self._doors}
