"""Services and their policies as clusters, pods as endpoints.

Defaults are Istio's (pilot/pkg/networking/core/cluster_builder.go, cluster_traffic_policy.go), not Envoy's:
LEAST_REQUEST, connect timeout 10 s, circuit breakers at 2^32-1 (Envoy's `max_retries: 3` silently defeats retries).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meshtest.model.identity import identity
from meshtest.model.policy import ConnectionPool, HostPolicy, LoadBalancing, OutlierDetection, Subset, TrafficPolicy
from meshtest.model.service import Service, ServicePort
from meshtest.model.topology import Topology
from meshtest_envoy.xds import endpoints, localities, names, tls
from meshtest_envoy.xds.localities import View
from meshtest_envoy.xds.mutual import Mutual
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.replicas import Replica as Replica
from meshtest_envoy.xds.resources import ADS as ADS
from meshtest_envoy.xds.resources import Json as Json
from meshtest_envoy.xds.resources import drop_none as drop_none
from meshtest_envoy.xds.resources import seconds as seconds

UNLIMITED = 2**32 - 1
HTTP2 = frozenset({"http2", "grpc"})
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def outbound_clusters(topology: Topology, service: Service, mutual: Mutual) -> Iterable[Json]:
    """One cluster a port, and one more a port and subset; and copies of it for callers in some place."""
    host = topology.policies.get(service.fqdn)
    for port in service.ports:
        for subset in (None, *(host.subsets if host else ())):
            policy = (subset or host or HostPolicy(host="")).policy_for(port.number)
            made = outbound_cluster(topology, service, port, subset, policy, mutual)
            yield made
            for view in localities.copies(topology).get(made["name"], ()):
                yield local_copy(made, view, service, port, subset, policy)


def outbound_cluster(
    topology: Topology,
    service: Service,
    port: ServicePort,
    subset: Subset | None,
    policy: TrafficPolicy,
    mutual: Mutual,
) -> Json:
    name = names.outbound_cluster(service.fqdn, port.number, subset.name if subset else "")
    result = cluster(name, port, policy)
    if not endpoints.discovered(service):
        del result["eds_cluster_config"]
        result |= by_name(service, name, localities.assignment(endpoints.fixed(service, port, subset)))
    result |= transport(topology, service, port, subset, policy, mutual)
    result |= proxy_header(policy.proxy_protocol, result)
    if policy.tls and policy.tls.mode in ("SIMPLE", "MUTUAL") and not policy.tls.sni:
        result["typed_extension_protocol_options"][HTTP_OPTIONS]["upstream_http_protocol_options"] = {
            "auto_sni": True,
            "auto_san_validation": not policy.tls.insecure and not policy.tls.subject_alt_names,
        }
    return result


def local_copy(
    made: Json, view: View, service: Service, port: ServicePort, subset: Subset | None, policy: TrafficPolicy
) -> Json:
    """The cluster with the endpoints in the order of callers in one place."""
    result = {**made, "name": localities.copy_name(made["name"], view)}
    if not endpoints.discovered(service):
        result |= by_name(
            service, result["name"], localities.arranged(endpoints.fixed(service, port, subset), view, policy)
        )
    setting = (policy.load_balancing or LoadBalancing()).locality
    if setting and setting.distribute:
        result["common_lb_config"] = {**made["common_lb_config"], "locality_weighted_lb_config": {}}
    return result


def by_name(service: Service, name: str, found: list[Json]) -> Json:
    """Istio's DNS settings (mesh dnsRefreshRate 60 s). A name that does not resolve yet holds up nothing else."""
    return {
        "type": endpoints.kind(service),
        "dns_lookup_family": "V4_PREFERRED",
        "dns_refresh_rate": "60s",
        "respect_dns_ttl": True,
        "wait_for_warm_on_init": False,
        "load_assignment": {"cluster_name": name, "endpoints": found},
    }


def transport(
    topology: Topology,
    service: Service,
    port: ServicePort,
    subset: Subset | None,
    policy: TrafficPolicy,
    mutual: Mutual,
) -> Json:
    """TLS to the endpoints: as the policy says, else the mesh's own where they speak it (Istio's auto mTLS)."""
    chosen = policy.tls
    if chosen and chosen.mode in ("SIMPLE", "MUTUAL"):
        http2 = port.protocol in HTTP2
        return {"transport_socket": tls.client(chosen, topology.credentials, http2=http2)}
    always = chosen is not None and chosen.mode == "ISTIO_MUTUAL"
    if not mutual.reason or (chosen and not always) or (service.external and not always):
        return {}
    # Istio's sni of its own TLS: outbound_.80_.v1_.reviews.default.svc.cluster.local
    sni = f"outbound_.{port.number}_.{subset.name if subset else ''}_.{service.fqdn}"
    return tls.by_caller(mutual.identities, mutual.servers(service), sni, always=always)


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


def proxy_header(version: str, sockets: Json) -> Json:
    """A PROXY header before anything else, also before TLS (Istio's applyUpstreamProxyProtocol); `sockets` are the
    fields of the cluster that say how endpoints are spoken to."""
    if not version:
        return {}
    if matches := sockets.get("transport_socket_matches"):
        headed = [{**match, "transport_socket": after_header(version, match["transport_socket"])} for match in matches]
        return {"transport_socket_matches": headed}
    return {"transport_socket": after_header(version, sockets.get("transport_socket", tls.RAW))}


def after_header(version: str, socket: Json) -> Json:
    config = {
        "@type": TYPE_URL + "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        "config": {"version": version},
        "transport_socket": socket,
    }
    return {"name": "envoy.transport_sockets.upstream_proxy_protocol", "typed_config": config}


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
    elif pool.h2_upgrade or port.protocol in HTTP2:
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
        HTTP_OPTIONS: {
            "@type": TYPE_URL + HTTP_OPTIONS,
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
        # on a cluster the address is the Service's own, and kube-proxy chooses among the pods by chance
        result["lb_policy"] = "RANDOM"
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
    """The process behind a replica's inbound listener, spoken to as its port says (h2c for http2 and grpc)."""
    name = names.inbound_cluster(replica.pod, container_port)
    address = {"socket_address": {"address": "127.0.0.1", "port_value": replica.ports[container_port]}}
    port = ServicePort(number=container_port, target=container_port, protocol=protocol)
    http2 = {"typed_extension_protocol_options": http_options(ConnectionPool(), port)} if protocol in HTTP2 else {}
    return {
        "@type": TYPE_URL + "envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [thresholds(ConnectionPool(), TrafficPolicy())]},
        **http2,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def pod_cluster(replica: Replica, container_port: int, mutual: Mutual) -> Json:
    """A replica called by its own address: through its inbound listener, past all routes and policies of services."""
    own = [identity(replica.workload)]
    speaks = mutual.reason and mutual.speaks(replica.workload, container_port)
    name = names.pod_cluster(replica.ports[container_port])
    endpoint: Json = {"endpoint": {"address": {"pipe": {"path": replica.sockets[container_port]}}}}
    if replica.peer:
        endpoint["metadata"] = {"filter_metadata": {"meshtest": {"peer": replica.peer}}}
    return {
        "@type": TYPE_URL + "envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [thresholds(ConnectionPool(), TrafficPolicy())]},
        **(tls.by_caller(mutual.identities, own, "", always=True) if speaks else {}),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def black_hole() -> Json:
    """Where connections go that a route leads nowhere (Istio's name): they are closed."""
    return {
        "@type": TYPE_URL + "envoy.config.cluster.v3.Cluster",
        "name": names.BLACK_HOLE,
        "type": "STATIC",
        "connect_timeout": "1s",
    }
