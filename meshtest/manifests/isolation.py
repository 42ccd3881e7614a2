"""Hosts of a gateway whose listeners are isolated: a request belongs to the listener with the most specific hostname.

What another listener would do with it does not count, even if this one has no route for it (spec of Gateway.listeners,
"Listener isolation"). Among the routes of one listener the most specific hostname decides too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from meshtest.manifests.precedence import specific
from meshtest.manifests.wildcards import covers, intersection
from meshtest.model.route import Gateway, Route, RouteTable, Server, VirtualHost

TLS_PROTOCOLS = ("HTTPS",)
HTTP_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "HTTPS")

Arrivals = Callable[[RouteTable, Server], Sequence[Route]]
"""The routes of a table for requests at a server, with what depends on the port filled in."""


def isolated_hosts(
    gateway: Gateway, port: int, tables: Mapping[str, Sequence[RouteTable]], arrivals: Arrivals, only: str = ""
) -> Iterator[VirtualHost]:
    """Virtual hosts of one port, or of one server (`only`); `tables` by what they name as their gateway."""
    servers = [s for s in gateway.servers if s.port == port and s.protocol in HTTP_PROTOCOLS]
    patterns = [host for server in servers for host in server.hosts]
    for server in servers:
        if only not in ("", f"{gateway.key}/{server.name}"):
            continue
        mine = [*tables.get(f"{gateway.key}/{server.name}", ()), *tables.get(gateway.key, ())]
        for domain, claimants in _domains(server, mine).items():
            if owner(domain, patterns) in server.hosts:
                routes = specific((table, arrivals(table, server)) for table in claimants)
                yield VirtualHost(name=f"{domain}:{port}", domains=(domain,), routes=routes)


def _domains(server: Server, tables: Iterable[RouteTable]) -> dict[str, list[RouteTable]]:
    """The listener's own hostname is always there: its requests go nowhere else, even without a route."""
    found: dict[str, list[RouteTable]] = {host: [] for host in server.hosts}
    for table in tables:
        met = {d: None for pattern in server.hosts for host in table.hosts if (d := intersection(pattern, host))}
        for domain in met:
            found.setdefault(domain, []).append(table)
    return found


def owner(domain: str, patterns: Iterable[str]) -> str:
    """The most specific of the listeners' hostnames that covers the domain."""
    mine = [p for p in patterns if p == domain or covers(p, domain)]
    return max(mine, key=lambda p: (not p.startswith("*"), len(p)))
