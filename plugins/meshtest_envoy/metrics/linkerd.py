"""Linkerd's proxy metrics, counted by Envoy: as its proxy names them, with the labels that its Prometheus adds.

Sources: linkerd.io/2/reference/proxy-metrics; linkerd2-proxy, linkerd/app/core/src/metrics.rs (labels) and
linkerd/metrics/src/latency.rs (bounds); linkerd2, viz/charts/linkerd-viz/templates/prometheus.yaml (job linkerd-proxy).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshtest_envoy.metrics.flow import BLOCKED, PASSED, Flow, Tally
from meshtest_envoy.xds.peers import Peer

BOUNDS = (1, 10, 50, 100, 200, 300, 400, 500, 1000, 5000, 10000)

COUNTERS = {
    "request_total": "requests",
    "response_total": "requests",
    "tcp_open_total": "opened",
    "tcp_close_total": "closed",
    "tcp_read_bytes_total": "tcp_received",
    "tcp_write_bytes_total": "tcp_sent",
}
HISTOGRAMS = {"response_latency_ms": "duration"}

FAILED_CALLS = frozenset({"2", "4", "13", "14", "15"})
"""gRPC: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS (linkerd/app/core/src/classify.rs, grpc_class)."""


def counters(flow: Flow, tally: Tally) -> Iterator[str]:
    yield from (name for name in COUNTERS if name.startswith("tcp_") != bool(flow.code))


def histograms(flow: Flow) -> Iterator[str]:
    if flow.code:
        yield from HISTOGRAMS


def labels(flow: Flow) -> Sequence[tuple[str, str]]:
    own, other = (flow.destination, flow.source) if flow.at_destination else (flow.source, flow.destination)
    found = [
        ("direction", "inbound" if flow.at_destination else "outbound"),
        ("authority", flow.host),
        ("tls", "true" if flow.source_principal else "no_identity"),
        *_own(own),
        *(() if flow.at_destination else _destination(other, flow)),
    ]
    if flow.at_destination and flow.source_principal:
        found.append(("client_id", _identity(flow.source_principal)))
    if not flow.code:
        return found
    found += [("status_code", flow.code), ("classification", "failure" if failed(flow) else "success")]
    return [*found, ("grpc_status", flow.grpc_status)] if flow.grpc_status else found


def failed(flow: Flow) -> bool:
    """A call by its status, any other request by 5xx, or by no answer at all."""
    if flow.grpc_status:
        return flow.grpc_status in FAILED_CALLS
    return flow.code.startswith("5") or flow.code == "0"


def _own(peer: Peer | None) -> list[tuple[str, str]]:
    return [("namespace", peer.namespace), ("deployment", peer.workload)] if peer else []


def _destination(peer: Peer | None, flow: Flow) -> Iterator[tuple[str, str]]:
    if peer:
        yield "dst_namespace", peer.namespace
        yield "dst_deployment", peer.workload
    if flow.service not in ("", BLOCKED, PASSED):
        yield "dst_service", flow.service


def _identity(principal: str) -> str:
    """`spiffe://cluster.local/ns/shop/sa/web` as Linkerd names identities: `web.shop.serviceaccount.identity...`"""
    *_, namespace, _, account = principal.split("/")
    return f"{account}.{namespace}.serviceaccount.identity.linkerd.cluster.local"
