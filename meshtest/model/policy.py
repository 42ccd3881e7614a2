"""How a caller's proxy treats the endpoints of a service: Istio's DestinationRule in neutral terms.

None means "not set by the user"; the provider's defaults for those are Istio's (least-request, connect timeout 10 s,
circuit breakers practically off).
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.service import Labels


@dataclass(frozen=True, kw_only=True)
class HashOn:
    """What consistent hashing looks at: exactly one field is set."""

    header: str = ""
    cookie: str = ""
    cookie_ttl: float | None = None
    cookie_path: str = ""
    cookie_attributes: tuple[tuple[str, str], ...] = ()
    source_ip: bool = False
    query: str = ""


@dataclass(frozen=True, kw_only=True)
class LocalityBalancing:
    """Which endpoints of which localities (`region/zone/subzone`) a caller prefers (Istio's localityLbSetting)."""

    enabled: bool = True
    distribute: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    """(from, ((to, percent), ...))"""
    failover: tuple[tuple[str, str], ...] = ()
    """(from region, to region)"""
    failover_priority: tuple[str, ...] = ()
    """Labels that caller and endpoint should share, the most important first."""


@dataclass(frozen=True, kw_only=True)
class LoadBalancing:
    algorithm: Literal["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM", "PASSTHROUGH", "RING_HASH", "MAGLEV"] = "LEAST_REQUEST"
    hash_on: HashOn | None = None
    ring_size: int | None = None
    """Minimum ring size (RING_HASH) or table size (MAGLEV)."""
    warmup: float | None = None
    """Seconds of slow start for a new endpoint."""
    warmup_aggression: float = 1.0
    warmup_minimum_percent: float = 10.0
    locality: LocalityBalancing | None = None


@dataclass(frozen=True, kw_only=True)
class Keepalive:
    probes: int | None = None
    time: float | None = None
    interval: float | None = None


@dataclass(frozen=True, kw_only=True)
class Http2Keepalive:
    """PING frames; seconds."""

    interval: float | None = None
    timeout: float | None = None


@dataclass(frozen=True, kw_only=True)
class ConnectionPool:
    max_connections: int | None = None
    connect_timeout: float | None = None
    tcp_keepalive: Keepalive | None = None
    tcp_idle_timeout: float | None = None
    max_connection_duration: float | None = None
    http1_max_pending_requests: int | None = None
    http2_max_requests: int | None = None
    max_requests_per_connection: int | None = None
    max_retries: int | None = None
    idle_timeout: float | None = None
    h2_upgrade: bool | None = None
    use_client_protocol: bool = False
    max_concurrent_streams: int | None = None
    http2_keepalive: Http2Keepalive | None = None


@dataclass(frozen=True, kw_only=True)
class OutlierDetection:
    consecutive_5xx: int | None = None
    consecutive_gateway_errors: int | None = None
    split_external_local: bool = False
    consecutive_local_origin: int | None = None
    interval: float | None = None
    base_ejection_time: float | None = None
    max_ejection_time: float | None = None
    max_ejection_percent: int | None = None
    min_health_percent: int | None = None
    error_codes: tuple[int, ...] = ()
    """Statuses that count as errors, in place of 5xx."""


@dataclass(frozen=True, kw_only=True)
class RetryBudget:
    percent: float = 20.0
    min_retry_concurrency: int = 3


@dataclass(frozen=True, kw_only=True)
class UpstreamTls:
    """TLS from the caller's proxy, or the gateway, to the endpoints."""

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]
    sni: str = ""
    subject_alt_names: tuple[str, ...] = ()
    ca: tuple[str, ...] = ()
    """Keys of credentials with the CA certificates that the server must be signed by."""
    system_ca: bool = False
    """Trust this machine's own CA certificates."""
    credential: str = ""
    """Key of the credential with the client's certificate (MUTUAL)."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    source: Source = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class TrafficPolicy:
    """One block each; a subset's block replaces the host's block of that kind as a whole (Istio)."""

    load_balancing: LoadBalancing | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    retry_budget: RetryBudget | None = None
    tls: UpstreamTls | None = None
    proxy_protocol: Literal["", "V1", "V2"] = ""
    """The PROXY header that connections begin with."""


DEFAULT_POLICY = TrafficPolicy()


@dataclass(frozen=True, kw_only=True)
class Subset:
    """A named slice of a service's endpoints by labels; its policy is already laid over the host's."""

    name: str
    labels: Labels
    policy: TrafficPolicy = DEFAULT_POLICY
    port_policies: tuple[tuple[int, TrafficPolicy], ...] = ()
    source: Source = NOWHERE

    def policy_for(self, port: int) -> TrafficPolicy:
        """Port-level settings replace the whole policy, without inheritance (Istio)."""
        return dict(self.port_policies).get(port, self.policy)


@dataclass(frozen=True, kw_only=True)
class HostPolicy:
    """All DestinationRules of one host, merged."""

    host: str
    """Fully qualified."""
    policy: TrafficPolicy = DEFAULT_POLICY
    port_policies: tuple[tuple[int, TrafficPolicy], ...] = ()
    subsets: tuple[Subset, ...] = ()
    source: Source = NOWHERE

    def policy_for(self, port: int) -> TrafficPolicy:
        return dict(self.port_policies).get(port, self.policy)
