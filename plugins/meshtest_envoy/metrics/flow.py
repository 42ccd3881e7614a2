"""A flow: requests or connections that were alike in all that a metric tells apart, and what was counted of them.

Not here: where the counts come from (meter.py), how they are named (istio.py, linkerd.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from meshtest.model.service import DOMAIN
from meshtest_envoy.xds.names import host_of
from meshtest_envoy.xds.peers import Peer, Peers
from meshtest_envoy.xds.stats import SEPARATOR

Bucket = tuple[float, float]
"""(lower bound, width): Envoy keeps two significant digits (circllhist)."""
Buckets = dict[Bucket, int]
"""How many values fell into each."""

BLOCKED, PASSED = "BlackHoleCluster", "PassthroughCluster"
"""Istio's names for a host that the mesh does not know, and for an address that is no service's."""


class Flow(NamedTuple):
    """Who asked whom, with what result. None and "" are what the proxy did not know."""

    at_destination: bool
    source: Peer | None
    source_principal: str
    destination: Peer | None
    destination_principal: str
    host: str
    """The service's full name, else what the client asked for."""
    service: str
    """Its short name."""
    code: str
    grpc_status: str
    flags: str

    @property
    def mutual_tls(self) -> bool:
        return bool(self.source_principal and self.destination_principal)


class Tally:
    """What was counted of one flow."""

    __slots__ = (
        "closed", "duration", "opened", "received", "received_messages", "requests", "sent", "sent_messages",
        "streamed", "tcp_received", "tcp_sent", "version",
    )  # fmt: skip

    def __init__(self) -> None:
        self.version = 0
        """Grows with each change."""
        self.requests = 0
        self.duration: Buckets = {}
        self.received: Buckets = {}
        self.sent: Buckets = {}
        self.streamed = False
        """These are gRPC calls, whose messages count."""
        self.received_messages = self.sent_messages = 0
        self.opened = self.closed = self.tcp_received = self.tcp_sent = 0

    def add(self, other: Tally) -> None:
        for name in ("requests", "received_messages", "sent_messages", "opened", "closed", "tcp_received", "tcp_sent"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("duration", "received", "sent"):
            own = getattr(self, name)
            for bucket, count in getattr(other, name).items():
                own[bucket] = own.get(bucket, 0) + count
        self.streamed |= other.streamed


def together(tallies: Sequence[Tally]) -> Tally:
    if len(tallies) == 1:
        return tallies[0]
    result = Tally()
    for tally in tallies:
        result.add(tally)
    return result


def parse(text: str, peers: Peers) -> Flow:
    """The fields that stats.py had Envoy join."""
    side, owner, other, code, status, flags, principal, cluster, authority = text.split(SEPARATOR, 8)
    if side == "d":
        return _at_destination(peers, owner, other, code, status, flags, principal, authority)
    source, destination = peers.get(owner), peers.get(other)
    host, service = destination_of(cluster, authority, code, gateway=owner in peers.gateways)
    if not code and flags == "DC":
        flags = "-"  # how a tunnel ends is the client's to choose: no trouble
    return Flow(
        False, source, source.identity if source and principal else "", destination, principal, host, service,
        code, status, flags or "-",
    )  # fmt: skip


def _at_destination(
    peers: Peers, owner: str, other: str, code: str, status: str, flags: str, principal: str, authority: str
) -> Flow:
    id, _, host = owner.partition("/")
    own = peers.get(id)
    source = peers.get(other) or (peers.identified(principal) if principal else None)
    service = short_name(host)
    if not host:  # a port that no service leads to
        host = service = authority or (own.service if own else "")
    identity = own.identity if own and principal else ""
    return Flow(True, source, principal, own, identity, host, service, code, status, flags or "-")


def destination_of(cluster: str, authority: str, code: str, *, gateway: bool) -> tuple[str, str]:
    """(host, service) as Istio tells them: of the cluster, else what was asked for (populatePeerInfo)."""
    if cluster.startswith("outbound|"):
        host = host_of(cluster)
        return host, short_name(host)
    if cluster == BLOCKED:
        return authority, BLOCKED
    if cluster:
        return authority, PASSED
    # Istio's route for unknown hosts answers 502 (REGISTRY_ONLY)
    return authority, BLOCKED if code == "502" and not gateway else authority


def short_name(host: str) -> str:
    """Of a Kubernetes Service the name, of a ServiceEntry the host."""
    return host.partition(".")[0] if host.endswith(f".svc.{DOMAIN}") else host
