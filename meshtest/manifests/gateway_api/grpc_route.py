"""GRPCRoute: rules as those of HTTPRoute, for a gRPC method is a path."""

from __future__ import annotations

from meshtest.manifests.gateway_api import kinds, route
from meshtest.manifests.gateway_api.fields import GRPC_ROUTE
from meshtest.manifests.gateway_api.filters import filters
from meshtest.manifests.gateway_api.http_route import ALL
from meshtest.manifests.gateway_api.matches import grpc_match
from meshtest.manifests.gateway_api.route import RouteSpec, Rule
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document


@per_document
def grpc_route(document: Document, notes: list[Diagnostic]) -> RouteSpec | None:
    view = View.of(document, GRPC_ROUTE, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    rules = tuple(_rule(rule) for rule in spec.children("rules"))
    return RouteSpec(
        kind=kinds.GRPC_ROUTE,
        namespace=document.namespace,
        name=document.name,
        parents=route.parents(spec),
        hostnames=route.hostnames(spec),
        rules=rules if "rules" in spec else (Rule(matches=ALL, source=spec.source()),),
        created=route.created(view),
        source=document.where(),
    )


def _rule(view: View) -> Rule:
    return Rule(
        name=view.string("name"),
        matches=tuple(grpc_match(one) for one in view.children("matches")) or ALL,
        filters=filters(view),
        backends=tuple(route.backends(view)),
        source=view.source(),
    )
