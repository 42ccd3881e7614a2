"""References between objects: as they are written, with the defaults of the CRDs, and which are granted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.fields import REFERENCE_GRANT
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import NOWHERE, Diagnostic, Source
from meshtest.model.document import Document


@dataclass(frozen=True, kw_only=True)
class ParentRef:
    """What a route, or a ListenerSet, asks to be attached to."""

    kind: str
    """`group/Kind`"""
    namespace: str
    name: str
    section: str = ""
    port: int | None = None
    source: Source = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        below = f"/{self.section}" if self.section else ""
        return f"{self.kind.rpartition('/')[2]} `{self.key}{below}`" + (f" port {self.port}" if self.port else "")


@dataclass(frozen=True, kw_only=True)
class ObjectRef:
    """A Secret, a ConfigMap, a Service."""

    kind: str
    namespace: str
    name: str
    port: int | None = None
    source: Source = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind.rpartition('/')[2]} `{self.key}`"


def parent_ref(view: View, *, default: str = kinds.GATEWAY) -> ParentRef:
    group, _, kind = default.rpartition("/")
    view.require("name")
    plain = "sectionName" not in view.fields.read
    return ParentRef(
        kind=kinds.group_kind(view.string("group", group), view.string("kind", kind)),
        namespace=view.string("namespace") or view.document.namespace,
        name=view.string("name"),
        section="" if plain else view.string("sectionName"),
        port=None if plain else view.port("port"),
        source=view.source(),
    )


def object_ref(view: View, default: str) -> ObjectRef:
    """Of the object's own namespace where none is given, or none can be."""
    group, _, kind = default.rpartition("/")
    view.require("name")
    return ObjectRef(
        kind=kinds.group_kind(view.string("group", group), view.string("kind", kind)),
        namespace=(view.string("namespace") if "namespace" in view.fields.read else "") or view.document.namespace,
        name=view.string("name"),
        port=view.port("port") if "port" in view.fields.read else None,
        source=view.source(),
    )


@dataclass(frozen=True)
class Grant:
    """One ReferenceGrant: objects of its namespace may be referred to by these kinds from these namespaces."""

    namespace: str
    by: frozenset[tuple[str, str]]
    """(`group/Kind`, namespace)"""
    to: frozenset[tuple[str, str]]
    """(`group/Kind`, name); name "" for all."""


@per_document
def reference_grant(document: Document, notes: list[Diagnostic]) -> Grant | None:
    view = View.of(document, REFERENCE_GRANT, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    by, to = set(), set()
    for one in spec.children("from"):
        if one.require("kind") and one.require("namespace"):
            by.add((kinds.group_kind(one.string("group"), one.string("kind")), one.string("namespace")))
    for one in spec.children("to"):
        if one.require("kind"):
            to.add((kinds.group_kind(one.string("group"), one.string("kind")), one.string("name")))
    return Grant(document.namespace, frozenset(by), frozenset(to))


class Grants:
    """All ReferenceGrants together."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._by_namespace: dict[str, list[Grant]] = {}
        for grant in grants:
            self._by_namespace.setdefault(grant.namespace, []).append(grant)

    def allow(self, kind: str, namespace: str, to: ObjectRef) -> bool:
        """Objects of one namespace need no grant; others one of the namespace that is referred to."""
        return namespace == to.namespace or any(
            (kind, namespace) in grant.by and ((to.kind, "") in grant.to or (to.kind, to.name) in grant.to)
            for grant in self._by_namespace.get(to.namespace, ())
        )
