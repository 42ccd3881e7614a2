"""How things are called inside Envoy. Clusters carry Istio's names (pilot/pkg/model/service.go, BuildSubsetKey)."""

from __future__ import annotations

from meshtest.manifests import apex
from meshtest.manifests.memo import per_object
from meshtest.manifests.sources import CLIENT as CLIENT
from meshtest.model.route import Door, Gateway, Server
from meshtest.model.service import Service, ServicePort, Workload
from meshtest.model.topology import Topology, key

TYPE_URL = "type.googleapis.com/"
"""What every message type's name is prefixed with."""

POD_ADDRESS = "127.0.0.1"


BLACK_HOLE = "BlackHoleCluster"
"""A cluster without endpoints, for routes that lead nowhere (Istio's name)."""

OUTSIDE = "outside"
"""The source of requests from a client that has no proxy and no identity, but can reach the pods."""


def outbound_cluster(fqdn: str, port: int, subset: str = "") -> str:
    """`outbound|9080|v1|reviews.default.svc.cluster.local`"""
    return f"outbound|{port}|{subset}|{fqdn}"


def host_of(cluster: str) -> str:
    """The host of an outbound cluster, or of a copy of one (localities.copy_name, own_clusters.name)."""
    return cluster.rpartition("|")[2].partition("@")[0]


def inbound_cluster(pod: str, port: int) -> str:
    """Istio's `inbound|PORT||`, and the pod, for our proxies share one Envoy."""
    return f"inbound|{port}||{pod}"


def pod_cluster(port: int) -> str:
    """A pod by its own address, as requests name it: every pod is on this host, and has ports of its own."""
    return f"{POD_ADDRESS}:{port}"


def outbound_listener(caller: str) -> str:
    return f"outbound_{caller}"


def outbound_routes(namespace: str) -> str:
    """All callers of a namespace share one route configuration: a shift is one small message, however many call."""
    return f"outbound_{namespace}"


def inbound_listener(pod: str, port: int) -> str:
    return f"inbound_{pod}_{port}"


def gateway_listener(door: Door) -> str:
    return f"gateway_{door.port}" + (f"_{door.address}" if door.address else "")


def gateway_routes(door: Door) -> str:
    """Istio: `http.PORT` (pilot/pkg/networking/core/gateway.go)."""
    return f"http.{door.port}" + (f".{door.address}" if door.address else "")


def https_routes(gateway: Gateway, server: Server) -> str:
    """Istio: `https.PORT.SERVER.GATEWAY.NAMESPACE`; a server with certificates has routes of its own."""
    return f"https.{server.port}.{server.name}.{gateway.name}.{gateway.namespace}"


def guard(workload: Workload, port: int) -> str:
    """Names the security filters of one port of a workload: its pods share them."""
    return f"{key(workload)}|{port}"


def server(service: str, version: str, pod: str) -> str:
    """Who serves, as model.request.Server reads it."""
    return f"{service}/{version}/{pod}"


def app_service(topology: Topology, workload: Workload) -> str:
    """The service a workload's replicas answer for (apex.py)."""
    return apex.of_workload(topology, workload)


def target_ports(topology: Topology, workload: Workload) -> list[tuple[int, str]]:
    """(number, name) of every port a pod of the workload must listen on: its own, and those services send to."""
    ports = {p.number: p.name for c in workload.containers for p in c.ports}
    return list(
        (ports | {number: "" for number in led_to(topology).get(key(workload), ()) if number not in ports}).items()
    )


def port_protocols(topology: Topology, workload: Workload) -> dict[int, str]:
    """Container port to the protocol of the first service port that leads to it."""
    return {number: ports[0][1].protocol for number, ports in led_to(topology).get(key(workload), {}).items()}


@per_object
def led_to(topology: Topology) -> dict[str, dict[int, list[tuple[Service, ServicePort]]]]:
    """By workload and container port: the service ports that lead there, in the order of the services."""
    found: dict[str, dict[int, list[tuple[Service, ServicePort]]]] = {}
    for service in topology.services:
        backends = topology.backends(service)
        for port in service.ports:
            for workload in backends:
                if (number := target_number(workload, port.target)) is not None:
                    found.setdefault(key(workload), {}).setdefault(number, []).append((service, port))
    return found


def target_number(workload: Workload, target: int | str) -> int | None:
    """A Service's targetPort as a container port number; None if the workload has no port of that name."""
    if isinstance(target, int):
        return target
    return next((p.number for c in workload.containers for p in c.ports if p.name == target), None)
