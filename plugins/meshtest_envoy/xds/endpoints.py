"""Where a service's requests go: pods through their inbound listeners, addresses of a ServiceEntry as they stand.

Not here: how they are treated (clusters.py), which of several localities a caller prefers (localities.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from meshtest.manifests.apex import answering
from meshtest.model.policy import HostPolicy, Subset
from meshtest.model.service import Endpoint, Service, ServicePort, within
from meshtest.model.topology import Topology, key
from meshtest_envoy.xds import localities, names
from meshtest_envoy.xds.localities import Located
from meshtest_envoy.xds.mutual import Mutual
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.resources import Json

ASSIGNMENT = TYPE_URL + "envoy.config.endpoint.v3.ClusterLoadAssignment"


def discovered(service: Service) -> bool:
    """Its endpoints change by EDS; those of the others stand in the cluster."""
    return kind(service) == "EDS"


def kind(service: Service) -> str:
    """Envoy's discovery type (Istio: pilot/pkg/networking/core/cluster.go, convertResolution).

    NONE is ORIGINAL_DST there: the address the caller had looked up itself. Here a caller names the host to its proxy,
    so the proxy looks it up; a wildcard names nobody.
    """
    match service.resolution:
        case "DNS":
            return "STRICT_DNS"
        case "DNS_ROUND_ROBIN":
            return "LOGICAL_DNS"
        case "NONE" if not service.fqdn.startswith("*"):
            return "STRICT_DNS"
    return "EDS"


def assignments(topology: Topology, service: Service, replicas: Sequence[Replica], mutual: Mutual) -> Iterator[Json]:
    """Load assignments of all clusters of a service: what is ready and, for a subset, carries its labels."""
    if not discovered(service):
        return
    host = topology.policies.get(service.fqdn)
    members = {key(w) for w in topology.backends(service)}
    ready = [r for r in replicas if r.ready and key(r.workload) in members]
    for port in service.ports:
        for subset in (None, *(host.subsets if host else ())):
            name = names.outbound_cluster(service.fqdn, port.number, subset.name if subset else "")
            found = located(topology, service, port, subset, ready, mutual)
            yield assignment(name, localities.assignment(found))
            for view in localities.copies(topology).get(name, ()):
                policy = (subset or host or HostPolicy(host="")).policy_for(port.number)
                yield assignment(localities.copy_name(name, view), localities.arranged(found, view, policy))


def located(
    topology: Topology,
    service: Service,
    port: ServicePort,
    subset: Subset | None,
    ready: Iterable[Replica],
    mutual: Mutual,
) -> list[Located]:
    pods = [r for r in ready if subset is None or within(subset.labels, r.workload.labels)]
    ours = (
        Located(r.workload.locality, r.workload.labels, made)
        for r in pods
        if (made := pod_endpoint(topology, service, port, r, mutual)) is not None
    )
    return [*ours, *addressed(service, port, chosen(service, subset))]


def chosen(service: Service, subset: Subset | None) -> list[Endpoint]:
    return [e for e in service.endpoints if subset is None or within(subset.labels, e.labels)]


def addressed(service: Service, port: ServicePort, those: Iterable[Endpoint]) -> list[Located]:
    return [Located(e.locality, e.labels, address_endpoint(service, port, e)) for e in those]


def fixed(service: Service, port: ServicePort, subset: Subset | None) -> list[Located]:
    """The endpoints of a cluster that resolves names itself. Without any, the host is the endpoint."""
    own = chosen(service, subset) or ([] if service.endpoints else [Endpoint(address=service.fqdn)])
    # of LOGICAL_DNS Envoy takes one name
    return addressed(service, port, own[:1] if kind(service) == "LOGICAL_DNS" else own)


def assignment(name: str, endpoints: Sequence[Json]) -> Json:
    return {"@type": ASSIGNMENT, "cluster_name": name, "endpoints": list(endpoints)}


def pod_endpoint(
    topology: Topology, service: Service, port: ServicePort, replica: Replica, mutual: Mutual
) -> Json | None:
    number = names.target_number(replica.workload, port.target)
    if number is None or number not in replica.sockets:
        return None
    who = names.server(answering(topology, service, replica.workload), replica.workload.version, replica.pod)
    metadata: Json = {"meshtest": {"server": who, **({"peer": replica.peer} if replica.peer else {})}}
    if mutual.speaks(replica.workload, number):
        metadata["istio"] = {"tlsMode": "istio"}
    return {
        "endpoint": {"address": {"pipe": {"path": replica.sockets[number]}}, "hostname": replica.pod},
        "metadata": {"filter_metadata": metadata},
    }


def address_endpoint(service: Service, port: ServicePort, endpoint: Endpoint) -> Json:
    number = dict(endpoint.ports).get(port.name) or (port.target if isinstance(port.target, int) else port.number)
    path = endpoint.address.removeprefix("unix://")
    pod = path.rpartition("/")[2] if path != endpoint.address else f"{endpoint.address}:{number}"
    who = names.server(service.name, endpoint.labels.get("version", ""), pod)
    address = {"socket_address": {"address": endpoint.address, "port_value": number}}
    result: Json = {
        "endpoint": {"address": {"pipe": {"path": path}} if path != endpoint.address else address},
        "metadata": {"filter_metadata": {"meshtest": {"server": who}}},
    }
    if not is_address(endpoint.address):
        result["endpoint"]["hostname"] = endpoint.address
    return result if endpoint.weight == 1 else {**result, "load_balancing_weight": endpoint.weight}


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
