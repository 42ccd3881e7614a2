"""Mutual TLS among workloads, if it is in force: who shows which identity, and which endpoint asks for one.

On Istio every connection inside the mesh is mutual TLS. Here it is where something could tell the difference
(meshtest.model.identity.mutual_tls); a mesh where nothing asks for identities stays in plain text, which saves a
handshake a connection and a TLS context for each cluster and caller.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.mutual import mutual_tls
from meshtest.model.identity import PeerMode, door_identity, identity, in_mesh, peer_mode, spiffe
from meshtest.model.service import Service, Workload
from meshtest.model.topology import Topology
from meshtest_envoy.xds import names
from meshtest_envoy.xds.replicas import Replica


@dataclass(frozen=True)
class Mutual:
    """What a topology says about mutual TLS."""

    topology: Topology
    reason: str
    """Why it is in force; "" if it is not."""
    identities: tuple[str, ...] = ()
    """Of all that may call."""
    running: tuple[Workload, ...] = ()
    """The templates of pods there are: in a rollout, also of those that the topology knows no more."""

    @classmethod
    def of(cls, topology: Topology, replicas: Iterable[Replica] = ()) -> Mutual:
        reason = mutual_tls(topology)
        if not reason:
            return cls(topology, "")
        callers = {identity(w) for w in topology.workloads if in_mesh(w)}
        doors = {door_identity(door) for gateway in topology.gateways for door in gateway.doors}
        identities = tuple(sorted({client_identity(), *callers, *doors}))
        return cls(topology, reason, identities, tuple({id(r.workload): r.workload for r in replicas}.values()))

    def mode(self, workload: Workload, port: int) -> PeerMode:
        """What the inbound proxy of a container port takes."""
        return peer_mode(self.topology.peers, workload, port) if self.reason else "DISABLE"

    def speaks(self, workload: Workload, port: int) -> bool:
        """Callers of a container port use the mesh's TLS (Istio's endpoint metadata `tlsMode`)."""
        return self.mode(workload, port) != "DISABLE"

    def servers(self, service: Service) -> list[str]:
        """Identities that a caller of the service takes for it: those of its pods (Istio's secure naming)."""
        running = (w for w in self.running if service.selects(w))
        pods = {identity(w) for w in (*self.topology.backends(service), *running)}
        return sorted(pods.union(service.subject_alt_names))


def caller_identity(workload: Workload) -> str:
    """What a workload can show when it calls; "" for one outside the mesh."""
    return identity(workload) if in_mesh(workload) else ""


def client_identity() -> str:
    """Of the client in the mesh that is no workload of the manifests."""
    namespace, _, name = names.CLIENT.partition("/")
    return spiffe(namespace, name)
