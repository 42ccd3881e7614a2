"""GRPCRoute: rules as those of HTTPRoute, for a gRPC method is a path."""

from __future__ import annotations

from meshtest.manifests.gateway_api import kinds, route
from meshtest.manifests.gateway_api.fields import GRPC_ROUTE
from meshtest.manifests.gateway_api.filters import filters
from meshtest.manifests.gateway_api.http_route import ALL, read_route
from meshtest.manifests.gateway_api.matches import grpc_match
from meshtest.manifests.gateway_api.route import RouteSpec, Rule
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document


@per_document
def grpc_route(document: Document, notes: list[Diagnostic]) -> RouteSpec | None:
    return read_route(document, notes, kinds.GRPC_ROUTE, GRPC_ROUTE, _rule)


def _rule(view: View) -> Rule:
    return Rule(
        name=view.string("name"),
        matches=tuple(grpc_match(one) for one in view.children("matches")) or ALL,
        filters=filters(view),
        backends=tuple(route.backends(view)),
        source=view.source(),
    )
