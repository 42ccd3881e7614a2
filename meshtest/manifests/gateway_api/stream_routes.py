"""TLSRoute and TCPRoute: connections by server name, or by the port they come in on."""

from __future__ import annotations

from meshtest.manifests.fields import Fields
from meshtest.manifests.gateway_api import kinds, route
from meshtest.manifests.gateway_api.fields import TCP_ROUTE, TLS_ROUTE
from meshtest.manifests.gateway_api.route import RouteSpec, Rule
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document


@per_document
def tls_route(document: Document, notes: list[Diagnostic]) -> RouteSpec | None:
    return _stream_route(document, notes, kinds.TLS_ROUTE, TLS_ROUTE)


@per_document
def tcp_route(document: Document, notes: list[Diagnostic]) -> RouteSpec | None:
    return _stream_route(document, notes, kinds.TCP_ROUTE, TCP_ROUTE)


def _stream_route(document: Document, notes: list[Diagnostic], kind: str, table: Fields) -> RouteSpec | None:
    view = View.of(document, table, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    spec.require("rules")
    rules = spec.children("rules")
    if len(rules) > 1:
        spec.error("bad-value", f"{spec.name('rules')} takes one rule: nothing could choose among several", "rules")
    return RouteSpec(
        kind=kind,
        namespace=document.namespace,
        name=document.name,
        parents=route.parents(spec),
        hostnames=route.hostnames(spec) if kind == kinds.TLS_ROUTE else (),
        rules=tuple(_rule(rule) for rule in rules[:1]),
        created=route.created(view),
        source=document.where(),
    )


def _rule(view: View) -> Rule:
    return Rule(name=view.string("name"), backends=tuple(route.backends(view)), source=view.source())
