"""Listeners: a caller's outbound proxy, a replica's inbound proxy. A gateway's are in gateways.py.

    caller ──► outbound_CALLER 127.0.0.1:PORT ──► inbound_POD unix socket ──► process 127.0.0.1:PORT
               mutual TLS, if it is in force, between the two listeners

All filters a route may ever need are installed from the start, because changing a listener does not reach connections
that are already open; what they do is set per route by RDS. Filter order is Istio's: security (security.py), fault,
cors, router last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from meshtest.manifests.hosts import HTTP_PROTOCOLS
from meshtest.model.history import HOP_FIELDS
from meshtest.model.identity import PeerMode, identity
from meshtest.model.request import REQUEST_ID
from meshtest.model.route import Fault
from meshtest_envoy.xds import names, routes, security, streams, tls
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.resources import ADS, Json
from meshtest_envoy.xds.routes import CORS, FAULT, fault_config
from meshtest_envoy.xds.tls import IDENTITY


def outbound(caller: str, namespace: str, port: int, hops: str, identity: str = "") -> Json:
    """The proxy that a workload's requests leave through; used as `http_proxy`, so one listener serves every host.

    A connection that is no HTTP enters with CONNECT (streams.py).
    """
    name = names.outbound_listener(caller)
    log = access_log(hops, "outbound", caller)
    upgrades = [WEBSOCKET, {"upgrade_type": "CONNECT"}]
    http = manager(name, names.outbound_routes(namespace), log, upgrade_configs=upgrades)
    who = [identity_state(identity)] if identity else []
    return listener(name, tcp(port), [{"filters": [caller_state(caller), *who, http_filter_of(http)]}])


def caller_state(caller: str) -> Json:
    """Tells routes who calls (routes.CALLER), without a header that the service would see."""
    return filter_state(routes.CALLER, "envoy.string", caller)


def identity_state(identity: str) -> Json:
    """Tells clusters whose certificate to show (tls.by_caller).

    `envoy.hashable_string`, not `envoy.string`: only what can be hashed tells connection pools apart, and with the
    other the first caller's connections, and so its identity, would serve everybody (seen with Envoy 1.40).
    """
    return filter_state(IDENTITY, "envoy.hashable_string", identity, shared_with_upstream="ONCE")


def filter_state(key: str, factory: str, text: str, **more: Any) -> Json:
    value = {
        "object_key": key,
        "factory_key": factory,
        "format_string": {"text_format_source": {"inline_string": text}},
        **more,
    }
    config = {
        "@type": TYPE_URL + "envoy.extensions.filters.network.set_filter_state.v3.Config",
        "on_new_connection": [value],
    }
    return {"name": "envoy.filters.network.set_filter_state", "typed_config": config}


def inbound(
    replica: Replica,
    port: int,
    hops: str,
    *,
    protocol: str = "http",
    raw_tls: bool = False,
    mode: PeerMode = "DISABLE",
    guards: Sequence[Json] = (),
) -> Json:
    """The proxy in front of a container port. `raw_tls`: TLS of the application's own passes through as it is.
    `guards`: who may connect where bytes pass; requests are looked at by filters of their own (security.py).

    Plain text is one chain, the mesh's TLS another (Istio: inbound_listener_builder.go). Each is the same in all modes
    that have it: Envoy keeps the connections of a chain that does not change.
    """
    name = names.inbound_listener(replica.pod, port)
    chains: list[Json] = []
    if mode in ("PERMISSIVE", "STRICT"):
        mutual = {
            "transport_socket": tls.mesh_server(identity(replica.workload)),
            "filters": inbound_filters(replica, port, hops, protocol, guards, **CALLER_CERTIFICATE),
        }
        # beside TLS of the application, that of the mesh is known by its ALPN
        by_alpn = {"transport_protocol": "tls", "application_protocols": [tls.MESH_ALPN]}
        chains.append({"filter_chain_match": by_alpn, **mutual})
        if mode == "STRICT":
            chains.append({"filter_chain_match": {"transport_protocol": "tls"}, **mutual})
    if raw_tls and mode != "STRICT":
        filters = [*guards, inbound_tcp(replica, port, hops)]
        chains.append({"filter_chain_match": {"transport_protocol": "tls"}, "filters": filters})
    if mode != "STRICT":
        chains.append({"filters": inbound_filters(replica, port, hops, protocol, guards)})
    inspected = any("filter_chain_match" in chain for chain in chains)
    # so that connections of TCP ports can be counted (provider.BUSY); those of HTTP stay open between requests
    counted = {} if protocol in HTTP_PROTOCOLS else {"stat_prefix": f"tcp_{name}"}
    return listener(name, {"pipe": {"path": replica.sockets[port]}}, chains, inspected=inspected) | counted


def inbound_filters(
    replica: Replica, port: int, hops: str, protocol: str, guards: Sequence[Json], **more: Any
) -> list[Json]:
    if protocol not in HTTP_PROTOCOLS:
        return [*guards, inbound_tcp(replica, port, hops)]
    name = names.inbound_listener(replica.pod, port)
    log = access_log(hops, "inbound", replica.pod, server=server_of(replica))
    secured = security.http_filters(names.guard(replica.workload, port))
    return [http_filter_of(manager(name, name, log, secured, **more))]


def inbound_tcp(replica: Replica, port: int, hops: str) -> Json:
    target = {"cluster": names.inbound_cluster(replica.pod, port)}
    log = connection_log(hops, "inbound", replica.pod, "TCP", server=server_of(replica))
    return streams.tcp_filter(names.inbound_listener(replica.pod, port), target, log)


def server_of(replica: Replica) -> str:
    return names.server(replica.service, replica.workload.version, replica.pod)


def inbound_routes(replica: Replica, port: int, fault: Fault | None) -> Json:
    """Everything goes to the process. Istio retries twice what was reset before the request was sent."""
    action = {
        "cluster": names.inbound_cluster(replica.pod, port),
        "timeout": "0s",
        "retry_policy": {"retry_on": "reset-before-request", "num_retries": 2},
    }
    entry: Json = {"name": "default", "match": {"prefix": "/"}, "route": action}
    if fault:
        entry["typed_per_filter_config"] = {FAULT: fault_config(fault)}
    return {
        "@type": TYPE_URL + "envoy.config.route.v3.RouteConfiguration",
        "name": names.inbound_listener(replica.pod, port),
        "virtual_hosts": [{"name": f"inbound|http|{port}", "domains": ["*"], "routes": [entry]}],
        "validate_clusters": False,
    }


def tcp(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def listener(name: str, address: Json, chains: Sequence[Json], *, inspected: bool = False) -> Json:
    """`inspected`: the first bytes are looked at, because chains differ by TLS."""
    return {
        "@type": TYPE_URL + "envoy.config.listener.v3.Listener",
        "name": name,
        "address": address,
        # with SO_REUSEPORT two Envoys of parallel sessions would share a port without an error
        "enable_reuse_port": False,
        **(INSPECTION if inspected else {}),
        "filter_chains": list(chains),
    }


def routes_of(listener: Json) -> Iterator[str]:
    """Names of the route configurations that a listener asks for."""
    for chain in listener.get("filter_chains", ()):
        for item in chain.get("filters", ()):
            if rds := item.get("typed_config", {}).get("rds"):
                yield rds["route_config_name"]


INSPECTION: Json = {
    "listener_filters": [
        {
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {"@type": TYPE_URL + "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
        }
    ],
    # a protocol in which the server speaks first: after a second of silence it is taken for plain text, as Istio does
    "listener_filters_timeout": "1s",
    "continue_on_listener_filters_timeout": True,
}

CALLER_CERTIFICATE: Json = {
    "forward_client_cert_details": "APPEND_FORWARD",
    "set_current_client_cert_details": {"subject": True, "uri": True, "dns": True},
}
"""The service learns who calls from X-Forwarded-Client-Cert (Istio)."""

WEBSOCKET: Json = {"upgrade_type": "websocket"}


def http_filter_of(manager: Json) -> Json:
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def manager(
    stat_prefix: str, route_config: str, log: Json | Sequence[Json], guards: Sequence[Json] = (), **more: Any
) -> Json:
    """`guards`: the security filters, which come first."""
    return {
        "@type": TYPE_URL + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        "rds": {"route_config_name": route_config, "config_source": ADS},
        "http_filters": [*guards, http_filter(FAULT, "fault", "HTTPFault"), http_filter(CORS, "cors", "Cors"), ROUTER],
        "access_log": [log] if isinstance(log, dict) else list(log),
        "normalize_path": True,
        "stream_idle_timeout": "0s",
        "upgrade_configs": [WEBSOCKET],
        "http_protocol_options": {"accept_http_10": True},
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        **more,
    }


def http_filter(name: str, package: str, message: str) -> Json:
    url = f"{TYPE_URL}envoy.extensions.filters.http.{package}.v3.{message}"
    return {"name": name, "typed_config": {"@type": url}}


ROUTER = http_filter("envoy.filters.http.router", "router", "Router")

OPERATORS = {
    "at": "%START_TIME(%s.%6f)%",
    "request_id": f"%REQ({REQUEST_ID})%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "server": "%UPSTREAM_METADATA(meshtest:server)%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "milliseconds": "%DURATION%",
    "bytes_sent": "%BYTES_SENT%",
}
"""Envoy's command operator for each field of a hop; direction, proxy and principal depend on the listener."""

PRINCIPALS = {
    "inbound": "%DOWNSTREAM_PEER_URI_SAN%",
    "outbound": "%UPSTREAM_LOCAL_URI_SAN%",
    "gateway": "%UPSTREAM_LOCAL_URI_SAN%",
}
"""Whose certificate the connection between two proxies was opened with, by direction."""

NO_REQUEST = {
    "request_id": "-",
    "authority": "%REQUESTED_SERVER_NAME%",
    "path": "-",
    "status": "-",
    "attempts": "-",
}
"""What a connection has in place of a request's fields."""


def access_log(path: str, direction: str, proxy: str, **constants: str) -> Json:
    """One tab-separated line a request, as model.history.parse_hop reads it."""
    return connection_log(path, direction, proxy, "", **constants)


def connection_log(path: str, direction: str, proxy: str, kind: str, **constants: str) -> Json:
    """One line a connection, when it ends: its `method` is `TCP` or `TLS`, its `authority` the server name."""
    known = OPERATORS | {"direction": direction, "proxy": proxy, "principal": PRINCIPALS[direction]} | constants
    if kind:
        known |= NO_REQUEST | {"method": kind}
    line = "\t".join(known[f] for f in HOP_FIELDS) + "\n"
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": TYPE_URL + "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"text_format_source": {"inline_string": line}},
        },
    }
