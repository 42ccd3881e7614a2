"""Gateway, ListenerSet, GatewayClass, Namespace: listeners as they are written, with the defaults of the CRDs.

Not here: which of them are in force (listeners.py), which routes attach (attachment.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.fields import Fields
from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.fields import GATEWAY, GATEWAY_CLASS, LISTENER_SET, NAMESPACE
from meshtest.manifests.gateway_api.references import ObjectRef, ParentRef, object_ref, parent_ref
from meshtest.manifests.gateway_api.route import created, hostname
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import NOWHERE, Diagnostic, Source
from meshtest.model.document import Document
from meshtest.model.service import Labels, within

FROM = ("All", "Selector", "Same", "None")
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, kw_only=True)
class Namespaces:
    """Which namespaces something may come from."""

    source: str
    """All, Selector, Same, None"""
    labels: Labels = field(default_factory=dict)
    expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(key, operator, values) of a label selector"""

    def admit(self, namespace: str, own: str, known: Mapping[str, Labels]) -> bool:
        """`known`: labels by namespace."""
        if self.source == "Selector":
            labels = {"kubernetes.io/metadata.name": namespace, **known.get(namespace, {})}
            return within(self.labels, labels) and all(_holds(labels, *e) for e in self.expressions)
        return self.source == "All" or (self.source == "Same" and namespace == own)


def _holds(labels: Labels, key: str, operator: str, values: tuple[str, ...]) -> bool:
    """One requirement of a Kubernetes label selector."""
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How clients' certificates are checked."""

    authorities: tuple[ObjectRef, ...]
    insecure_fallback: bool = False


@dataclass(frozen=True, kw_only=True)
class ListenerSpec:
    name: str
    port: int
    protocol: str
    hostname: str = ""
    """"" for every host."""
    passthrough: bool = False
    certificates: tuple[ObjectRef, ...] = ()
    namespaces: Namespaces = Namespaces(source="Same")
    kinds: tuple[str, ...] = ()
    """`group/Kind` of allowed routes; empty: all that the protocol can carry."""
    source: Source = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class GatewaySpec:
    """A Gateway, or a ListenerSet (which has a parent)."""

    kind: str
    namespace: str
    name: str
    listeners: tuple[ListenerSpec, ...]
    parent: ParentRef | None = None
    gateway_class: str = ""
    listener_sets: Namespaces = Namespaces(source="None")
    client_validation: Validation | None = None
    client_validation_of_port: tuple[tuple[int, Validation | None], ...] = ()
    client_certificate: ObjectRef | None = None
    """What the gateway shows to backends that ask for a certificate."""
    created: str = ""
    source: Source = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@per_document
def gateway(document: Document, notes: list[Diagnostic]) -> GatewaySpec | None:
    view, spec = _opened(document, notes, GATEWAY)
    if spec is None:
        return None
    spec.require("gatewayClassName")
    allowed, tls = spec.child("allowedListeners"), spec.child("tls")
    frontend, backend = (tls.child("frontend"), tls.child("backend")) if tls else (None, None)
    certificate = backend.child("clientCertificateRef") if backend else None
    return GatewaySpec(
        kind=kinds.GATEWAY,
        namespace=document.namespace,
        name=document.name,
        gateway_class=spec.string("gatewayClassName"),
        listeners=tuple(_listeners(spec)),
        listener_sets=_namespaces(allowed, "None") if allowed else Namespaces(source="None"),
        client_validation=_validation(frontend.child("default")) if frontend else None,
        client_validation_of_port=tuple(_per_port(frontend)) if frontend else (),
        client_certificate=object_ref(certificate, kinds.SECRET) if certificate else None,
        created=created(view),
        source=document.where(),
    )


@per_document
def listener_set(document: Document, notes: list[Diagnostic]) -> GatewaySpec | None:
    view, spec = _opened(document, notes, LISTENER_SET)
    parent = spec.child("parentRef") if spec is not None else None
    if spec is None or parent is None:
        if spec is not None:
            spec.require("parentRef")
        return None
    return GatewaySpec(
        kind=document.kind,
        namespace=document.namespace,
        name=document.name,
        parent=parent_ref(parent),
        listeners=tuple(_listeners(spec)),
        created=created(view),
        source=document.where(),
    )


@per_document
def gateway_class(document: Document, notes: list[Diagnostic]) -> str:
    """Its name. Whichever controller it names, the embedded mesh plays it."""
    _, spec = _opened(document, notes, GATEWAY_CLASS)
    if spec is not None and spec.require("controllerName"):
        spec.string("controllerName")
    return document.name


@per_document
def namespace(document: Document, notes: list[Diagnostic]) -> tuple[str, Labels]:
    labels, _ = metadata(View.of(document, NAMESPACE, notes))
    return document.name, labels


def _opened(document: Document, notes: list[Diagnostic], table: Fields) -> tuple[View, View | None]:
    view = View.of(document, table, notes)
    metadata(view)
    view.require("spec")
    return view, view.child("spec")


def _listeners(spec: View) -> Iterator[ListenerSpec]:
    spec.require("listeners")
    names: set[str] = set()
    for view in spec.children("listeners"):
        port, name = view.port("port"), view.string("name")
        complete = [view.require(key) for key in ("name", "port", "protocol")]
        if name in names:
            view.error("duplicate-listener", f"a listener is named {name!r} already", "name")
        names.add(name)
        if all(complete) and port is not None:
            yield _listener(view, name, port)


def _listener(view: View, name: str, port: int) -> ListenerSpec:
    tls, allowed = view.child("tls"), view.child("allowedRoutes")
    namespaces = allowed.child("namespaces") if allowed else None
    return ListenerSpec(
        name=name,
        port=port,
        protocol=view.string("protocol"),
        hostname=hostname(view, view.string("hostname")),
        passthrough=tls is not None and tls.choice("mode", ("Terminate", "Passthrough"), "Terminate") == "Passthrough",
        certificates=tuple(object_ref(one, kinds.SECRET) for one in tls.children("certificateRefs")) if tls else (),
        namespaces=_namespaces(namespaces, "Same") if namespaces else Namespaces(source="Same"),
        kinds=tuple(_kinds(allowed)) if allowed else (),
        source=view.source(),
    )


def _kinds(allowed: View) -> Iterator[str]:
    for view in allowed.children("kinds"):
        if view.require("kind"):
            yield kinds.group_kind(view.string("group", kinds.GROUP), view.string("kind"))


def _namespaces(view: View, default: str) -> Namespaces:
    """`namespaces` itself, or what holds it."""
    if "namespaces" in view.fields.read:
        below = view.child("namespaces")
        return _namespaces(below, default) if below else Namespaces(source=default)
    source, selector = view.choice("from", FROM, default), view.child("selector")
    if source == "Selector" and selector is None:
        view.require("selector")
    if selector is None:
        return Namespaces(source=source)
    return Namespaces(
        source=source, labels=selector.string_map("matchLabels"), expressions=tuple(_expressions(selector))
    )


def _expressions(selector: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for view in selector.children("matchExpressions"):
        if view.require("key") and view.require("operator"):
            yield view.string("key"), view.choice("operator", OPERATORS, "In"), view.strings("values")


def _validation(view: View | None) -> Validation | None:
    below = view.child("validation") if view is not None else None
    if below is None:
        return None
    below.require("caCertificateRefs")
    mode = below.choice("mode", ("AllowValidOnly", "AllowInsecureFallback"), "AllowValidOnly")
    return Validation(
        authorities=tuple(object_ref(one, kinds.CONFIG_MAP) for one in below.children("caCertificateRefs")),
        insecure_fallback=mode == "AllowInsecureFallback",
    )


def _per_port(frontend: View) -> Iterator[tuple[int, Validation | None]]:
    for view in frontend.children("perPort"):
        port = view.port("port")
        if view.require("port") and port is not None:
            yield port, _validation(view.child("tls"))
