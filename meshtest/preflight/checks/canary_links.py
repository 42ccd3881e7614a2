"""What a Flagger Canary refers to, and who else lays hands on it: targets, ports, templates, autoscalers. Ours."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import urlsplit

from meshtest.lib.words import nearest
from meshtest.model.document import Document, Path
from meshtest.preflight.checks.canaries import CANARY
from meshtest.preflight.dig import Object, at, object_at, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import DEPLOYMENT, SERVICE
from meshtest.preflight.rules import across, each
from meshtest.preflight.scene import Scene, pods_of

TEMPLATE = "flagger.app/MetricTemplate"
PROVIDER = "flagger.app/AlertProvider"
SCALERS = {
    "HorizontalPodAutoscaler": "autoscaling/HorizontalPodAutoscaler",
    "ScaledObject": "keda.sh/ScaledObject",
}
TARGETS = {"Deployment": DEPLOYMENT, "DaemonSet": "apps/DaemonSet", "Service": SERVICE}
SPEC: Path = ("spec",)
ANALYSIS = ("spec", "analysis")


@across(CANARY)
def references(scene: Scene) -> Iterator[Hit]:
    """MT032: what is named and not there."""
    for document in scene.of(CANARY):
        for kind, namespace, name, path in _named(document):
            if name and scene.find(kind, namespace, name) is None:
                message = f"there is no {kind.rpartition('/')[2]} `{name}` in `{namespace}`"
                close = nearest(name, [other.name for other in scene.of(kind) if other.namespace == namespace])
                yield Hit("MT032", document, path, message + (f"; did you mean `{close}`?" if close else ""))


@each(CANARY)
def addresses(document: Document) -> Iterator[Hit]:
    """MT040: Flagger takes any text."""
    for index, hook in objects(document.data, *ANALYSIS, "webhooks"):
        url = text(hook, "url")
        if url and (why := _uncallable(url)):
            yield Hit("MT040", document, (*ANALYSIS, "webhooks", index, "url"), f"{text(hook, 'name')}: {url!r} {why}")


def _uncallable(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"is no URL: {error}"
    if parts.scheme not in ("http", "https"):
        return "does not begin with http:// or https://"
    if not parts.hostname:
        return "names no host"
    return "has a space" if re.search(r"\s", url) else ""


Named = tuple[str, str, str, Path]


def _named(document: Document) -> Iterator[Named]:
    """Kind, namespace, name, and the field that says it."""
    own = document.namespace
    for key, kinds in (("targetRef", TARGETS), ("autoscalerRef", SCALERS)):
        found = object_at(document.data, "spec", key)
        if kind := kinds.get(text(found, "kind")):
            yield kind, own, text(found, "name"), (*SPEC, key, "name")
    for below, key, kind in (("metrics", "templateRef", TEMPLATE), ("alerts", "providerRef", PROVIDER)):
        for index, item in objects(document.data, *ANALYSIS, below):
            found = object_at(item, key)
            yield kind, text(found, "namespace") or own, text(found, "name"), (*ANALYSIS, below, index, key, "name")


@across(CANARY)
def ports(scene: Scene) -> Iterator[Hit]:
    """MT033: of a target that declares ports at all."""
    for document in scene.of(CANARY):
        target = _target(scene, document)
        declared = _declared(target) if target else []
        service = object_at(document.data, "spec", "service")
        key = "targetPort" if at(service, "targetPort") else "port"
        wanted = at(service, key)
        if declared and wanted and wanted not in [value for port in declared for value in port]:
            known = ", ".join("/".join(str(value) for value in port if value) for port in declared)
            message = (
                f"`service.{key}` is {wanted}; the containers of `{target.name if target else ''}` declare {known}"
            )
            yield Hit("MT033", document, ("spec", "service", key), message)


def _target(scene: Scene, document: Document) -> Document | None:
    found = object_at(document.data, "spec", "targetRef")
    return scene.find(TARGETS.get(text(found, "kind"), ""), document.namespace, text(found, "name"))


def _declared(target: Document) -> list[tuple[object, object]]:
    """Number and name of each container port."""
    pods = pods_of(target)
    spec: Object = pods.spec if pods else {}
    return [
        (at(port, "containerPort"), at(port, "name"))
        for _, container in objects(spec, "containers")
        for _, port in objects(container, "ports")
    ]


@across(CANARY)
def collisions(scene: Scene) -> Iterator[Hit]:
    """MT034: told at every Canary but the first."""
    first: dict[tuple[str, str, str], Document] = {}
    for document in scene.of(CANARY):
        target = object_at(document.data, "spec", "targetRef")
        service = text(document.data, "spec", "service", "name") or text(target, "name")
        claims = ((("Service", service), ("spec", "service")), ((text(target, "kind"), text(target, "name")), _TARGET))
        for (kind, name), path in claims:
            other = first.setdefault((kind, document.namespace, name), document) if name else document
            if other is not document:
                message = f"the Canary `{other.name}` manages the {kind} `{name}` already"
                yield Hit("MT034", document, path, message)
                break


_TARGET: Path = ("spec", "targetRef")


@across(CANARY)
def scalers(scene: Scene) -> Iterator[Hit]:
    """MT035: autoscalers by what they scale."""
    by_target: dict[tuple[str, str, str], list[Document]] = defaultdict(list)
    for scaler in scene.of(*SCALERS.values()):
        scaled = object_at(scaler.data, "spec", "scaleTargetRef")
        kind = text(scaled, "kind") or "Deployment"  # KEDA's default
        by_target[kind, scaler.namespace, text(scaled, "name")].append(scaler)
    for document in scene.of(CANARY):
        target = object_at(document.data, "spec", "targetRef")
        if object_at(document.data, "spec", "autoscalerRef"):
            continue
        for scaler in by_target[text(target, "kind"), document.namespace, text(target, "name")]:
            kind = scaler.kind.rpartition("/")[2]
            message = f"the {kind} `{scaler.name}` scales the target, and `autoscalerRef` does not name it"
            yield Hit("MT035", document, _TARGET, message)
