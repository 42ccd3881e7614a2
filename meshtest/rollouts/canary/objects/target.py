"""The workload that a Canary is about: found among the documents, or refused at file:line.

Refusals are Flagger's own where it has one (GetMetadata and getSelectorLabel of fluxcd/flagger
pkg/canary/deployment_controller.go, createPrimaryDaemonSet of daemonset_controller.go); the others would lead to
requests that nobody answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.manifests.kubernetes import daemon_set
from meshtest.model.document import Document, Documents
from meshtest.rollouts.canary.objects.origin import KIND, Json, Origin, mapping, mappings, refuse
from meshtest.rollouts.canary.spec import Canary

LABELS = ("app", "name", "app.kubernetes.io/name")
"""Labels that tell primary and canary apart: Flagger's flag -selector-labels."""
SIDECARS = frozenset({"istio-proxy", "envoy"})
"""Containers whose ports are nobody's service."""
DEPLOYMENT, DAEMON_SET, SERVICE = "apps/Deployment", daemon_set.KIND, "/Service"
KINDS = {"Deployment": DEPLOYMENT, "DaemonSet": DAEMON_SET, "Service": SERVICE}


@dataclass(frozen=True)
class Workload:
    """The target, a Deployment or a DaemonSet."""

    document: Document
    label: str
    """The one of LABELS that its selector has."""

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def is_daemon_set(self) -> bool:
        return self.document.kind == DAEMON_SET

    @property
    def primary(self) -> str:
        return f"{self.name}-primary"

    @property
    def value(self) -> str:
        """Of the label: what the canary's Service selects."""
        return str(self.spec["selector"]["matchLabels"][self.label])

    @property
    def primary_value(self) -> str:
        return f"{self.value}-primary"

    @property
    def spec(self) -> Json:
        return mapping(self.document.data.get("spec"))

    @property
    def template(self) -> Json:
        """Of its pods. That a DaemonSet is scaled to zero stands in it, and is no part of it."""
        document = daemon_set.from_zero(self.document) if self.is_daemon_set else self.document
        return mapping(mapping(document.data.get("spec")).get("template"))

    @property
    def containers(self) -> list[Json]:
        return mappings(mapping(self.template.get("spec")).get("containers"))

    def ports(self) -> Iterator[tuple[str, Json]]:
        """Container ports, with the name that the Service's port gets."""
        for container in self.containers:
            if container.get("name") in SIDECARS:
                continue
            for index, port in enumerate(mappings(container.get("ports"))):
                yield port.get("name") or f"tcp-{container.get('name')}-{index}", port


def workload(canary: Canary, documents: Documents) -> Workload:
    """The target that runs pods; ManifestError for one that Flagger would not start with."""
    origin = Origin.of(canary, documents)
    document = found(canary, documents)
    _check_strategy(document)
    for label in LABELS:
        if label in _selected(document):
            one = Workload(document, label)
            _check_port(canary, one, origin)
            return one
    text = f"{canary.kind} `{document.name}`: `spec.selector.matchLabels` must contain one of {listed(LABELS)}; "
    text += "Flagger tells primary and canary apart by it"
    raise refuse(document, "missing-field", text, "spec", "selector", "matchLabels")


def found(canary: Canary, documents: Documents) -> Document:
    """The document of the target, of whatever kind."""
    origin = Origin.of(canary, documents)
    _check_alone(canary, documents, origin)
    kind = KINDS[canary.kind]
    for document in documents.of(kind):
        if (document.namespace, document.name) == (canary.namespace, canary.target):
            return document
    raise origin.refuse("unknown-target", _missing(canary, documents.of(kind)), "spec", "targetRef", "name")


def _missing(canary: Canary, others: list[Document]) -> str:
    text = f"there is no {canary.kind} `{canary.target}` in namespace `{canary.namespace}`"
    elsewhere = [one.namespace for one in others if one.name == canary.target]
    near = nearest(canary.target, [one.name for one in others if one.namespace == canary.namespace])
    if elsewhere:
        return f"{text}, only in {listed(elsewhere)}; a Canary and its target share one namespace"
    return f"{text}; did you mean `{near}`?" if near else f"{text}; is its file among those that were given?"


def _check_alone(canary: Canary, documents: Documents, origin: Origin) -> None:
    """Two Canaries would scale one target, or write one route, against each other."""
    for other in documents.of(KIND):
        if other.namespace != canary.namespace or other.name == canary.name:
            continue
        for path, mine in ((("targetRef", "name"), canary.target), (("service", "name"), canary.service.name)):
            if mine in _named(other, canary.kind, path):
                text = f"Canary `{other.name}` ({other.where()}) has `spec.{'.'.join(path)}` {mine!r}, too; "
                text += "one Canary is all that a target and a service can have"
                raise origin.refuse("duplicate-canary", text, "spec", *path)


def _named(other: Document, kind: str, path: tuple[str, str]) -> set[Any]:
    spec = mapping(other.data.get("spec"))
    target, service = mapping(spec.get("targetRef")), mapping(spec.get("service"))
    if path[0] == "service":
        return {service.get("name") or target.get("name")}
    return {target.get("name")} if target.get("kind") == kind else set()


def _selected(document: Document) -> Json:
    selector = mapping(mapping(document.data.get("spec")).get("selector"))
    return mapping(selector.get("matchLabels"))


def _check_strategy(document: Document) -> None:
    """Flagger makes no primary of a DaemonSet whose pods are replaced by hand."""
    strategy = mapping(mapping(document.data.get("spec")).get("updateStrategy"))
    if document.kind == DAEMON_SET and strategy.get("type", "RollingUpdate") != "RollingUpdate":
        text = f"DaemonSet `{document.name}` must have RollingUpdate strategy but has {strategy['type']}: "
        text += "Flagger makes no primary of it"
        raise refuse(document, "not-supported", text, "spec", "updateStrategy", "type")


def _check_port(canary: Canary, one: Workload, origin: Origin) -> None:
    """A workload that names no port may serve any."""
    service, ports = canary.service, [port for _, port in one.ports()]
    wanted = service.target_port or service.port
    key = "name" if isinstance(wanted, str) else "containerPort"
    known = [port.get(key) for port in ports]
    if wanted in known or not (ports or key == "name"):
        return
    field = "targetPort" if service.target_port else "port"
    whose = f"{canary.kind} `{one.name}` ({one.document.where()})"
    text = f"`spec.service.{field}` is {wanted}, and {whose} has no such port; "
    text += f"it has: {listed(str(port) for port in known if port) or 'none'}"
    raise origin.refuse("unknown-port", text, "spec", "service", field)
