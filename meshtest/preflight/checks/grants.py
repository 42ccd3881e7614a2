"""References of Gateway API objects: what they lead to is there, and granted where it is in another namespace. Ours.

Not here: conditions that a cluster has written into the status (conditions.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.model.document import Document, Path
from meshtest.model.service import DOMAIN
from meshtest.preflight.dig import Object, object_at, objects, port, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import GATEWAY_API, K8S_GATEWAY, REFERENCE_GRANT, ROUTES
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Scene


@across(*ROUTES, K8S_GATEWAY)
def granted(scene: Scene) -> Iterator[Hit]:
    """MT022"""
    for document in scene.of(*ROUTES, K8S_GATEWAY):
        for path, reference, usual in references(document):
            namespace = text(reference, "namespace") or document.namespace
            kind, name = text(reference, "kind") or usual, text(reference, "name")
            if namespace != document.namespace and not _allowed(scene, document, reference, kind, namespace):
                message = f"no ReferenceGrant in `{namespace}` lets this refer to {kind} `{name}`"
                yield Hit("MT022", document, path, message)


def references(document: Document) -> Iterator[tuple[Path, Object, str]]:
    """Backends of routes, certificates of gateways; with the kind that is meant when none is named."""
    if document.kind == K8S_GATEWAY:
        for i, listener in objects(document.data, "spec", "listeners"):
            for j, reference in objects(listener, "tls", "certificateRefs"):
                yield ("spec", "listeners", i, "tls", "certificateRefs", j), reference, "Secret"
        return
    for i, rule in objects(document.data, "spec", "rules"):
        path = ("spec", "rules", i)
        yield from _mirrors(rule, path)
        for j, reference in objects(rule, "backendRefs"):
            yield (*path, "backendRefs", j), reference, "Service"
            yield from _mirrors(reference, (*path, "backendRefs", j))


def _mirrors(holder: Object, path: Path) -> Iterator[tuple[Path, Object, str]]:
    """Backends that only copies go to."""
    for index, item in objects(holder, "filters"):
        if reference := object_at(item, "requestMirror", "backendRef"):
            yield (*path, "filters", index, "requestMirror", "backendRef"), reference, "Service"


@across(*ROUTES)
def backends(scene: Scene) -> Iterator[Hit]:
    """MT024: a Service, or a port of it, that is not there."""
    for document in scene.of(*ROUTES):
        for path, reference, usual in references(document):
            if (text(reference, "kind") or usual) != "Service":
                continue
            name, namespace = text(reference, "name"), text(reference, "namespace") or document.namespace
            found = scene.hosts.get(f"{name}.{namespace}.svc.{DOMAIN}", ())
            number = port(reference, "port")
            if not found:
                yield Hit("MT024", document, path, f"there is no Service `{name}` in `{namespace}`")
            elif number is not None and all(number != item.number for host in found for item in host.ports):
                yield Hit("MT024", document, path, f"Service `{name}` has no port {number}")


@across(*ROUTES)
def parents(scene: Scene) -> Iterator[Hit]:
    """MT025: a Gateway that is not there."""
    for document in scene.of(*ROUTES):
        for index, parent in objects(document.data, "spec", "parentRefs"):
            name, namespace = text(parent, "name"), text(parent, "namespace") or document.namespace
            if (text(parent, "kind") or "Gateway") == "Gateway" and not scene.find(K8S_GATEWAY, namespace, name):
                path = ("spec", "parentRefs", index)
                yield Hit("MT025", document, path, f"there is no Gateway `{name}` in `{namespace}`")


def _allowed(scene: Scene, document: Document, reference: Object, kind: str, namespace: str) -> bool:
    return any(
        grant.namespace == namespace
        and any(_from(item, document) for _, item in objects(grant.data, "spec", "from"))
        and any(_to(item, reference, kind) for _, item in objects(grant.data, "spec", "to"))
        for grant in scene.of(REFERENCE_GRANT)
    )


def _from(item: Object, document: Document) -> bool:
    kind = document.kind.partition("/")[2]
    return (text(item, "group"), text(item, "kind"), text(item, "namespace")) == (GATEWAY_API, kind, document.namespace)


def _to(item: Object, reference: Object, kind: str) -> bool:
    named = text(item, "name") in ("", text(reference, "name"))
    return named and text(item, "group") == text(reference, "group") and text(item, "kind") == kind
