"""VirtualService: its http rules as routes, in their order; each `match` entry is a route of its own.

Not here: rules that other VirtualServices hold (delegates.py), tcp and tls (streams.py), whether destinations exist
(links.py), what one caller sees of the routes (manifests/hosts.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from meshtest.manifests.istio import actions, names
from meshtest.manifests.istio.destinations import entries, target, weights
from meshtest.manifests.istio.fields import VIRTUAL_SERVICE
from meshtest.manifests.istio.match import match
from meshtest.manifests.istio.streams import tcp_routes, tls_routes
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.route import MESH, Destination, Match, Mirror, Rewrite, Route, RouteTable

ACTIONS = ("route", "redirect", "directResponse")
ROOT_ONLY = ("gateways", "tcp", "tls")
"""What a VirtualService without hosts may not have (Istio's validation)."""

Dests = tuple[Destination, ...]

Expand = Callable[[View], Iterator[Route]]
"""The routes of a rule that delegates."""


@per_document
def virtual_service(document: Document, notes: list[Diagnostic]) -> RouteTable | None:
    """None for one that routes nothing by itself, as a delegate. Rules that delegate are left out here."""
    view = View.of(document, VIRTUAL_SERVICE, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    if spec.strings("hosts"):
        table = table_of(spec)
        return table if table.routes or table.tcp or table.tls or delegating(document) else None
    for key in ROOT_ONLY:
        if key in spec:
            spec.error("bad-value", f"{spec.name(key)}: a VirtualService without hosts (a delegate) has no {key}", key)
    for index in delegating(document):
        text = f"{spec.name('http', index)}: a delegate cannot delegate further (Istio)"
        spec.error("nested-delegate", text, "http", index, "delegate")
    list(_routes(spec))
    return None


def delegating(document: Document) -> list[int]:
    """Which http rules leave their routes to another VirtualService."""
    rules = (document.data.get("spec") or {}).get("http")
    listed = rules if isinstance(rules, list) else []
    return [index for index, rule in enumerate(listed) if isinstance(rule, dict) and rule.get("delegate") is not None]


def table_of(spec: View, expand: Expand | None = None) -> RouteTable:
    document, namespace = spec.document, spec.document.namespace
    return RouteTable(
        name=document.name,
        namespace=namespace,
        hosts=tuple(names.fqdn(host, namespace) for host in spec.strings("hosts")),
        gateways=tuple(names.gateway(g, namespace) for g in spec.strings("gateways")) or (MESH,),
        routes=tuple(_routes(spec, expand)),
        tls=tuple(tls_routes(spec)),
        tcp=tuple(tcp_routes(spec)),
        visible_to=names.visible_to(spec.strings("exportTo"), namespace),
        created=names.age(document)[0],
        source=document.where(),
    )


def _routes(spec: View, expand: Expand | None = None) -> Iterator[Route]:
    """Rules behind one that takes everything are told and kept: hosts.py ends at the first that counts for a caller."""
    catch_all: View | None = None
    for rule in spec.children("http"):
        if catch_all is not None:
            text = f"{rule.name()} is never reached: {catch_all.name()} ({catch_all.source()}) takes every request"
            rule.warn("unreachable-rule", text)
        matches = matches_of(rule)
        if "delegate" in rule:
            _check_delegating(rule)
            template = None
            found = list(expand(rule)) if expand else []
        else:
            template = rule_of(rule)
            found = named(template, matches) if template else []
        if any(takes_all(route.match) for route in found):
            catch_all = catch_all or rule
        yield from found


def matches_of(rule: View) -> list[Match]:
    """A rule without conditions takes everything."""
    return [match(m) for m in rule.children("match")] or [Match()]


def named(template: Route, matches: Sequence[Match]) -> list[Route]:
    """The route once a match; its name is the rule's and the match's (Istio)."""
    return [
        replace(template, name=f"{template.name}.{found.name}" if found.name else template.name, match=found)
        for found in matches
    ]


def takes_all(match: Match) -> bool:
    """Every request of every caller."""
    limited = match.port or match.caller_labels or match.caller_namespace or match.gateways
    return match.is_catch_all and not limited


def _check_delegating(rule: View) -> None:
    for key in ("route", "redirect"):
        if key in rule:
            rule.error("bad-value", f"{rule.name(key)}: a rule that delegates has no {key} of its own (Istio)", key)


def rule_of(rule: View, root: View | None = None) -> Route | None:
    """What a rule does, whichever requests it takes. None when it does nothing that is supported.

    `root` is the rule that delegates to this one: what is not said here, it says (Istio's mergeHTTPRoute).
    """
    if not _one_action(rule):
        return None

    def said(key: str) -> View:
        return rule if root is None or key in rule else root

    request, response, authority = actions.header_edits(said("headers").child("headers"))
    direct = actions.direct_response(said("directResponse").child("directResponse"))
    destinations = () if direct else _destinations(rule)
    rewrite = actions.rewrite(said("rewrite").child("rewrite"), authority)
    if len(destinations) == 1 or (rewrite and rewrite.authority):
        rewrite, destinations = _whole(rewrite, destinations)
    return Route(
        name="-".join(name for name in ((root.string("name") if root else ""), rule.string("name")) if name),
        destinations=destinations,
        redirect=actions.redirect(rule.child("redirect")),
        direct_response=direct,
        rewrite=rewrite,
        timeout=said("timeout").duration("timeout") or None,
        retry=actions.retry(said("retries").child("retries")) if destinations else None,
        fault=actions.fault(said("fault").child("fault")),
        mirrors=tuple(_mirrors(rule, root)),
        cors=actions.cors(said("corsPolicy").child("corsPolicy")),
        request_headers=request,
        response_headers=response,
        source=rule.source(),
    )


def _whole(rewrite: Rewrite | None, destinations: Sequence[Destination]) -> tuple[Rewrite | None, Dests]:
    """One authority for all requests: the rule's, else that of the only destination."""
    own = next((d.rewrite.authority for d in destinations if d.rewrite), "")
    if own and not (rewrite and rewrite.authority):
        rewrite = replace(rewrite or Rewrite(), authority=own)
    return rewrite, tuple(replace(d, rewrite=None) if d.rewrite else d for d in destinations)


def _one_action(rule: View) -> bool:
    given = [action for action in ACTIONS if action in rule]
    if not given and "delegate" not in rule:
        rule.error("missing-field", f"{rule.name()} needs one of {', '.join(ACTIONS)}")
    if len(given) > 1:
        rule.error("bad-value", f"{rule.name()} takes one of {', '.join(ACTIONS)}; it has {' and '.join(given)}")
    return len(given) == 1


def _destinations(rule: View) -> tuple[Destination, ...]:
    """The destinations that get requests; a `host` header of one is its authority (Istio's processDestination)."""
    views = entries(rule)
    found: list[Destination] = []
    for entry, weight in zip(views, weights(rule, views), strict=True):
        request, response, authority = actions.header_edits(entry.child("headers"))
        to = target(entry, "destination")
        if to is not None and weight:
            rewrite = Rewrite(authority=authority) if authority else None
            to = replace(to, weight=weight, request_headers=request, response_headers=response, rewrite=rewrite)
            found.append(to)
    return tuple(found)


def _mirrors(rule: View, root: View | None) -> Iterator[Mirror]:
    """`mirror` with one of three spellings of its percentage, or `mirrors`; default 100, and 0 means none."""
    layers = [rule] if root is None else [rule, root]
    if "mirror" in rule and "mirrors" in rule:
        rule.error("bad-value", f"{rule.name()} takes one of mirror, mirrors; it has both")
    percents = [actions.percentage(view, "mirrorPercentage") for view in layers]
    percents += [view.integer(k, least=0, most=100) for k in ("mirrorPercent", "mirror_percent") for view in layers]
    percent = next((p for p in percents if p is not None), 100.0)
    owner = next((view for view in layers if "mirror" in view), None)
    if owner is not None and (to := target(owner, "mirror")) and percent:
        yield Mirror(destination=to, percent=float(percent))
    owner = next((view for view in layers if "mirrors" in view), rule)
    for entry in owner.children("mirrors"):
        share = actions.percentage(entry, "percentage")
        to = target(entry, "destination")
        if to and share != 0:
            yield Mirror(destination=to, percent=100.0 if share is None else share)
