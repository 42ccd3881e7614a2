"""HTTPRoute: its rules with the defaults of the CRD filled in."""

from __future__ import annotations

from collections.abc import Callable

from meshtest.manifests.fields import Fields
from meshtest.manifests.gateway_api import kinds, route
from meshtest.manifests.gateway_api.fields import HTTP_ROUTE
from meshtest.manifests.gateway_api.filters import check_prefixes, filters
from meshtest.manifests.gateway_api.matches import EVERYTHING, http_match
from meshtest.manifests.gateway_api.route import Retries, RouteSpec, Rule
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.route import Match

ALL = (Match(path=EVERYTHING),)


@per_document
def http_route(document: Document, notes: list[Diagnostic]) -> RouteSpec | None:
    return read_route(document, notes, kinds.HTTP_ROUTE, HTTP_ROUTE)


def read_route(
    document: Document, notes: list[Diagnostic], kind: str, fields: Fields, rule: Callable[[View], Rule] | None = None
) -> RouteSpec | None:
    """Also of other kinds and groups whose routes have this shape; `rule` reads one of theirs."""
    read = rule or _rule
    view = View.of(document, fields, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    rules = tuple(read(one) for one in spec.children("rules"))
    return RouteSpec(
        kind=kind,
        namespace=document.namespace,
        name=document.name,
        parents=route.parents(spec),
        hostnames=route.hostnames(spec),
        rules=rules if "rules" in spec else (Rule(matches=ALL, source=spec.source()),),
        created=route.created(view),
        source=document.where(),
    )


def _rule(view: View) -> Rule:
    matches = tuple(http_match(one) for one in view.children("matches")) or ALL
    found = filters(view)
    check_prefixes(view, found, matches)
    backends = tuple(route.backends(view))
    for one, below in zip(backends, view.children("backendRefs"), strict=True):
        check_prefixes(below, one.filters, matches)
    if backends and found.redirect is not None:
        view.error("bad-value", f"{view.name()} takes one of RequestRedirect, backendRefs; it has both")
    timeouts = view.child("timeouts")
    whole, one_try = (timeouts.duration("request"), timeouts.duration("backendRequest")) if timeouts else (None, None)
    if timeouts and whole and one_try and one_try > whole:
        timeouts.error("bad-value", f"{timeouts.name('backendRequest')} must not be longer than `request`")
    return Rule(
        name=view.string("name") if "name" in view.fields.read else "",
        matches=matches,
        filters=found,
        backends=backends,
        request_timeout=whole or None,
        backend_timeout=one_try or None,
        retries=_retries(view.child("retry")) if "retry" in view.fields.read else None,
        source=view.source(),
    )


def _retries(view: View | None) -> Retries | None:
    if view is None:
        return None
    attempts, backoff = view.integer("attempts", least=0), view.duration("backoff")
    return Retries(codes=_codes(view), attempts=attempts, backoff=backoff)


def _codes(view: View) -> tuple[int, ...]:
    codes = view.integers("codes")
    if any(not 400 <= code < 600 for code in codes):
        view.error("bad-value", f"{view.name('codes')} must be statuses from 400 to 599", "codes")
    return tuple(code for code in codes if 400 <= code < 600)
