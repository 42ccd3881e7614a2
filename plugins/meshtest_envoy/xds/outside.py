"""A client outside the mesh: no proxy, no identity, but it can reach the pods, as anything in a cluster can.

It has a listener only because pods listen on unix sockets. That does what the cluster's network does for a Service and
nothing that a proxy of the mesh would: no routes of the user's, no retries, no mutual TLS. So a suite can prove that a
STRICT workload refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.hosts import HTTP_PROTOCOLS
from meshtest.model.policy import TrafficPolicy
from meshtest.model.service import Service, ServicePort
from meshtest.model.topology import Topology
from meshtest_envoy.xds import clusters, endpoints, listeners, localities, names, routes, streams
from meshtest_envoy.xds.resources import Json

LISTENER = names.outbound_listener(names.OUTSIDE)
ROUTES = "outside"
NAMESPACE = "default"
"""Whose short names it may use."""


def listener(port: int, hops: str) -> Json:
    log = listeners.access_log(hops, "outbound", names.OUTSIDE)
    upgrades = [listeners.WEBSOCKET, {"upgrade_type": "CONNECT"}]
    http = listeners.manager(LISTENER, ROUTES, log, upgrade_configs=upgrades)
    return listeners.listener(LISTENER, listeners.tcp(port), [{"filters": [listeners.http_filter_of(http)]}])


def cluster_name(service: Service, port: ServicePort) -> str:
    return f"{names.OUTSIDE}|{port.number}||{service.fqdn}"


def clusters_of(topology: Topology) -> Iterator[Json]:
    """Of its own, without policies: in plain text, to the same endpoints, a connection a request - one that is open
    would outlive the change it is to notice."""
    for service in topology.services:
        for port in service.ports:
            made = clusters.cluster(cluster_name(service, port), port, TrafficPolicy())
            common = {"max_requests_per_connection": 1}
            made["typed_extension_protocol_options"][clusters.HTTP_OPTIONS]["common_http_protocol_options"] = common
            if endpoints.discovered(service):
                made["eds_cluster_config"]["service_name"] = names.outbound_cluster(service.fqdn, port.number)
            else:
                del made["eds_cluster_config"]
                found = localities.assignment(endpoints.fixed(service, port, None))
                made |= clusters.by_name(service, made["name"], found)
            yield made


def route_configuration(topology: Topology) -> Json:
    hosts = [*_hosts(topology), routes.blocked()]
    return routes.route_configuration(ROUTES, hosts, any_port=False)


def _hosts(topology: Topology) -> Iterator[Json]:
    taken: set[str] = set()
    for service in topology.services:
        for port in service.ports:
            domains = [d for d in _domains(streams.connect_domains(service, port.number, NAMESPACE)) if d not in taken]
            taken.update(domains)
            if domains:
                cluster = cluster_name(service, port)
                yield {
                    "name": f"{service.fqdn}:{port.number}",
                    "domains": domains,
                    "routes": list(_routes(cluster, port.protocol)),
                }


def _domains(with_port: list[str]) -> Iterator[str]:
    """Clients leave out port 80."""
    for domain in with_port:
        yield domain
        if domain.endswith(":80"):
            yield domain.removesuffix(":80")


def _routes(cluster: str, protocol: str) -> Iterator[Json]:
    upgrade = {"upgrade_type": "CONNECT", "connect_config": {}}
    action = {"cluster": cluster, "timeout": "0s"}
    yield {"name": "tunnel", "match": {"connect_matcher": {}}, "route": {**action, "upgrade_configs": [upgrade]}}
    if protocol in HTTP_PROTOCOLS:
        yield {"name": "service", "match": {"prefix": "/"}, "route": action}
