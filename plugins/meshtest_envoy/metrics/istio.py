"""Istio's standard metrics (istio.io/latest/docs/reference/config/metrics; the proxy's istio_stats.cc).

Label by label as the proxy's own filter fills them, in the order of its goldens (istio/proxy testdata/metric).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshtest_envoy.metrics.flow import Flow, Tally
from meshtest_envoy.xds.peers import Peer

CLUSTER = "Kubernetes"
"""The name of a mesh's only cluster, where nobody chose one."""
UNKNOWN, LATEST = "unknown", "latest"

BOUNDS = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000,
)  # fmt: skip
"""Envoy's, which Istio keeps for milliseconds and for bytes."""

COUNTERS = {
    "istio_requests_total": "requests",
    "istio_request_messages_total": "received_messages",
    "istio_response_messages_total": "sent_messages",
    "istio_tcp_connections_opened_total": "opened",
    "istio_tcp_connections_closed_total": "closed",
    "istio_tcp_sent_bytes_total": "tcp_sent",
    "istio_tcp_received_bytes_total": "tcp_received",
}
HISTOGRAMS = {
    "istio_request_duration_milliseconds": "duration",
    "istio_request_bytes": "received",
    "istio_response_bytes": "sent",
}


def counters(flow: Flow, tally: Tally) -> Iterator[str]:
    """The counters that such a flow has."""
    if flow.code:
        yield "istio_requests_total"
        if tally.streamed:
            yield "istio_request_messages_total"
            yield "istio_response_messages_total"
    else:
        yield from (name for name in COUNTERS if name.startswith("istio_tcp_"))


def histograms(flow: Flow) -> Iterator[str]:
    if flow.code:
        yield from HISTOGRAMS


def labels(flow: Flow) -> Sequence[tuple[str, str]]:
    tcp = not flow.code
    protocol = "tcp" if tcp else "grpc" if flow.grpc_status else "http"
    policy = UNKNOWN if not flow.at_destination else "mutual_tls" if flow.mutual_tls else "none"
    found = [("reporter", "destination" if flow.at_destination else "source")]
    found += _of(flow.source, "source", flow.source_principal)
    found += _of(flow.destination, "destination", flow.destination_principal)
    found += [
        ("destination_service", flow.host or UNKNOWN),
        ("destination_service_name", flow.service or UNKNOWN),
        ("destination_service_namespace", flow.destination.namespace if flow.destination else UNKNOWN),
        ("request_protocol", protocol),
    ]
    if not tcp:
        found += [("response_code", flow.code), ("grpc_response_status", flow.grpc_status)]
    return [*found, ("response_flags", flow.flags), ("connection_security_policy", policy)]


def _of(peer: Peer | None, side: str, principal: str) -> list[tuple[str, str]]:
    known = peer or Peer("", "", "")
    return [
        (f"{side}_workload", known.workload or UNKNOWN),
        (f"{side}_canonical_service", known.service or UNKNOWN),
        (f"{side}_canonical_revision", known.revision or LATEST),
        (f"{side}_workload_namespace", known.namespace or UNKNOWN),
        (f"{side}_principal", principal or UNKNOWN),
        (f"{side}_app", known.app or UNKNOWN),
        (f"{side}_version", known.version or UNKNOWN),
        (f"{side}_cluster", CLUSTER if peer else UNKNOWN),
    ]
