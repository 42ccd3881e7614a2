"""Moving traffic: edits of HTTPRoutes. Pure: documents in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshtest.errors import UsageError
from meshtest.manifests import patch
from meshtest.manifests.apex import led_to
from meshtest.manifests.gateway_api import kinds, render, rules
from meshtest.manifests.gateway_api.rules import MATCH_PREFIX, Rule, host_of
from meshtest.manifests.gateway_api.versions import selected_by, service_of
from meshtest.manifests.weights import check_weights
from meshtest.model.document import Document, Documents
from meshtest.model.route import Fault, Match
from meshtest.model.service import Service
from meshtest.model.topology import Topology

Json = dict[str, Any]

NO_BACKEND = "every request would get 500"


def set_weights(
    documents: Documents, topology: Topology, host: str, weights: Mapping[str, int], *, rule: str = ""
) -> Documents:
    """Each rule's backendRefs become the Services of these versions in these shares; filters of a backend stay."""
    check_weights(weights, all_zero=NO_BACKEND)
    services = {version: service_of(topology, host, version) for version in weights}
    documents = documents if rule else rules.routed(documents, topology, host)

    def split(document: Document, found: Rule) -> Document:
        entries = [{**_entry(found, services[v]), "weight": weight} for v, weight in weights.items() if weight]
        return patch.put(document, (*found.path, "backendRefs"), [*entries, *_resting(topology, host, found, entries)])

    return rules.change(documents, rules.movable(documents, topology, host, rule), split)


def _resting(topology: Topology, host: str, rule: Rule, entries: list[Json]) -> list[Json]:
    """What no selector makes a version of the host, only this rule: it stays in it, with weight 0."""
    served = {host_of(entry, rule.document) for entry in entries}
    known = {service.fqdn for service in led_to(topology, host)} - {s.fqdn for s in selected_by(topology, host)}
    left = [e for e in rule.data.get("backendRefs") or () if host_of(e, rule.document) in known - served]
    return [{**entry, "weight": 0} for entry in left]


def _entry(rule: Rule, service: Service) -> Json:
    """The reference to that Service as it stands, or a new one with the port its neighbours have."""
    entries = rule.data.get("backendRefs") or []
    same = next((e for e in entries if host_of(e, rule.document) == service.fqdn), None)
    if same is not None:
        return {key: value for key, value in same.items() if key != "weight"}
    ports = [port.number for port in service.ports]
    asked = next((e["port"] for e in entries if e.get("port") in ports), ports[0])
    entry: Json = {"name": service.name, "port": asked}
    return entry if service.namespace == rule.document.namespace else {**entry, "namespace": service.namespace}


def set_mirror(
    documents: Documents, topology: Topology, host: str, to: str, *, percent: float, rule: str = ""
) -> Documents:
    """Copies of the rules' requests go to the version's Service beside any other mirror; percent 0 ends it."""
    if not 0 <= percent <= 100:
        raise UsageError(f"the mirrored share must be 0 to 100 percent, not {percent:g}")
    service = service_of(topology, host, to)
    documents = documents if rule else rules.routed(documents, topology, host)

    def mirror(document: Document, found: Rule) -> Document:
        kept = [f for f in found.data.get("filters") or () if not _mirrors_to(f, service, document)]
        entry = {k: v for k, v in _entry(found, service).items() if k != "filters"}
        added = [{"type": "RequestMirror", "requestMirror": {"backendRef": entry, **_share(percent)}}]
        wanted = [*kept, *added] if percent else kept
        if wanted or "filters" in found.data:
            return patch.put(document, (*found.path, "filters"), wanted)
        return document

    return rules.change(documents, rules.movable(documents, topology, host, rule), mirror)


def _mirrors_to(one: Json, service: Service, document: Document) -> bool:
    target = (one.get("requestMirror") or {}).get("backendRef") or {}
    return one.get("type") == "RequestMirror" and host_of(target, document) == service.fqdn


def _share(percent: float) -> Json:
    """Nothing for all; whole percents as such, others as a fraction."""
    if percent == 100:
        return {}
    if percent == int(percent):
        return {"percent": int(percent)}
    return {"fraction": {"numerator": round(percent * 1000), "denominator": 100_000}}


def set_match(documents: Documents, topology: Topology, host: str, match: Match, to: str) -> Documents:
    """Copies of the default rules, narrowed to the match: more specific, so they come first. One for it is replaced."""
    service = service_of(topology, host, to)
    documents = rules.routed(documents, topology, host)
    rendered = render.match(match)
    name = MATCH_PREFIX + render.digest(rendered)
    documents = rules.without(documents, lambda rule: _is_copy(rule, name, rendered) and service.fqdn in rule.hosts)
    changed: dict[tuple[str, str, str], Document] = {}
    for number, rule in reversed([*enumerate(rules.default_rules(documents, topology, host))]):
        found = [both for own in rule.data.get("matches") or [{}] if (both := render.both(own, rendered)) is not None]
        document = changed.get(rule.document.key, rule.document)
        kept = {key: value for key, value in rule.data.items() if key not in ("name", "matches", "backendRefs")}
        entry = {**_entry(rule, service), "weight": 1}
        copy = {"matches": found or [rendered], **kept, "backendRefs": [entry]}
        if document.kind == kinds.HTTP_ROUTE:
            copy = {"name": f"{name}-{number}" if number else name, **copy}
        else:
            document = _marked(document, copy["matches"])
        changed[document.key] = patch.insert(document, ("spec", "rules"), 0, copy)
    return documents.apply(changed.values())


def _is_copy(rule: Rule, name: str, rendered: Json) -> bool:
    """It was put in for this match."""
    return rule.name.startswith(name) or (rule.ours and rendered in rule.matches)


def _marked(document: Document, matches: list[Json]) -> Document:
    digests = dict.fromkeys((*rules.marked(document), render.digest(matches)))
    annotations = document.metadata.get("annotations") or {}
    return patch.put(document, ("metadata", "annotations"), {**annotations, rules.MARK: " ".join(digests)})


def set_fault(
    documents: Documents, topology: Topology, host: str, fault: Fault | None, *, match: Match | None = None
) -> Documents:
    """There is no such filter in Gateway API, so there is nothing to add, and nothing to take away."""
    if fault is None:
        return documents
    raise UsageError(
        f"an HTTPRoute has no filter that injects faults into requests of {host}; let the version itself fail "
        "(a fault at the destination), or route the host by a VirtualService"
    )
