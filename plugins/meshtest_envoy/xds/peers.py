"""Who takes part in the mesh, as metrics name it: a workload under a short id, which is all that Envoy has to carry.

Not here: which labels that makes (metrics/istio.py).
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from meshtest.manifests.memo import per_object
from meshtest.model.identity import ROOT_NAMESPACE, door_identity, identity, in_mesh
from meshtest.model.route import Door
from meshtest.model.service import Workload
from meshtest.model.topology import Topology, key
from meshtest_envoy.xds import names
from meshtest_envoy.xds.mutual import client_identity


class Peer(NamedTuple):
    """One workload with the labels it has."""

    namespace: str
    workload: str
    identity: str
    app: str = ""
    version: str = ""
    service: str = ""
    """Its canonical service."""
    revision: str = ""
    """Its canonical revision."""


class Peers:
    """The ids of one run. Thread-safe: metrics are read while topologies are translated.

    A pod has the labels it was started with, so its id stands for these. A caller's listener must stay as it is when
    a rollout changes the labels, for whoever is connected to it: it goes by the workload's key (`namespace/name`).
    """

    def __init__(self) -> None:
        self._ids: dict[Peer, str] = {}
        self._by_id: dict[str, Peer] = {}
        self._callers: dict[str, Peer] = {names.CLIENT: of_client()}
        self._lock = threading.Lock()
        self.gateways: set[str] = set()

    def id(self, peer: Peer) -> str:
        with self._lock:
            known = self._ids.get(peer)
            if known is None:
                known = self._ids[peer] = f"p{len(self._ids)}"
                self._by_id[known] = peer
            return known

    def gateway(self, door: Door) -> str:
        made = self.id(of_door(door))
        self.gateways.add(made)
        return made

    def call(self, topology: Topology) -> None:
        """From now on callers have the labels of these workloads."""
        with self._lock:
            self._callers |= callers(topology)

    def labels_change(self, topology: Topology) -> bool:
        """Some caller would have other labels than now."""
        return any(self._callers.get(caller, peer) != peer for caller, peer in callers(topology).items())

    def get(self, id: str) -> Peer | None:
        """By the id of a pod or gateway, or the key of a caller."""
        return self._by_id.get(id) or self._callers.get(id)

    def identified(self, principal: str) -> Peer | None:
        """The one workload with that identity, if there is just one of that name."""
        with self._lock:
            known = (*self._callers.values(), *self._ids)
        found = [peer for peer in known if peer.identity == principal]
        return found[0] if len({(p.namespace, p.workload) for p in found}) == 1 else None


def of_workload(workload: Workload) -> Peer:
    """Canonical names as Istio's injector sets them (pkg/kube/inject, `kube.CanonicalService*`)."""
    labels = workload.labels
    return Peer(
        namespace=workload.namespace,
        workload=workload.name,
        identity=identity(workload),
        app=labels.get("app", ""),
        version=labels.get("version", ""),
        service=labels.get("service.istio.io/canonical-name")
        or labels.get("app.kubernetes.io/name")
        or labels.get("app")
        or workload.name,
        revision=labels.get("service.istio.io/canonical-revision")
        or labels.get("app.kubernetes.io/version")
        or labels.get("version")
        or "",
    )


@per_object
def callers(topology: Topology) -> dict[str, Peer]:
    return {key(w): of_workload(w) for w in topology.workloads if in_mesh(w)}


def of_client() -> Peer:
    """The client in the mesh that is no workload of the manifests."""
    namespace, _, name = names.CLIENT.partition("/")
    return Peer(namespace, name, client_identity(), app=name, service=name)


def of_door(door: Door) -> Peer:
    """A gateway: Istio's ingress, or the Deployment that Istio makes for a Gateway API gateway."""
    if not door.address:
        name = "istio-ingressgateway"
        return Peer(ROOT_NAMESPACE, name, door_identity(door), app=name, service=name)
    namespace, _, name = door.address.partition("/")
    return Peer(namespace, f"{name}-istio", door_identity(door), service=f"{name}-istio")
