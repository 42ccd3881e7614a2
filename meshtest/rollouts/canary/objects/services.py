"""The three Services of a Canary: apex and `-primary` select the primary, `-canary` the target.

Rules: KubernetesDefaultRouter of fluxcd/flagger pkg/router/kubernetes_default.go; of targets that are Services,
pkg/canary/service_controller.go.
"""

from __future__ import annotations

from typing import Any

from meshtest.manifests import patch
from meshtest.model.document import Document, Documents, Path
from meshtest.rollouts.canary.objects.origin import MANAGED, Json, Origin, filled, mapping
from meshtest.rollouts.canary.objects.target import SERVICE, Workload, found, workload
from meshtest.rollouts.canary.spec import Canary

API = "v1/Service"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def of_both(canary: Canary, documents: Documents, target: Workload) -> list[Document]:
    """`-primary` and `-canary`."""
    service = canary.service
    return [
        _service(canary, documents, target, service.canary, target.value, "canary"),
        _service(canary, documents, target, service.primary, target.primary_value, "primary"),
    ]


def apex(canary: Canary, documents: Documents, target: Workload) -> Document:
    """The Service that clients name, from now on in front of the primary."""
    return _service(canary, documents, target, canary.service.name, target.primary_value, "apex")


def existing(canary: Canary, documents: Documents, name: str) -> Document | None:
    key = (SERVICE, canary.namespace, name)
    return next((one for one in documents if one.key == key), None)


def _service(canary: Canary, documents: Documents, target: Workload, name: str, value: str, which: str) -> Document:
    selector, ports = {target.label: value}, list(_ports(canary, target))
    if (theirs := existing(canary, documents, name)) is not None:
        return _taken_over(theirs, selector, ports)
    data = canary.service.data
    spec = {
        "type": "ClusterIP",
        **({"clusterIP": "None"} if data.get("headless") else {}),
        "selector": selector,
        "ports": ports,
        **filled(trafficDistribution=data.get("trafficDistribution")),
    }
    labels, annotations = metadata(canary, which)
    body = {"metadata": {"labels": {**labels, target.label: name}, "annotations": annotations}, "spec": spec}
    places: dict[Path, Path] = {
        ("metadata", "labels"): ("spec", "service", which, "labels"),
        ("metadata", "annotations"): ("spec", "service", which, "annotations"),
        ("spec", "ports"): ("spec", "service", "port"),
    }
    return Origin.of(canary, documents).made(API, name, body, places)


def metadata(canary: Canary, which: str) -> tuple[Json, Json]:
    """Labels and annotations that the Canary gives to its `apex`, `primary` or `canary` objects."""
    own = mapping(canary.service.data.get(which))
    return mapping(own.get("labels")), mapping(own.get("annotations")) | MANAGED


def route_metadata(canary: Canary, documents: Documents) -> tuple[Json, Json]:
    """Those of the apex; the label that its Service gets is in them, too, if the Canary gives it any."""
    labels, annotations = metadata(canary, "apex")
    if canary.runs_pods and canary.service.data.get("apex") is not None:
        labels[workload(canary, documents).label] = canary.service.name
    return labels, annotations


def _ports(canary: Canary, target: Workload) -> list[Json]:
    service = canary.service
    first = {
        "name": service.port_name,
        "protocol": "TCP",
        "port": service.port,
        "targetPort": service.target_port or service.port,
        **filled(appProtocol=service.app_protocol),
    }
    return [first, *(_discovered(canary, target) if service.data.get("portDiscovery") else [])]


def _discovered(canary: Canary, target: Workload) -> list[Json]:
    """All other container ports."""
    wanted = canary.service.target_port or canary.service.port
    key = "name" if isinstance(wanted, str) else "containerPort"
    others = {name: port["containerPort"] for name, port in target.ports() if port.get(key) != wanted}
    return [{"name": n, "protocol": "TCP", "port": number, "targetPort": number} for n, number in others.items()]


def _taken_over(theirs: Document, selector: Json, ports: list[Json]) -> Document:
    """A Service that was there keeps all but its pods and ports."""
    spec = mapping(theirs.data.get("spec"))
    nodes = {port.get("name"): port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    ports = [{**port, "nodePort": nodes[port["name"]]} if port["name"] in nodes else port for port in ports]
    if spec.get("selector") == selector and spec.get("ports") == ports:
        return theirs
    changed = patch.put(patch.put(theirs, ("spec", "selector"), selector), ("spec", "ports"), ports)
    annotations = mapping(theirs.metadata.get("annotations")) | MANAGED
    return patch.put(changed, ("metadata", "annotations"), annotations)


# -- targets that are Services


def copies(canary: Canary, documents: Documents) -> list[Document]:
    """`-canary` follows the target at every tick, `-primary` is made once."""
    target = found(canary, documents)
    primary = existing(canary, documents, f"{target.name}-primary")
    return [_copy(target, f"{target.name}-canary"), primary or _copy(target, f"{target.name}-primary")]


def promoted_copy(canary: Canary, documents: Documents) -> Document:
    """The primary as the target is now; its metadata is not copied."""
    target = found(canary, documents)
    made = _copy(target, f"{target.name}-primary")
    return patch.put(made, ("metadata",), {"name": made.name, "namespace": made.namespace})


def _copy(target: Document, name: str) -> Document:
    annotations = {k: v for k, v in mapping(target.metadata.get("annotations")).items() if k != LAST_APPLIED}
    own = filled(labels=target.metadata.get("labels"), annotations=annotations)
    spec: dict[str, Any] = mapping(target.data.get("spec"))
    if spec.get("clusterIP") not in (None, "None"):
        spec.pop("clusterIP")
    data = {**target.data, "metadata": {"name": name, "namespace": target.namespace, **own}, "spec": spec}
    return Document(data, f"Service/{name} made from {target.file}", target.lines)
