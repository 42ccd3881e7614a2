"""VirtualService: its http rules as routes, in their order; each `match` entry is a route of its own.

Not here: whether destinations exist (links.py), what one caller sees of the routes (manifests/hosts.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshtest.manifests.istio import actions, names
from meshtest.manifests.istio.fields import VIRTUAL_SERVICE
from meshtest.manifests.istio.match import match
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.route import MESH, Destination, Match, Mirror, Route, RouteTable

ACTIONS = ("route", "redirect", "directResponse")


@per_document
def virtual_service(document: Document, notes: list[Diagnostic]) -> RouteTable | None:
    """None for one that routes no HTTP, or is only a part of others (a delegate)."""
    view = View.of(document, VIRTUAL_SERVICE, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    namespace = document.namespace
    hosts = spec.strings("hosts")
    if not hosts:
        spec.not_supported("a VirtualService without hosts is a delegate, and is left out", "hosts")
        return None
    table = RouteTable(
        name=document.name,
        namespace=namespace,
        hosts=tuple(names.fqdn(host, namespace) for host in hosts),
        gateways=tuple(names.gateway(g, namespace) for g in spec.strings("gateways")) or (MESH,),
        routes=tuple(_routes(spec)),
        visible_to=names.visible_to(spec.strings("exportTo"), namespace),
        created=names.age(document)[0],
        source=document.where(),
    )
    return table if table.routes else None


def _routes(spec: View) -> Iterator[Route]:
    """Rules behind one that takes everything are told and kept: hosts.py ends at the first that counts for a caller."""
    catch_all: View | None = None
    for rule in spec.children("http"):
        if catch_all is not None:
            text = f"{rule.name()} is never reached: {catch_all.name()} ({catch_all.source()}) takes every request"
            rule.warn("unreachable-rule", text)
        matches = [match(m) for m in rule.children("match")] or [Match()]
        template = _rule(rule)
        if template is None:
            continue
        for found in (m for m in matches if m is not None):
            catch_all = catch_all or (rule if takes_all(found) else None)
            name = f"{template.name}.{found.name}" if found.name else template.name
            yield replace(template, name=name, match=found)


def takes_all(match: Match) -> bool:
    """Every request of every caller."""
    limited = match.port or match.caller_labels or match.caller_namespace or match.gateways
    return match.is_catch_all and not limited


def _rule(rule: View) -> Route | None:
    """What a rule does, whichever requests it takes. None when it does nothing that is supported."""
    if not _one_action(rule):
        return None
    request, response, authority = actions.header_edits(rule.child("headers"))
    destinations, only = _destinations(rule)
    return Route(
        name=rule.string("name"),
        destinations=destinations,
        redirect=actions.redirect(rule.child("redirect")),
        direct_response=actions.direct_response(rule.child("directResponse")),
        rewrite=actions.rewrite(rule.child("rewrite"), authority or only),
        timeout=rule.duration("timeout") or None,
        retry=actions.retry(rule.child("retries")) if destinations else None,
        fault=actions.fault(rule.child("fault")),
        mirrors=tuple(_mirrors(rule)),
        cors=actions.cors(rule.child("corsPolicy")),
        request_headers=request,
        response_headers=response,
        source=rule.source(),
    )


def _one_action(rule: View) -> bool:
    given = [action for action in ACTIONS if action in rule]
    if not given and "delegate" not in rule:
        rule.error("missing-field", f"{rule.name()} needs one of {', '.join(ACTIONS)}")
    if len(given) > 1:
        rule.error("bad-value", f"{rule.name()} takes one of {', '.join(ACTIONS)}; it has {' and '.join(given)}")
    return len(given) == 1


def _destinations(rule: View) -> tuple[tuple[Destination, ...], str]:
    """The destinations that get requests, and the authority that the only one asks for."""
    entries = rule.children("route")
    if "route" in rule and not entries:
        rule.error("missing-field", f"{rule.name('route')} needs at least one destination", "route")
    weights = _weights(rule, entries)
    found: list[Destination] = []
    only = ""
    for entry, weight in zip(entries, weights, strict=True):
        request, response, authority = actions.header_edits(entry.child("headers"))
        if authority and len(entries) > 1:
            entry.not_supported("the host can be set for the whole rule only", "headers")
        only = authority if len(entries) == 1 else ""
        target = _target(entry, "destination")
        if target is not None and weight:
            found.append(replace(target, weight=weight, request_headers=request, response_headers=response))
    return tuple(found), only


def _weights(rule: View, entries: list[View]) -> list[int]:
    """A single destination gets all; of several, those without a weight get none (Istio)."""
    if len(entries) == 1:
        entries[0].integer("weight", least=0)
        return [1]
    errors = len(rule.notes)
    weights = [entry.integer("weight", least=0) or 0 for entry in entries]
    if entries and not any(weights) and len(rule.notes) == errors:
        text = f"the weights of {rule.name('route')} sum to 0, so no request could go anywhere"
        rule.error("bad-weights", text, "route")
    return weights


def _target(view: View, key: str) -> Destination | None:
    """A destination as written; port 0 until links.py knows the service."""
    below = view.child(key)
    if below is None:
        view.require(key)
        return None
    if not below.require("host"):
        return None
    port = below.child("port")
    return Destination(
        host=names.fqdn(below.string("host"), view.document.namespace),
        port=(port.port("number") or 0) if port else 0,
        subset=below.string("subset"),
        source=below.source(),
    )


def _mirrors(rule: View) -> Iterator[Mirror]:
    """`mirror` with one of three spellings of its percentage, or `mirrors`; default 100, and 0 means none."""
    if "mirror" in rule and "mirrors" in rule:
        rule.error("bad-value", f"{rule.name()} takes one of mirror, mirrors; it has both")
    percents = [actions.percentage(rule, "mirrorPercentage")]
    percents += [rule.integer(key, least=0, most=100) for key in ("mirrorPercent", "mirror_percent")]
    percent = next((p for p in percents if p is not None), 100.0)
    if "mirror" in rule and (target := _target(rule, "mirror")) and percent:
        yield Mirror(destination=target, percent=float(percent))
    for entry in rule.children("mirrors"):
        share = actions.percentage(entry, "percentage")
        target = _target(entry, "destination")
        if target and share != 0:
            yield Mirror(destination=target, percent=100.0 if share is None else share)
