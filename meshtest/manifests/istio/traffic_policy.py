"""TrafficPolicy: load balancing, connection pool, outlier detection, retry budget; and how one lies over another.

Not here: TLS settings (upstream_tls.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Literal, cast

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio.upstream_tls import upstream_tls
from meshtest.manifests.view import View
from meshtest.model.policy import (
    DEFAULT_POLICY,
    ConnectionPool,
    HashOn,
    Http2Keepalive,
    Keepalive,
    LoadBalancing,
    LocalityBalancing,
    OutlierDetection,
    RetryBudget,
    TrafficPolicy,
)

Algorithm = Literal["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM", "PASSTHROUGH", "RING_HASH", "MAGLEV"]

SIMPLE: dict[str, Algorithm] = {
    "UNSPECIFIED": "LEAST_REQUEST",
    "LEAST_REQUEST": "LEAST_REQUEST",
    "LEAST_CONN": "LEAST_REQUEST",
    "ROUND_ROBIN": "ROUND_ROBIN",
    "RANDOM": "RANDOM",
    "PASSTHROUGH": "PASSTHROUGH",
}
Version = Literal["", "V1", "V2"]
VERSIONS = ("V1", "V2")
H2_UPGRADES = {"UPGRADE": True, "DO_NOT_UPGRADE": False}


@dataclass(frozen=True)
class Policies:
    """A policy and its port-level settings, as one `trafficPolicy` says."""

    policy: TrafficPolicy = DEFAULT_POLICY
    ports: Mapping[int, TrafficPolicy] = field(default_factory=dict)


NOTHING = Policies()


def overlay(host: Policies, subset: Policies) -> Policies:
    """A subset's blocks over the host's; for a port with settings of its own, those of the subset count alone."""
    ports = {port: _over(below, subset.policy) for port, below in host.ports.items()}
    return Policies(_over(host.policy, subset.policy), {**ports, **subset.ports})


def _over(below: TrafficPolicy, above: TrafficPolicy) -> TrafficPolicy:
    if above is DEFAULT_POLICY:
        return below
    return TrafficPolicy(
        load_balancing=above.load_balancing or below.load_balancing,
        connection_pool=above.connection_pool or below.connection_pool,
        outlier_detection=above.outlier_detection or below.outlier_detection,
        retry_budget=above.retry_budget or below.retry_budget,
        tls=above.tls or below.tls,
        proxy_protocol=above.proxy_protocol or below.proxy_protocol,
    )


def traffic_policy(view: View) -> Policies:
    budget, header = view.child("retryBudget"), view.child("proxyProtocol")
    policy = replace(
        _blocks(view),
        retry_budget=_retry_budget(budget) if budget else None,
        proxy_protocol=cast(Version, header.choice("version", VERSIONS, "V1")) if header else "",
    )
    ports: dict[int, TrafficPolicy] = {}
    for below in view.children("portLevelSettings"):
        port, blocks = below.child("port"), _blocks(below)
        number = port.port("number") if port else None
        if number is None:
            below.error("missing-field", f"{below.name('port', 'number')} is required")
            continue
        # Nothing is inherited but what has no port-level form.
        whole = replace(blocks, retry_budget=policy.retry_budget, proxy_protocol=policy.proxy_protocol)
        ports.setdefault(number, whole)
    return Policies(policy, ports)


def _blocks(view: View) -> TrafficPolicy:
    balancer, pool, outlier = (view.child(key) for key in ("loadBalancer", "connectionPool", "outlierDetection"))
    tls = view.child("tls")
    return TrafficPolicy(
        load_balancing=_load_balancing(balancer) if balancer else None,
        connection_pool=_connection_pool(pool) if pool else None,
        outlier_detection=_outlier_detection(outlier) if outlier else None,
        tls=upstream_tls(tls) if tls else None,
    )


def _load_balancing(view: View) -> LoadBalancing:
    locality = view.child("localityLbSetting")
    return replace(_algorithm(view), locality=_locality(locality) if locality else None)


def _locality(view: View) -> LocalityBalancing:
    ways = [key for key in ("distribute", "failover", "failoverPriority") if view.data.get(key)]
    if "distribute" in ways and len(ways) > 1:
        view.error("bad-value", f"{view.name()} takes one of distribute, {ways[1]}; it has both")
    enabled = view.boolean("enabled")
    return LocalityBalancing(
        enabled=True if enabled is None else enabled,
        distribute=tuple((below.string("from"), _shares(below)) for below in view.children("distribute")),
        failover=tuple((below.string("from"), below.string("to")) for below in view.children("failover")),
        failover_priority=view.strings("failoverPriority"),
    )


def _shares(view: View) -> tuple[tuple[str, int], ...]:
    """`{us/zone1: 80, us/zone2: 20}`"""
    written = view.free("to")
    found = {to: share for to, share in written.items() if isinstance(share, int) and not isinstance(share, bool)}
    if len(found) < len(written) or any(share < 0 for share in found.values()):
        view.error("bad-value", f"{view.name('to')} must be shares in percent by locality", "to")
    elif sum(found.values()) != 100:
        text = f"{view.name('to')}: the shares must sum to 100, not {sum(found.values())}"
        view.error("bad-weights", text, "to")
    return tuple(found.items())


def _algorithm(view: View) -> LoadBalancing:
    hashing = view.child("consistentHash")
    if hashing is not None and "simple" in view:
        view.error("bad-value", f"{view.name()} takes one of simple, consistentHash; it has both")
    if hashing is not None:
        return _consistent_hash(hashing)
    algorithm = SIMPLE[view.choice("simple", tuple(SIMPLE), "UNSPECIFIED")]
    warmup = view.child("warmup")
    if warmup is None:
        return LoadBalancing(algorithm=algorithm, warmup=view.duration("warmupDurationSecs"))
    warmup.require("duration")
    aggression = warmup.number("aggression", least=0)
    minimum = warmup.number("minimumPercent", least=0, most=100)
    return LoadBalancing(
        algorithm=algorithm,
        warmup=warmup.duration("duration"),
        warmup_aggression=1.0 if aggression is None else aggression,
        warmup_minimum_percent=10.0 if minimum is None else minimum,
    )


def _consistent_hash(view: View) -> LoadBalancing:
    ring, maglev = view.child("ringHash"), view.child("maglev")
    size = ring.integer("minimumRingSize", least=0) if ring else view.integer("minimumRingSize", least=0)
    if maglev is not None:
        size = maglev.integer("tableSize", least=0)
    return LoadBalancing(
        algorithm="RING_HASH" if maglev is None else "MAGLEV",
        hash_on=_hash_on(view),
        ring_size=size or None,
    )


def _hash_on(view: View) -> HashOn | None:
    kinds = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
    given = [key for key in kinds if key in view]
    if len(given) != 1:
        has = f"it has {', '.join(given)}" if given else "it has none"
        view.error("bad-value", f"{view.name()} takes one of {', '.join(kinds)}; {has}")
        return None
    cookie = view.child("httpCookie")
    if cookie is None:
        return HashOn(
            header=view.string("httpHeaderName"),
            source_ip=bool(view.boolean("useSourceIp")),
            query=view.string("httpQueryParameterName"),
        )
    cookie.require("name")
    return HashOn(
        cookie=cookie.string("name"),
        cookie_ttl=cookie.duration("ttl"),
        cookie_path=cookie.string("path"),
        cookie_attributes=tuple((a.string("name"), a.string("value")) for a in cookie.children("attributes")),
    )


def _connection_pool(view: View) -> ConnectionPool:
    """A limit of 0 is no limit (Istio)."""
    tcp, http = view.child("tcp"), view.child("http")
    pool = ConnectionPool()
    if tcp is not None:
        keepalive = tcp.child("tcpKeepalive")
        pool = replace(
            pool,
            max_connections=tcp.integer("maxConnections", least=0) or None,
            connect_timeout=tcp.duration("connectTimeout"),
            tcp_keepalive=_keepalive(keepalive) if keepalive else None,
            tcp_idle_timeout=tcp.duration("idleTimeout"),
            max_connection_duration=tcp.duration("maxConnectionDuration"),
        )
    return pool if http is None else _http_pool(pool, http)


def _keepalive(view: View) -> Keepalive:
    return Keepalive(
        probes=view.integer("probes", least=0) or None, time=view.duration("time"), interval=view.duration("interval")
    )


def _http_pool(pool: ConnectionPool, http: View) -> ConnectionPool:
    pings = http.child("http2KeepAlive")
    upgrade = http.choice("h2UpgradePolicy", ("DEFAULT", *H2_UPGRADES), "DEFAULT")
    return replace(
        pool,
        http1_max_pending_requests=http.integer("http1MaxPendingRequests", least=0) or None,
        http2_max_requests=http.integer("http2MaxRequests", least=0) or None,
        max_requests_per_connection=http.integer("maxRequestsPerConnection", least=0) or None,
        max_retries=http.integer("maxRetries", least=0) or None,
        idle_timeout=http.duration("idleTimeout"),
        h2_upgrade=H2_UPGRADES.get(upgrade),
        use_client_protocol=bool(http.boolean("useClientProtocol")),
        max_concurrent_streams=http.integer("maxConcurrentStreams", least=0) or None,
        http2_keepalive=_pings(pings) if pings else None,
    )


def _pings(view: View) -> Http2Keepalive:
    return Http2Keepalive(interval=view.duration("interval"), timeout=view.duration("timeout"))


def _outlier_detection(view: View) -> OutlierDetection:
    return OutlierDetection(
        consecutive_5xx=view.integer("consecutive5xxErrors", least=0),
        consecutive_gateway_errors=view.integer("consecutiveGatewayErrors", least=0),
        split_external_local=bool(view.boolean("splitExternalLocalOriginErrors")),
        consecutive_local_origin=view.integer("consecutiveLocalOriginFailures", least=0),
        interval=view.duration("interval"),
        base_ejection_time=view.duration("baseEjectionTime"),
        max_ejection_percent=view.integer("maxEjectionPercent", least=0, most=100) or None,
        min_health_percent=view.integer("minHealthPercent", least=0, most=100),
        error_codes=tuple(_statuses(view, "outlierDetectionHttpErrorCodes")),
    )


def _statuses(view: View, key: str) -> Iterator[int]:
    for index, code in enumerate(view.items(key)):
        if isinstance(code, bool) or not isinstance(code, int) or not 100 <= code <= 599:
            view.error("bad-value", f"{view.name(key, index)} must be an HTTP status, not {code!r}", key, index)
        else:
            yield code


def _retry_budget(view: View) -> RetryBudget:
    percent = view.number("percent", least=0, most=100)
    least = view.integer("minRetryConcurrency", least=0)
    return RetryBudget(
        percent=20.0 if percent is None else percent, min_retry_concurrency=3 if least is None else least
    )
