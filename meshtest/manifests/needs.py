"""Which features of a provider a topology needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.mutual import mutual_tls
from meshtest.model.feature import Feature
from meshtest.model.policy import TrafficPolicy
from meshtest.model.route import MESH, Match, Route
from meshtest.model.topology import Topology


def needs(topology: Topology) -> frozenset[Feature]:
    """Everything the routes, policies and workloads of a topology ask for."""
    found: set[Feature] = {Feature.PODS} if topology.workloads else set()
    if mutual_tls(topology):
        found.add(Feature.MUTUAL_TLS)
    if topology.faults:
        found.add(Feature.FAULT_AT_DESTINATION)
    asked = {
        Feature.AUTHORIZATION: topology.authorizations,
        Feature.JWT: topology.authentications,
        Feature.PROXY_PATCHES: topology.proxy_patches,
        Feature.MUTUAL_TLS: topology.peers,
        Feature.SERVICE_ENTRIES: any(service.host for service in topology.services),
        Feature.TLS: any(server.tls for gateway in topology.gateways for server in gateway.servers),
    }
    found.update(feature for feature, wanted in asked.items() if wanted)
    for table in topology.tables:
        if table.tls or table.tcp:
            found.add(Feature.TCP)
        if any(gateway != MESH for gateway in table.gateways):
            found.add(Feature.INGRESS)
        for route in table.routes:
            found.update(_of_route(route))
    for host in topology.policies.values():
        for policy in (host.policy, *(s.policy for s in host.subsets)):
            found.update(_of_policy(policy))
    return frozenset(found)


def _of_route(route: Route) -> Iterator[Feature]:
    to = route.destinations
    edits = any((route.request_headers, route.response_headers, *(d.request_headers for d in to)))
    edits = edits or any(d.response_headers for d in to)
    asked = {
        Feature.WEIGHTS: len(to) > 1,
        Feature.MATCHES: route.match != Match(),
        Feature.JWT: any(header.claim for header in route.match.headers),
        Feature.REWRITES: route.rewrite or any(d.rewrite for d in to),
        Feature.REDIRECTS: route.redirect or any(d.redirect for d in to),
        Feature.HEADER_EDITS: edits,
        Feature.RETRIES: route.retry,
        Feature.TIMEOUTS: route.timeout,
        Feature.CORS: route.cors,
        Feature.MIRROR: route.mirrors or any(d.mirrors for d in to),
        Feature.FAULT_DELAY: route.fault and route.fault.delay,
        Feature.FAULT_ABORT: route.fault and route.fault.abort,
    }
    yield from (feature for feature, wanted in asked.items() if wanted)


def _of_policy(policy: TrafficPolicy) -> Iterator[Feature]:
    asked = {
        Feature.LOAD_BALANCING: policy.load_balancing,
        Feature.CONNECTION_POOL: policy.connection_pool or policy.retry_budget,
        Feature.OUTLIER_DETECTION: policy.outlier_detection,
        Feature.LOCALITY: policy.load_balancing and policy.load_balancing.locality,
        Feature.TLS: policy.tls and policy.tls.mode in ("SIMPLE", "MUTUAL"),
        Feature.MUTUAL_TLS: policy.tls and policy.tls.mode == "ISTIO_MUTUAL",
    }
    yield from (feature for feature, wanted in asked.items() if wanted)
