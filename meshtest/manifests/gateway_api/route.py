"""What every kind of route says of itself, before it is compared with other objects. Values only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.filters import Filters, filters
from meshtest.manifests.gateway_api.references import ObjectRef, ParentRef, object_ref, parent_ref
from meshtest.manifests.view import View
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.route import Match

NOTHING = Filters()


@dataclass(frozen=True, kw_only=True)
class BackendRef:
    """A backend of a rule with its weight (default 1)."""

    to: ObjectRef
    weight: int = 1
    filters: Filters = NOTHING


@dataclass(frozen=True, kw_only=True)
class Retries:
    """As the rule says; what is retried beside the codes is Istio's matter (backends.py)."""

    codes: tuple[int, ...] = ()
    attempts: int | None = None
    backoff: float | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: the requests, or connections, that match go to the backends in the shares of their weights."""

    name: str = ""
    matches: tuple[Match, ...] = ()
    filters: Filters = NOTHING
    backends: tuple[BackendRef, ...] = ()
    request_timeout: float | None = None
    backend_timeout: float | None = None
    retries: Retries | None = None
    source: Source = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class RouteSpec:
    """A whole route document."""

    kind: str
    """`group/Kind`"""
    namespace: str
    name: str
    parents: tuple[ParentRef, ...]
    hostnames: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    created: str = ""
    source: Source = field(default=NOWHERE, compare=False)

    @property
    def short_kind(self) -> str:
        return self.kind.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.short_kind} `{self.namespace}/{self.name}`"


def parents(spec: View) -> tuple[ParentRef, ...]:
    if not spec.data.get("parentRefs"):
        spec.warn("not-attached", "this route has no parentRefs, so no request ever reaches it")
    return tuple(parent_ref(view) for view in spec.children("parentRefs"))


def hostnames(spec: View) -> tuple[str, ...]:
    """Lower case, as hosts are compared."""
    return tuple(hostname(spec, text, index) for index, text in enumerate(spec.strings("hostnames")))


def hostname(view: View, text: str, *below: int) -> str:
    if "*" in text and (not text.startswith("*.") or "*" in text[1:]):
        view.error("bad-value", f"{view.name()}: a hostname may begin with `*.`, and has no other wildcard: {text!r}")
    return text.lower()


def backends(rule: View) -> Iterator[BackendRef]:
    for view in rule.children("backendRefs"):
        weight = view.integer("weight", least=0, most=1_000_000)
        yield BackendRef(
            to=object_ref(view, kinds.SERVICE),
            weight=1 if weight is None else weight,
            filters=filters(view) if "filters" in view.fields.read else NOTHING,
        )


def created(view: View) -> str:
    return str(view.document.metadata.get("creationTimestamp") or "")
