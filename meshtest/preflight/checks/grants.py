"""References of routes into other namespaces, which must be granted there. Ours; Gateway API: ReferenceGrant."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.model.document import Document, Path
from meshtest.preflight.dig import Object, objects, text
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
        for j, reference in objects(rule, "backendRefs"):
            yield ("spec", "rules", i, "backendRefs", j), reference, "Service"


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
