"""Tracing: what each proxy tells of each request, and where its spans go.

    caller ─► outbound: a server span, and below it a client span an attempt ─► inbound: a server span ─► service

A span says for whom the proxy speaks in one tag (PROXY_TAG), which the receiver turns into service, version, pod and
Istio's own tags: so all proxies share one tracer of Envoy, its buffer and its timer, where a `service_name` each would
be a tracer each. Who decides on sampling is the caller, by the flag of its trace context; a request that has none is
sampled at random, as in Istio.

Istio's sidecars tell one span each. Outbound proxies here tell the attempts too, because a retry is what a rollout's
test looks for; gateways of Istio do so as well (PILOT_SPAWN_UPSTREAM_SPAN_FOR_GATEWAY).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from meshtest.manifests.sources import CLIENT
from meshtest.model.identity import ROOT_NAMESPACE
from meshtest.model.request import REQUEST_ID
from meshtest.model.route import Door
from meshtest.model.service import Workload
from meshtest.model.topology import Topology, key
from meshtest.settings import Settings
from meshtest.spi.telemetry import PROXY_TAG, Collector
from meshtest_envoy.xds import names
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.resources import Json

CLUSTER = "meshtest.collector"
TRACES = TYPE_URL + "envoy.config.trace.v3."
SHARE = {"sampled": 1, "all": 100}
"""Setting `traces` to percent of the requests without a trace context; Istio's default is 1."""

OPERATION = "%REQ(:METHOD)% %REQ(:AUTHORITY)%%PATH(NQ)%"
"""Name of a request's span; that of an attempt stays Envoy's, `router CLUSTER egress`."""

TAGS: tuple[Json, ...] = (
    {"tag": REQUEST_ID, "request_header": {"name": REQUEST_ID}},
    {"tag": "upstream_attempts", "value": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"},
)


class Tracing(NamedTuple):
    """How the proxies of a run trace. Falsy: not at all."""

    collector: Collector | None = None
    share: int = 0
    """Percent of the requests without a trace context that are sampled. Zipkin's tracer knows no share: all of them."""
    b3: bool = False

    @classmethod
    def of(cls, collector: Collector | None, settings: Settings) -> Tracing:
        if collector is None or settings.traces == "off":
            return cls()
        return cls(collector, SHARE[settings.traces], settings.trace_headers == "b3")

    def __bool__(self) -> bool:
        return self.collector is not None

    @property
    def address(self) -> str:
        assert self.collector is not None
        return self.collector.http.partition("://")[2]

    def cluster(self) -> Json:
        """Not told by discovery, for it is no service of the mesh."""
        host, _, port = self.address.rpartition(":")
        address = {"socket_address": {"address": host, "port_value": int(port)}}
        return {
            "@type": TYPE_URL + "envoy.config.cluster.v3.Cluster",
            "name": CLUSTER,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": CLUSTER,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }

    def on(self, listener: Json, speaker: str) -> Json:
        """The listener, with its requests traced; those of HTTP, for a connection has no headers to carry a trace."""
        inbound = listener["name"].startswith("inbound_")
        chains = [
            {**c, "filters": [self._filter(f, speaker, inbound) for f in c["filters"]]}
            for c in listener["filter_chains"]
        ]
        return {**listener, "filter_chains": chains, "traffic_direction": "INBOUND" if inbound else "OUTBOUND"}

    def _filter(self, item: Json, speaker: str, inbound: bool) -> Json:
        if not item.get("typed_config", {}).get("@type", "").endswith(".HttpConnectionManager"):
            return item
        tracing = {
            # Envoy traces what both this and the caller want (seen with 1.40); so it is left to the caller
            "random_sampling": {"value": 100},
            "custom_tags": [{"tag": PROXY_TAG, "literal": {"value": speaker}}, *TAGS],
            "spawn_upstream_span": not inbound,
            "operation": OPERATION,
            "provider": self._zipkin() if self.b3 else self._opentelemetry(),
        }
        return {**item, "typed_config": {**item["typed_config"], "tracing": tracing}}

    def _opentelemetry(self) -> Json:
        """By HTTP: it costs the receiver less than gRPC does."""
        to = {"uri": f"http://{self.address}/v1/traces", "cluster": CLUSTER, "timeout": "5s"}
        config: Json = {"@type": TRACES + "OpenTelemetryConfig", "http_service": {"http_uri": to}}
        config["service_name"] = "meshtest"
        if self.share < 100:
            config["sampler"] = sampler("parent_based", "ParentBased", wrapped_sampler=self._ratio())
        return {"name": "envoy.tracers.opentelemetry", "typed_config": config}

    def _ratio(self) -> Json:
        percent = {"numerator": self.share, "denominator": "HUNDRED"}
        return sampler("trace_id_ratio_based", "TraceIdRatioBased", sampling_percentage=percent)

    def _zipkin(self) -> Json:
        config = {
            "@type": TRACES + "ZipkinConfig",
            "collector_cluster": CLUSTER,
            "collector_endpoint": "/api/v2/spans",
            "collector_hostname": self.address,
            "collector_endpoint_version": "HTTP_JSON",
            "trace_id_128bit": True,
            # B3 if a request has it, else W3C; both go on
            "trace_context_option": "USE_B3_WITH_W3C_PROPAGATION",
            "shared_span_context": False,
        }
        return {"name": "envoy.tracers.zipkin", "typed_config": config}


def sampler(name: str, message: str, **fields: Any) -> Json:
    config = {"@type": f"{TYPE_URL}envoy.extensions.tracers.opentelemetry.samplers.v3.{message}SamplerConfig", **fields}
    return {"name": f"envoy.tracers.opentelemetry.samplers.{name}", "typed_config": config}


# -- for whom a listener speaks


def speakers(topology: Topology, doors: Sequence[Door], replicas: Sequence[Replica]) -> Mapping[str, str]:
    """By name of the listener: SERVICE.NAMESPACE/VERSION/POD/DIRECTION."""
    return dict(_speakers(topology, doors, replicas))


def _speakers(topology: Topology, doors: Sequence[Door], replicas: Sequence[Replica]) -> Iterator[tuple[str, str]]:
    namespace, _, client = CLIENT.partition("/")
    yield names.outbound_listener(CLIENT), f"{client}.{namespace}///outbound"
    for workload in topology.workloads:
        yield names.outbound_listener(key(workload)), f"{service(workload)}/{workload.version}//outbound"
    for door in doors:
        yield names.gateway_listener(door), f"{gateway(door)}///gateway"
    for replica in replicas:
        workload = replica.workload
        for port in replica.ports:
            who = f"{service(workload)}/{workload.version}/{replica.pod}/inbound"
            yield names.inbound_listener(replica.pod, port), who


def service(workload: Workload) -> str:
    """Istio's name for a workload in traces, `app.namespace` (tracingServiceName: APP_LABEL_AND_NAMESPACE)."""
    return f"{workload.app}.{workload.namespace}"


def gateway(door: Door) -> str:
    """The app of the gateway's pods: Istio's ingress, or what Istio deploys for a Gateway API gateway."""
    if not door.address:
        return f"istio-ingressgateway.{ROOT_NAMESPACE}"
    namespace, _, name = door.address.partition("/")
    return f"{name}-istio.{namespace}"
