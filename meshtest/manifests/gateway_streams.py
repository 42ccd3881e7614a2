"""Connections at the doors of gateways: which route one takes, by the server name of its TLS handshake. Pure.

Source: Istio's pilot/pkg/networking/core/gateway.go (createGatewayTCPFilterChainOpts).
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.decide import domain_rank
from meshtest.manifests.hosts import in_order, sees
from meshtest.manifests.wildcards import intersection
from meshtest.model.route import Door, Gateway, RouteTable, Server, StreamRoute
from meshtest.model.topology import Topology

HTTP = ("HTTP", "HTTP2", "GRPC", "HTTPS")

Own = tuple[Gateway, Server]


def servers(topology: Topology, door: Door) -> list[Own]:
    """Of all gateways at the door, in order."""
    return [(g, s) for g in topology.gateways if g.address == door.address for s in g.servers if s.port == door.port]


def plain(server: Server) -> bool:
    return server.tls is None and server.protocol in HTTP


def secure(server: Server) -> bool:
    """HTTP inside TLS that ends here."""
    return server.tls is not None and not passes(server.tls.mode) and server.protocol in HTTP


def passes(mode: str) -> bool:
    return mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH")


def attached(topology: Topology, gateway: Gateway, server: Server) -> list[RouteTable]:
    wanted = {gateway.key, f"{gateway.key}/{server.name}"}
    tables = (t for t in in_order(topology.tables) if t.tls or t.tcp)
    return [t for t in tables if not wanted.isdisjoint(t.gateways) and sees(t, gateway.namespace)]


def counts(route: StreamRoute, gateway: Gateway, server: Server) -> bool:
    match = route.match
    if match.gateways and {gateway.key, f"{gateway.key}/{server.name}"}.isdisjoint(match.gateways):
        return False
    return match.port in (None, server.port) and not match.caller_labels


def tls_routes(topology: Topology, gateway: Gateway, server: Server) -> Iterator[tuple[list[str], StreamRoute]]:
    """(server names, route): as far as the table's, the route's and the server's hosts agree."""
    for table in attached(topology, gateway, server):
        for route in table.tls:
            wanted = route.match.sni_hosts or table.hosts
            agreed = [name for host in wanted for name in admitted(server, table.namespace, host)]
            if agreed and counts(route, gateway, server):
                yield list(dict.fromkeys(agreed)), route


def admitted(server: Server, namespace: str, host: str) -> Iterator[str]:
    for pattern in server.hosts:
        scope, slash, own = pattern.rpartition("/")
        if (not slash or scope in ("*", namespace)) and (common := intersection(own, host)):
            yield common


def tcp_routes(topology: Topology, gateway: Gateway, server: Server) -> list[StreamRoute]:
    return [r for t in attached(topology, gateway, server) for r in t.tcp if counts(r, gateway, server)]


def chosen(topology: Topology, door: Door, server_name: str) -> StreamRoute | None:
    """The route of a TLS connection with this server name; None where its requests are looked at, or nobody takes it.

    Envoy takes the filter chain with the most specific server name; of two for one name the first.
    """
    best: tuple[tuple[int, int], StreamRoute | None] | None = None
    for gateway, server in servers(topology, door):
        for names, route in _chains(topology, gateway, server):
            ranks = [rank for name in names if (rank := domain_rank(name.lower(), server_name.lower())) is not None]
            if ranks and (best is None or max(ranks) > best[0]):
                best = (max(ranks), route)
    return best[1] if best else None


def _chains(topology: Topology, gateway: Gateway, server: Server) -> Iterator[tuple[list[str], StreamRoute | None]]:
    """(server names, route of bytes or None for requests) of one server with TLS."""
    if secure(server):
        yield [host.rpartition("/")[2] for host in server.hosts], None
    elif server.tls is not None:
        yield from tls_routes(topology, gateway, server)
