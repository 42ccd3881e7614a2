"""The doors of gateways: a filter chain a server, chosen by the server name of the TLS handshake.

    HTTP            routes `http.PORT`, of all plain servers of the door together
    HTTPS           its certificates, and routes of its own: `https.PORT.SERVER.GATEWAY.NAMESPACE`
    TLS, TCP        with certificates: what is in the TLS goes by the table's routes for connections
    PASSTHROUGH     stays encrypted; goes by server name
    TCP             goes where the first route says

Source: Istio's pilot/pkg/networking/core/gateway.go (buildGatewayListeners, createGatewayTCPFilterChainOpts).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from meshtest.manifests.gateway_streams import Own, passes, plain, secure, servers, tcp_routes, tls_routes
from meshtest.manifests.hosts import gateway_hosts
from meshtest.model.identity import door_identity
from meshtest.model.route import Door, Gateway, Server, StreamRoute
from meshtest.model.topology import Topology
from meshtest_envoy.xds import listeners, names, routes, security, streams, tls
from meshtest_envoy.xds.resources import Json

CLIENT_CERTIFICATE = {
    "forward_client_cert_details": "SANITIZE_SET",
    "set_current_client_cert_details": {"subject": True, "cert": True, "uri": True, "dns": True},
}
"""A gateway says who the client was, and believes nobody else (Istio's default)."""

# -- listeners


def listener(topology: Topology, door: Door, host_port: int, hops: str) -> Json:
    name = names.gateway_listener(door)
    who = [listeners.identity_state(door_identity(door))]
    found = [{**chain, "filters": [*who, *chain["filters"]]} for chain in chains(topology, door, hops)]
    if not found:
        # a door that no route leads through: Istio has no listener there; one that closes says the same
        found = [{"filters": [streams.tcp_filter(name, {"cluster": names.BLACK_HOLE}, log(hops, name, "TCP"))]}]
    inspected = any("filter_chain_match" in chain for chain in found)
    return listeners.listener(name, listeners.tcp(host_port), found, inspected=inspected)


def log(hops: str, name: str, kind: str = "") -> Json:
    if kind:
        return listeners.connection_log(hops, "gateway", name, kind)
    return listeners.access_log(hops, "gateway", name)


def chains(topology: Topology, door: Door, hops: str) -> list[Json]:
    """Envoy refuses two chains for one server name: the first has it (Istio: IST0145, ConflictingGateways)."""
    found: list[Json] = []
    seen: set[str] = set()
    for chain in _chains(topology, door, hops):
        match = chain.get("filter_chain_match")
        wanted = match.get("server_names", ["*"]) if match else [""]
        fresh = [name for name in wanted if name not in seen]
        seen.update(fresh)
        if fresh and match and "server_names" in match:
            found.append({**chain, "filter_chain_match": {**match, "server_names": fresh}})
        elif fresh:
            found.append(chain)
    return found


def _chains(topology: Topology, door: Door, hops: str) -> Iterator[Json]:
    own = servers(topology, door)
    if any(plain(server) for _, server in own):
        yield {"filters": [http(door, names.gateway_routes(door), hops)]}
    for gateway, server in own:
        if server.tls is None:
            if not plain(server):
                yield from plain_tcp(topology, door, gateway, server, hops)
        elif passes(server.tls.mode):
            yield from passed_through(topology, door, gateway, server, hops)
        elif socket := tls.server(
            server.tls,
            topology.credentials,
            identity=door_identity(door),
            alpn=tls.HTTP_ALPN if secure(server) else (),
        ):
            for chain in terminated(topology, door, gateway, server, hops):
                yield {**chain, "transport_socket": socket}


def http(door: Door, route_config: str, hops: str, **more: Any) -> Json:
    name = names.gateway_listener(door)
    # Istio: a gateway trusts the connection's own address and writes X-Forwarded-For
    guards = security.http_filters(name)
    manager = listeners.manager(name, route_config, log(hops, name), guards, use_remote_address=True, **more)
    return listeners.http_filter_of(manager)


def terminated(topology: Topology, door: Door, gateway: Gateway, server: Server, hops: str) -> Iterator[Json]:
    if secure(server):
        routes_name = names.https_routes(gateway, server)
        yield {**by_name(host_names(server)), "filters": [http(door, routes_name, hops, **CLIENT_CERTIFICATE)]}
        return
    by_server_name = list(tls_routes(topology, gateway, server))
    for server_names, route in by_server_name:
        yield {**by_name(server_names), "filters": proxied(topology, door, server, route, hops, "TLS")}
    if not by_server_name:
        for route in tcp_routes(topology, gateway, server)[:1]:
            yield {**by_name(host_names(server)), "filters": proxied(topology, door, server, route, hops, "TLS")}


def passed_through(topology: Topology, door: Door, gateway: Gateway, server: Server, hops: str) -> Iterator[Json]:
    for server_names, route in tls_routes(topology, gateway, server):
        yield {**by_name(server_names), "filters": proxied(topology, door, server, route, hops, "TLS")}


def plain_tcp(topology: Topology, door: Door, gateway: Gateway, server: Server, hops: str) -> Iterator[Json]:
    for route in tcp_routes(topology, gateway, server)[:1]:
        yield {"filters": proxied(topology, door, server, route, hops, "TCP")}


def proxied(topology: Topology, door: Door, server: Server, route: StreamRoute, hops: str, kind: str) -> list[Json]:
    guards = security.network_filters(topology, security.door_proxy(topology, door), door.port)
    return [*guards, proxy(topology, door, server, route, hops, kind)]


def proxy(topology: Topology, door: Door, server: Server, route: StreamRoute, hops: str, kind: str) -> Json:
    name, destinations = names.gateway_listener(door), streams.arrived(route, server.port)
    return streams.tcp_proxy(name, destinations, log(hops, name, kind), streams.policy_of(topology, destinations))


def by_name(server_names: Sequence[str]) -> Json:
    """The chain for TLS with one of these server names; `*` is any, and none at all."""
    match: Json = {"transport_protocol": "tls"}
    return {"filter_chain_match": match if "*" in server_names else {**match, "server_names": list(server_names)}}


def host_names(server: Server) -> list[str]:
    """`namespace/host` says whose routes may use the host, which is no part of the handshake."""
    return list(dict.fromkeys(host.rpartition("/")[2] for host in server.hosts))


# -- routes of requests


def route_configurations(topology: Topology, door: Door) -> Iterator[Json]:
    own = servers(topology, door)
    if any(plain(server) for _, server in own):
        hosts = [routes.virtual_host(topology, h) for h in gateway_hosts(topology, door)]
        hosts = redirected(topology, door, hosts)
        yield routes.route_configuration(names.gateway_routes(door), hosts, any_port=True)
    for gateway, server in own:
        if secure(server) and server.tls and shown(topology, server):
            found = gateway_hosts(topology, door, [gateway.key], server=f"{gateway.key}/{server.name}")
            hosts = [routes.virtual_host(topology, h) for h in found]
            hosts += misdirected(own, gateway, server, hosts)
            yield routes.route_configuration(names.https_routes(gateway, server), hosts, any_port=True)


def shown(topology: Topology, server: Server) -> bool:
    """It has a certificate to show; without one there is no chain that could ask for its routes."""
    return server.tls is not None and tls.server(server.tls, topology.credentials, identity="") is not None


def redirected(topology: Topology, door: Door, hosts: list[Json]) -> list[Json]:
    """Hosts of servers that send plain HTTP to https; those without routes too (Istio)."""
    demanding = [(g, s) for g, s in servers(topology, door) if s.https_redirect]
    if not demanding:
        return hosts
    named: set[str] = set()
    for gateway, server in demanding:
        found = gateway_hosts(topology, door, [gateway.key], server=f"{gateway.key}/{server.name}")
        named |= {domain for host in found for domain in host.domains}
    result = [{**h, "require_tls": "ALL"} if named & set(h["domains"]) else h for h in hosts]
    known = {domain for host in hosts for domain in host["domains"]}
    bare = dict.fromkeys(name for _, server in demanding for name in host_names(server))
    missing = [name for name in bare if name not in known]
    return [*result, *({"name": f"{n}:{door.port}", "domains": [n], "require_tls": "ALL"} for n in missing)]


def misdirected(own: Iterable[Own], gateway: Gateway, server: Server, hosts: Sequence[Json]) -> list[Json]:
    """Requests for the host of another server of the gateway, on a connection whose handshake named this one's: 421.

    Gateway API, Listener.hostname: a client may reuse a TLS connection for other hosts (RFC 9113, 9.1.1). What no
    server of the gateway is for stays 404, as do this one's own hosts without a route.
    """
    if not gateway.isolated:
        return []
    known, mine = {domain for host in hosts for domain in host["domains"]}, set(host_names(server))
    others = {n for g, s in own if s is not server and g.key == gateway.key and s.tls for n in host_names(s)}
    refused = {"name": "misdirected", "match": {"prefix": "/"}, "direct_response": {"status": 421}}
    return [
        *({"name": f"unrouted:{name}", "domains": [name], "routes": []} for name in sorted(mine - known)),
        *({"name": f"misdirected:{n}", "domains": [n], "routes": [refused]} for n in sorted(others - known - mine)),
    ]
