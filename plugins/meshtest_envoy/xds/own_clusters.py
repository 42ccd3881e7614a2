"""Clusters that callers of one namespace have for themselves, because other DestinationRules count for them.

In Istio each proxy has its own clusters; here all callers share one Envoy, so what differs has a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshtest.model.topology import Topology
from meshtest_envoy.xds import clusters, endpoints
from meshtest_envoy.xds.mutual import Mutual
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.resources import Json


def name(cluster: str, namespace: str) -> str:
    return f"{cluster}@{namespace}"


def seen_from(topology: Topology, namespace: str) -> Topology:
    """The topology with the policies that count for callers of a namespace."""
    own = {host: policy for (home, host), policy in topology.namespace_policies.items() if home == namespace}
    return replace(topology, policies={**topology.policies, **own}) if own else topology


def own(topology: Topology, replicas: Sequence[Replica], mutual: Mutual) -> Iterator[tuple[Json, Json]]:
    """(cluster, its endpoints), for each namespace and service that has some."""
    for namespace, host in topology.namespace_policies:
        service = topology.service(host)
        if service is None:
            continue
        seen = seen_from(topology, namespace)
        loads = {e["cluster_name"]: e for e in endpoints.assignments(seen, service, replicas, mutual)}
        for cluster in clusters.outbound_clusters(seen, service, mutual):
            renamed = name(cluster["name"], namespace)
            load = loads.get(cluster["name"])
            yield {**cluster, "name": renamed}, {**load, "cluster_name": renamed} if load else {}


def names_of(topology: Topology, namespace: str) -> dict[str, str]:
    """By the shared name, the own one."""
    hosts = [host for home, host in topology.namespace_policies if home == namespace]
    services = [service for host in hosts if (service := topology.service(host)) is not None]
    seen = seen_from(topology, namespace)
    found = (
        cluster["name"]
        for service in services
        for cluster in clusters.outbound_clusters(seen, service, Mutual.of(topology))
    )
    return {cluster: name(cluster, namespace) for cluster in found}


def renamed(node: Any, names: Mapping[str, str]) -> Any:
    """Routes that lead to the own clusters. One that has no own cluster (a subset that is unknown there) stays."""
    if isinstance(node, list):
        return [renamed(item, names) for item in node]
    if isinstance(node, dict):
        return {key: renamed(value, names) for key, value in node.items()}
    return names.get(node, node) if isinstance(node, str) else node
