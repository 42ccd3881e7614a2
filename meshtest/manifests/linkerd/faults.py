"""Faults in a mesh that has no fault filter: a share of the requests goes to a backend that only fails. Pure.

    web 90, web-canary 10   ── 30 % fail ─►   web 63, web-canary 7, meshtest-fault-web 30

Linkerd's users do it so (linkerd.io, tasks, "Injecting Faults"). Unlike a fault of Istio, one of these meets the
retries and the failure accrual of the mesh, for an endpoint has answered. Here a retry stays with the backend that was
chosen first, so it does not escape the fault as it may with Linkerd's own proxy (a warning of the dialect says so).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from math import gcd
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.manifests import error_backends as backends
from meshtest.manifests import patch
from meshtest.manifests.gateway_api import render, rules
from meshtest.manifests.gateway_api.rules import Rule
from meshtest.model.document import Document, Documents
from meshtest.model.route import Abort, Fault, HeaderMatch, Match, StringMatch
from meshtest.model.service import Service
from meshtest.model.topology import Topology

Json = dict[str, Any]

GENERATED = ("/Service", "apps/Deployment")


@dataclass(frozen=True)
class Standing:
    """A fault that is in these documents."""

    host: str
    fault: Fault
    match: Match | None


def added(documents: Documents, topology: Topology, standing: Standing) -> Documents:
    """With the fault, in place of one that stood there for the same host."""
    host, fault, match = standing.host, standing.fault, standing.match
    abort = check(host, fault)
    service = topology.service(host)
    documents = rules.routed(without(documents, host), topology, host)
    assert service is not None, "routed() has refused a host that is none"
    chosen = rules.default_rules(documents, topology, host)
    wish: Json = {"host": host, "status": abort.http_status, "percent": abort.percent, "match": _written(match)}

    def broken(document: Document, rule: Rule) -> Document:
        return patch.put(document, (*rule.path, "backendRefs"), with_errors(rule.data, service, abort.percent))

    if match is None:
        weights = {_place(rule): [entry.get("weight") for entry in rule.data["backendRefs"]] for rule in chosen}
        documents, wish = rules.change(documents, chosen, broken), {**wish, "weights": weights}
    else:
        narrowed = _narrowed(chosen, service, abort.percent, render.match(match))
        documents, wish = documents.apply(narrowed), {**wish, "routes": [list(route.key) for route in narrowed]}
    return documents.apply(backends.documents(service, abort.http_status or 0, wish))


def check(host: str, fault: Fault) -> Abort:
    """The part that can be emulated; UsageError for the rest."""
    short = host.partition(".")[0]
    if fault.delay is not None:
        raise UsageError(
            f"Linkerd has no filter that delays requests of {short}, and a backend that is slow would answer in place "
            f'of {short}; delay the version itself: mesh.fault("{short}@VERSION", delay=...)'
        )
    if fault.abort is None or fault.abort.http_status is None:
        raise UsageError(f"a fault of {short} in a Linkerd mesh is an HTTP status: abort=503")
    return fault.abort


def with_errors(rule: Json, service: Service, percent: float) -> list[Json]:
    """The rule's backends with what is left of their shares, and the one that fails."""
    entries = rule["backendRefs"]
    share = Fraction(str(percent)) / 100
    weights = [Fraction(entry.get("weight", 1)) for entry in entries]
    exact = [weight * (1 - share) for weight in weights] + [sum(weights) * share]
    whole = 1
    for value in exact:
        whole = whole * value.denominator // gcd(whole, value.denominator)
    scaled = [int(value * whole) for value in exact]
    divisor = gcd(*scaled) or 1
    port = next((entry["port"] for entry in entries if entry.get("port")), service.ports[0].number)
    if port not in {known.number for known in service.ports}:
        port = service.ports[0].number
    failing = {"name": backends.name_of(service), "namespace": service.namespace, "port": port}
    return [{**entry, "weight": weight // divisor} for entry, weight in zip([*entries, failing], scaled, strict=True)]


def _narrowed(chosen: list[Rule], service: Service, percent: float, rendered: Json) -> list[Document]:
    """Routes of their own for the requests that match, beside those they are copied from: more specific, so first."""
    copies: dict[tuple[str, str, str], tuple[Document, list[Json]]] = {}
    for rule in chosen:
        own = rule.matches or [{}]
        matches = [both for one in own if (both := render.both(one, rendered)) is not None]
        copy = {**rule.data, "matches": matches, "backendRefs": with_errors(rule.data, service, percent)}
        if matches:
            copies.setdefault(rule.document.key, (rule.document, []))[1].append(copy)
    return [_copied(document, service, found) for document, found in copies.values()]


def _copied(document: Document, service: Service, found: list[Json]) -> Document:
    metadata = {
        "name": f"{backends.name_of(service)}-{document.name}",
        "namespace": document.namespace,
        "annotations": dict(document.metadata.get("annotations") or {}),
    }
    spec = {**document.data["spec"], "rules": found}
    return Document({**document.data, "metadata": metadata, "spec": spec}, "<generated>")


# -- out again


def without(documents: Documents, host: str) -> Documents:
    """The routes as they were before the fault of the host, and none of what was generated for it."""
    made = next((d for d in documents.of("/Service") if (w := _wish(d)) and w["host"] == host), None)
    if made is None:
        return documents
    wish = _wish(made)
    failing = f"{made.name}.{made.namespace}."
    hit = [rule for rule in rules.all_rules(documents) if any(_fails(e, rule, failing) for e in _entries(rule))]
    documents = rules.change(documents, hit, _healed(failing, wish.get("weights", {})))
    gone = {(kind, made.namespace, made.name) for kind in GENERATED} | {tuple(key) for key in wish.get("routes", ())}
    return Documents(tuple(document for document in documents if document.key not in gone))


def _healed(failing: str, weights: Json) -> Callable[[Document, Rule], Document]:
    def heal(document: Document, rule: Rule) -> Document:
        kept = [entry for entry in _entries(rule) if not _fails(entry, rule, failing)]
        before = weights.get(_place(rule), [])
        if len(before) == len(kept):
            bare = [{k: v for k, v in entry.items() if k != "weight"} for entry in kept]
            kept = [e if w is None else {**e, "weight": w} for e, w in zip(bare, before, strict=True)]
        return patch.put(document, (*rule.path, "backendRefs"), kept)

    return heal


def standing(documents: Documents) -> list[Standing]:
    """All faults that are in force here."""
    wishes = [wish for document in documents.of("/Service") if (wish := _wish(document))]
    return [
        Standing(
            wish["host"],
            Fault(abort=Abort(http_status=wish["status"], percent=wish["percent"])),
            _read(wish["match"]),
        )
        for wish in wishes
    ]


def _wish(document: Document) -> Json:
    """What the generated Service was made for; {} of the user's own."""
    if not backends.is_error_backend(document.name):
        return {}
    text = (document.metadata.get("annotations") or {}).get(backends.WISH)
    found: Json = json.loads(text) if text else {}
    return found


def _entries(rule: Rule) -> list[Json]:
    return rule.data.get("backendRefs") or []


def _fails(entry: Json, rule: Rule, failing: str) -> bool:
    return rules.host_of(entry, rule.document).startswith(failing)


def _place(rule: Rule) -> str:
    return "|".join((*rule.document.key, str(rule.index)))


def _written(match: Match | None) -> Json | None:
    return {header.name: [header.match.kind, header.match.value] for header in match.headers} if match else None


def _read(written: Json | None) -> Match | None:
    if written is None:
        return None
    headers = (
        HeaderMatch(name=name, match=StringMatch(kind=kind, value=value)) for name, (kind, value) in written.items()
    )
    return Match(headers=tuple(headers))
