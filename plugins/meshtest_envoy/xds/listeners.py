"""Listeners: a caller's outbound proxy, a replica's inbound proxy, a gateway's port.

    caller ──► outbound_CALLER 127.0.0.1:PORT ──► inbound_POD unix socket ──► process 127.0.0.1:PORT
    user   ──► gateway_PORT    127.0.0.1:PORT ──┘

All filters a route may ever need are installed from the start, because changing a listener does not reach connections
that are already open; what they do is set per route by RDS. Filter order is Istio's: security (security.py), fault,
cors, router last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshtest.model.history import HOP_FIELDS
from meshtest.model.request import REQUEST_ID
from meshtest.model.route import Door, Fault
from meshtest_envoy.xds import names, routes, security
from meshtest_envoy.xds.clusters import ADS, Json, Replica
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.routes import CORS, FAULT, fault_config


def outbound(caller: str, namespace: str, port: int, hops: str) -> Json:
    """The proxy that a workload's requests leave through; used as `http_proxy`, so one listener serves every host."""
    name = names.outbound_listener(caller)
    log = access_log(hops, "outbound", caller)
    http = manager(name, names.outbound_routes(namespace), log)
    return listener(name, tcp(port), http, caller_state(caller))


def caller_state(caller: str) -> Json:
    """Tells routes who calls (routes.CALLER), without a header that the service would see."""
    value = {
        "object_key": routes.CALLER,
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": caller}},
    }
    config = {
        "@type": TYPE_URL + "envoy.extensions.filters.network.set_filter_state.v3.Config",
        "on_new_connection": [value],
    }
    return {"name": "envoy.filters.network.set_filter_state", "typed_config": config}


def gateway(door: Door, host_port: int, hops: str) -> Json:
    name = names.gateway_listener(door)
    log = access_log(hops, "gateway", name)
    # Istio: a gateway trusts the connection's own address and writes X-Forwarded-For
    edge = {"use_remote_address": True}
    http = manager(name, names.gateway_routes(door), log, security.http_filters(name), **edge)
    return listener(name, tcp(host_port), http)


def inbound(replica: Replica, port: int, hops: str) -> Json:
    name = names.inbound_listener(replica.pod, port)
    who = names.server(replica.service, replica.workload.version, replica.pod)
    log = access_log(hops, "inbound", replica.pod, server=who)
    guards = security.http_filters(names.guard(replica.workload, port))
    return listener(name, {"pipe": {"path": replica.sockets[port]}}, manager(name, name, log, guards))


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


def listener(name: str, address: Json, http: Json, *before: Json) -> Json:
    return {
        "@type": TYPE_URL + "envoy.config.listener.v3.Listener",
        "name": name,
        "address": address,
        # with SO_REUSEPORT two Envoys of parallel sessions would share a port without an error
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [*before, {"name": "envoy.filters.network.http_connection_manager", "typed_config": http}]}
        ],
    }


def manager(stat_prefix: str, route_config: str, log: Json, guards: Sequence[Json] = (), **more: Any) -> Json:
    """`guards`: the security filters, which come first."""
    return {
        "@type": TYPE_URL + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        "rds": {"route_config_name": route_config, "config_source": ADS},
        "http_filters": [*guards, http_filter(FAULT, "fault", "HTTPFault"), http_filter(CORS, "cors", "Cors"), ROUTER],
        "access_log": [log],
        "normalize_path": True,
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
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
"""Envoy's command operator for each field of a hop; direction and proxy are constants of the listener."""


NOT_THE_MARKER = {
    "header_filter": {
        "header": {"name": ":authority", "string_match": {"exact": names.MARKER_HOST}, "invert_match": True}
    }
}


def access_log(path: str, direction: str, proxy: str, **constants: str) -> Json:
    """One tab-separated line a request, as model.history.parse_hop reads it."""
    known = OPERATORS | {"direction": direction, "proxy": proxy} | constants
    line = "\t".join(known[f] for f in HOP_FIELDS) + "\n"
    return {
        "name": "envoy.access_loggers.file",
        "filter": NOT_THE_MARKER,
        "typed_config": {
            "@type": TYPE_URL + "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"text_format_source": {"inline_string": line}},
        },
    }
