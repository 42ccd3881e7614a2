"""Services and their policies as clusters, pods as endpoints.

Defaults are Istio's (pilot/pkg/networking/core/cluster_builder.go, cluster_traffic_policy.go), not Envoy's:
LEAST_REQUEST, connect timeout 10 s, circuit breakers at 2^32-1 (Envoy's `max_retries: 3` silently defeats retries).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from meshtest.model.policy import ConnectionPool, LoadBalancing, OutlierDetection, TrafficPolicy
from meshtest.model.service import Service, ServicePort, Workload
from meshtest.model.topology import Topology, key
from meshtest_envoy.xds import names
from meshtest_envoy.xds.names import TYPE_URL

Json = dict[str, Any]

UNLIMITED = 2**32 - 1
ADS: Json = {"ads": {}, "resource_api_version": "V3"}


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A pod as the translator sees it."""

    pod: str
    workload: Workload
    service: str
    ready: bool
    sockets: dict[int, str]
    """Container port to the unix socket of its inbound listener."""
    ports: dict[int, int]
    """Container port to the port its process listens on."""


def seconds(value: float) -> str:
    """A protobuf Duration in JSON."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def drop_none(**fields: Any) -> Json:
    return {k: v for k, v in fields.items() if v is not None}


def outbound_clusters(topology: Topology, service: Service) -> Iterable[Json]:
    """One cluster a port, and one more a port and subset."""
    host = topology.policies.get(service.fqdn)
    for port in service.ports:
        policy = host.policy_for(port.number) if host else TrafficPolicy()
        yield cluster(names.outbound_cluster(service.fqdn, port.number), port, policy)
        for subset in host.subsets if host else ():
            name = names.outbound_cluster(service.fqdn, port.number, subset.name)
            yield cluster(name, port, subset.policy_for(port.number))


def cluster(name: str, port: ServicePort, policy: TrafficPolicy) -> Json:
    pool = policy.connection_pool or ConnectionPool()
    return {
        "@type": TYPE_URL + "envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS},
        "connect_timeout": seconds(10.0 if pool.connect_timeout is None else pool.connect_timeout),
        "circuit_breakers": {"thresholds": [thresholds(pool, policy)]},
        "typed_extension_protocol_options": http_options(pool, port, policy.outlier_detection),
        **load_balancing(policy.load_balancing or LoadBalancing()),
        **outlier_detection(policy.outlier_detection),
        **tcp_keepalive(pool),
        **proxy_header(policy),
    }


def thresholds(pool: ConnectionPool, policy: TrafficPolicy) -> Json:
    limits: Json = {
        "max_connections": pool.max_connections or UNLIMITED,
        "max_pending_requests": pool.http1_max_pending_requests or UNLIMITED,
        "max_requests": pool.http2_max_requests or UNLIMITED,
        "max_retries": UNLIMITED if pool.max_retries is None else pool.max_retries,
    }
    if budget := policy.retry_budget:
        limits["retry_budget"] = {
            "budget_percent": {"value": budget.percent},
            "min_retry_concurrency": budget.min_retry_concurrency,
        }
    return limits


def proxy_header(policy: TrafficPolicy, inner: Json | None = None) -> Json:
    """A PROXY header before anything else, also before TLS (`inner`, the transport socket to wrap)."""
    if not policy.proxy_protocol:
        return {}
    raw = {"@type": TYPE_URL + "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}
    config = {
        "@type": TYPE_URL + "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        "config": {"version": policy.proxy_protocol},
        "transport_socket": inner or {"name": "envoy.transport_sockets.raw_buffer", "typed_config": raw},
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.upstream_proxy_protocol", "typed_config": config}}


def error_matcher(codes: Sequence[int]) -> Json:
    """Statuses that count as errors of the endpoint, in place of 5xx (Istio's applyOutlierDetectionErrorCodes)."""
    rules = [
        {"http_response_headers_match": {"headers": [{"name": ":status", "string_match": {"exact": str(code)}}]}}
        for code in codes
    ]
    return rules[0] if len(rules) == 1 else {"or_match": {"rules": rules}}


def http2_options(pool: ConnectionPool) -> Json:
    result: Json = drop_none(max_concurrent_streams=pool.max_concurrent_streams)
    if (pings := pool.http2_keepalive) is not None:
        interval = None if pings.interval is None else seconds(pings.interval)
        # Envoy refuses pings without a timeout.
        result["connection_keepalive"] = drop_none(interval=interval, timeout=seconds(pings.timeout or 5.0))
    return result


def http_options(pool: ConnectionPool, port: ServicePort, outlier: OutlierDetection | None = None) -> Json:
    """Upstream protocol: the port's (Istio's protocol selection), or the caller's own if asked for."""
    http2 = http2_options(pool)
    if pool.use_client_protocol:
        both = {"http_protocol_options": {}, "http2_protocol_options": http2}
        protocol: Json = {"use_downstream_protocol_config": both}
    elif pool.h2_upgrade or port.protocol in {"http2", "grpc"}:
        protocol = {"explicit_http_config": {"http2_protocol_options": http2}}
    else:
        protocol = {"explicit_http_config": {"http_protocol_options": {}}}
    common = drop_none(
        idle_timeout=None if pool.idle_timeout is None else seconds(pool.idle_timeout),
        max_requests_per_connection=pool.max_requests_per_connection or None,
        max_connection_duration=None if pool.max_connection_duration is None else seconds(pool.max_connection_duration),
    )
    codes = outlier.error_codes if outlier else ()
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": TYPE_URL + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            **protocol,
            **({"common_http_protocol_options": common} if common else {}),
            **({"outlier_detection": {"error_matcher": error_matcher(codes)}} if codes else {}),
        }
    }


def load_balancing(lb: LoadBalancing) -> Json:
    # update_merge_window 0: with Envoy's 1 s an ejection within a second of an endpoint change stays unseen
    common: Json = {"update_merge_window": "0s"}
    result: Json = {"lb_policy": lb.algorithm, "common_lb_config": common}
    if lb.algorithm == "RING_HASH":
        result["ring_hash_lb_config"] = {"minimum_ring_size": lb.ring_size or 1024}
    elif lb.algorithm == "MAGLEV" and lb.ring_size:
        result["maglev_lb_config"] = {"table_size": lb.ring_size}
    elif lb.algorithm == "PASSTHROUGH":
        result["lb_policy"] = "CLUSTER_PROVIDED"
    if lb.warmup and lb.algorithm in {"LEAST_REQUEST", "ROUND_ROBIN"}:
        slow_start = {
            "slow_start_window": seconds(lb.warmup),
            "aggression": {"default_value": lb.warmup_aggression, "runtime_key": "meshtest.warmup"},
            "min_weight_percent": {"value": lb.warmup_minimum_percent},
        }
        result[f"{lb.algorithm.lower()}_lb_config"] = {"slow_start_config": slow_start}
    return result


def outlier_detection(outlier: OutlierDetection | None) -> Json:
    """Istio: success-rate ejection off; each consecutive-error rule is enforced only if its count is above zero."""
    if outlier is None:
        return {}
    rules: Json = {"enforcing_success_rate": 0}
    counts = {
        "5xx": outlier.consecutive_5xx,
        "gateway_failure": outlier.consecutive_gateway_errors,
        "local_origin_failure": outlier.consecutive_local_origin,
    }
    for rule, count in counts.items():
        if count is not None:
            rules |= {f"consecutive_{rule}": count, f"enforcing_consecutive_{rule}": 100 if count > 0 else 0}
    rules |= drop_none(
        interval=None if outlier.interval is None else seconds(outlier.interval),
        base_ejection_time=None if outlier.base_ejection_time is None else seconds(outlier.base_ejection_time),
        max_ejection_time=None if outlier.max_ejection_time is None else seconds(outlier.max_ejection_time),
        max_ejection_percent=outlier.max_ejection_percent,
        split_external_local_origin_errors=outlier.split_external_local or None,
    )
    # Istio: a rule block without minHealthPercent turns Envoy's panic mode off
    panic = {"value": float(outlier.min_health_percent or 0)}
    return {
        "outlier_detection": rules,
        "common_lb_config": {"update_merge_window": "0s", "healthy_panic_threshold": panic},
    }


def tcp_keepalive(pool: ConnectionPool) -> Json:
    if (keep := pool.tcp_keepalive) is None:
        return {}
    fields = drop_none(
        keepalive_probes=keep.probes,
        keepalive_time=None if keep.time is None else int(keep.time),
        keepalive_interval=None if keep.interval is None else int(keep.interval),
    )
    return {"upstream_connection_options": {"tcp_keepalive": fields}}


def inbound_cluster(replica: Replica, container_port: int, protocol: str = "http") -> Json:
    """The process behind a replica's inbound listener; it is spoken to as its service port says."""
    port = ServicePort(number=container_port, target=container_port, protocol=protocol)
    name = names.inbound_cluster(replica.pod, container_port)
    address = {"socket_address": {"address": "127.0.0.1", "port_value": replica.ports[container_port]}}
    return {
        "@type": TYPE_URL + "envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [thresholds(ConnectionPool(), TrafficPolicy())]},
        "typed_extension_protocol_options": http_options(ConnectionPool(), port),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def pod_cluster(replica: Replica, container_port: int) -> Json:
    """A replica called by its own address: through its inbound listener, past all routes and policies of services."""
    name = names.pod_cluster(replica.ports[container_port])
    return {
        "@type": TYPE_URL + "envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [thresholds(ConnectionPool(), TrafficPolicy())]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": replica.sockets[container_port]}}}}]}
            ],
        },
    }


def endpoints(topology: Topology, service: Service, replicas: Sequence[Replica]) -> Iterable[Json]:
    """Load assignments of all clusters of a service: replicas that are ready and, for a subset, carry its labels."""
    host = topology.policies.get(service.fqdn)
    members = {key(w): w for w in topology.backends(service)}
    ready = [r for r in replicas if r.ready and key(r.workload) in members]
    for port in service.ports:
        yield assignment(names.outbound_cluster(service.fqdn, port.number), service, port, ready)
        for subset in host.subsets if host else ():
            name = names.outbound_cluster(service.fqdn, port.number, subset.name)
            chosen = {key(w) for w in topology.subset_backends(service, subset)}
            yield assignment(name, service, port, [r for r in ready if key(r.workload) in chosen])


def assignment(name: str, service: Service, port: ServicePort, replicas: Sequence[Replica]) -> Json:
    hosts = [e for r in replicas if (e := endpoint(service, port, r)) is not None]
    return {
        "@type": TYPE_URL + "envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": hosts}] if hosts else [],
    }


def endpoint(service: Service, port: ServicePort, replica: Replica) -> Json | None:
    number = names.target_number(replica.workload, port.target)
    if number is None or number not in replica.sockets:
        return None
    who = names.server(service.name, replica.workload.version, replica.pod)
    return {
        "endpoint": {"address": {"pipe": {"path": replica.sockets[number]}}, "hostname": replica.pod},
        "metadata": {"filter_metadata": {"meshtest": {"server": who}}},
    }
