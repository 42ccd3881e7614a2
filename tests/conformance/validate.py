"""Snapshots checked by `envoy --mode validate`, many in one process: each keeps its resources under names of its own.

What comes over ADS in a mesh stands in a static bootstrap here: endpoints inside clusters, routes inside listeners,
secrets beside them (an Envoy that validates dies when a secret is to come over ADS).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from meshtest_envoy import envoy
from meshtest_envoy.xds import names
from meshtest_envoy.xds.clusters import Replica
from meshtest_envoy.xds.snapshot import Snapshot, Translator, tcp_listeners

from meshtest.model.topology import Topology

Json = dict[str, Any]


def translated(topology: Topology) -> Snapshot:
    """With one pod a workload, which runs nowhere."""
    replicas = [_replica(topology, number) for number in range(len(topology.workloads))]
    ports = {name: 20_000 + number for number, name in enumerate(tcp_listeners(topology))}
    return Translator(hops="/dev/null").snapshot(topology, replicas, ports)


def _replica(topology: Topology, number: int) -> Replica:
    workload = topology.workloads[number]
    ports = [port for port, _ in names.target_ports(topology, workload)]
    return Replica(
        pod=f"{workload.namespace}-{workload.name}-0",
        workload=workload,
        service=names.app_service(topology, workload),
        ready=True,
        sockets={port: f"/tmp/in/{number}.{port}" for port in ports},
        ports=dict.fromkeys(ports, 10000 + number),
    )


def refused(snapshots: Mapping[str, Snapshot], folder: Path) -> dict[str, str]:
    """What Envoy says against each that it does not accept."""
    if _complaint(bootstrap(snapshots), folder) is None:
        return {}
    words = {name: _complaint(bootstrap({name: snapshot}), folder) for name, snapshot in snapshots.items()}
    return {name: text for name, text in words.items() if text is not None}


def _complaint(config: Json, folder: Path) -> str | None:
    file = folder / "envoy.json"
    file.write_text(json.dumps(config))
    words = [*envoy.command(envoy.binary(), file), "--mode", "validate"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return None if done.returncode == 0 else (done.stderr.strip() or done.stdout.strip())[-2000:]


def bootstrap(snapshots: Mapping[str, Snapshot]) -> Json:
    parts = [_static(snapshot, f"{number}/") for number, snapshot in enumerate(snapshots.values())]
    ads = {"name": "ads", "type": "STATIC", "load_assignment": {"cluster_name": "ads"}}
    grpc = {"envoy_grpc": {"cluster_name": "ads"}}
    return {
        "node": {"id": "validate", "cluster": "validate"},
        "dynamic_resources": {
            "ads_config": {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [grpc]}
        },
        "static_resources": {
            "clusters": [ads, *(c for clusters, _, _ in parts for c in clusters)],
            "listeners": [
                # No two may have one address; nothing is bound when validating.
                {**listener, "address": {"pipe": {"path": f"/tmp/v/{number}"}}}
                for number, listener in enumerate(one for _, listeners, _ in parts for one in listeners)
            ],
            "secrets": [secret for _, _, secrets in parts for secret in secrets],
        },
    }


def _static(snapshot: Snapshot, prefix: str) -> tuple[list[Json], list[Json], list[Json]]:
    """Clusters, listeners, secrets."""
    clusters = [_with_endpoints(cluster, snapshot) for cluster in snapshot.clusters.values()]
    listeners = [_with_routes(listener, snapshot) for listener in snapshot.listeners.values()]
    renamed = {name: prefix + name for name in (*snapshot.clusters, *snapshot.listeners)}
    secrets = [{**_untyped(secret), "name": prefix + name} for name, secret in snapshot.secrets.items()]

    def own(resources: list[Json]) -> list[Json]:
        return [_with_secrets(_own(_untyped(resource), renamed), prefix) for resource in resources]

    return own(clusters), own(listeners), secrets


def _with_secrets(node: Any, prefix: str) -> Any:
    """Secrets by name only: those of the bootstrap itself."""
    if isinstance(node, list):
        return [_with_secrets(item, prefix) for item in node]
    if not isinstance(node, dict):
        return node
    if "sds_config" in node:
        return {"name": prefix + node["name"]}
    return {key: _with_secrets(value, prefix) for key, value in node.items()}


def _own(node: Any, renamed: Mapping[str, str]) -> Any:
    """Names of resources replaced wherever they stand."""
    if isinstance(node, list):
        return [_own(item, renamed) for item in node]
    if isinstance(node, dict):
        return {key: _own(value, renamed) for key, value in node.items()}
    return renamed.get(node, node) if isinstance(node, str) else node


def _untyped(resource: Json) -> Json:
    """Static resources have no `@type`."""
    return {key: value for key, value in resource.items() if key != "@type"}


def _with_endpoints(cluster: Json, snapshot: Snapshot) -> Json:
    if cluster.get("type") != "EDS":
        return cluster
    kept = {key: value for key, value in cluster.items() if key != "eds_cluster_config"}
    endpoints = snapshot.endpoints.get(cluster["name"], {"cluster_name": cluster["name"]})
    return {**kept, "type": "STATIC", "load_assignment": _untyped(endpoints)}


def _with_routes(node: Any, snapshot: Snapshot) -> Any:
    """Route configurations by name replaced by what they hold."""
    if isinstance(node, list):
        return [_with_routes(item, snapshot) for item in node]
    if not isinstance(node, dict):
        return node
    return dict(_entries(node, snapshot))


def _entries(node: Json, snapshot: Snapshot) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if key == "rds":
            yield "route_config", _untyped(snapshot.routes[value["route_config_name"]])
        else:
            yield key, _with_routes(value, snapshot)
