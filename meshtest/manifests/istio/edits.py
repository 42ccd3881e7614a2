"""Moving traffic: edits of VirtualServices (and of DestinationRules that lack a subset). Pure: documents in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from meshtest.errors import UsageError
from meshtest.manifests import patch
from meshtest.manifests.istio import names, render, rules, subsets
from meshtest.manifests.istio.rules import FAULT_PREFIX, MATCH_PREFIX, Rule
from meshtest.manifests.weights import check_weights
from meshtest.model.document import Document, Documents
from meshtest.model.route import Fault, Match
from meshtest.model.topology import Topology

Json = dict[str, Any]


def set_weights(
    documents: Documents, topology: Topology, host: str, weights: Mapping[str, int], *, rule: str = ""
) -> Documents:
    """Each rule's `route` becomes these subsets in these shares; what an entry says beside its weight stays."""
    check_weights(weights)
    documents = subsets.defined(documents, topology, host, weights)
    service = subsets.known(topology, host)
    section = rules.section_of(documents, service)
    documents = documents if rule else rules.routed(documents, service, section)

    def split(document: Document, found: Rule) -> Document:
        entries = [_entry(found, host, name, weight) for name, weight in weights.items() if weight]
        return patch.put(document, (*found.path, "route"), entries)

    return rules.change(documents, rules.movable(documents, host, rule, section), split)


def _routed(documents: Documents, topology: Topology, host: str) -> Documents:
    """With an http rule: what is done to single requests needs one."""
    service = subsets.known(topology, host)
    if (section := rules.section_of(documents, service)) != "http":
        raise UsageError(f"{service.name!r} is reached by {section} rules: there are no requests to tell apart")
    return rules.routed(documents, service)


def _entry(rule: Rule, host: str, subset: str, weight: int | None = None) -> Json:
    """The entry of that subset as it stands, or a new one that spells host and port as its neighbours do."""
    entries = [e for e in rule.data["route"] if names.fqdn(e["destination"]["host"], rule.document.namespace) == host]
    same = next((e for e in entries if e["destination"].get("subset") == subset), None)
    destination = {**entries[0]["destination"], "subset": subset}
    entry = same or {"destination": {k: destination[k] for k in ("host", "subset", "port") if k in destination}}
    kept = {key: value for key, value in entry.items() if key != "weight"}
    return kept if weight is None else {**kept, "weight": weight}


def set_mirror(
    documents: Documents, topology: Topology, host: str, to: str, *, percent: float, rule: str = ""
) -> Documents:
    """Copies of the rules' requests go to the subset beside any other mirror; percent 0 ends it."""
    if not 0 <= percent <= 100:
        raise UsageError(f"the mirrored share must be 0 to 100 percent, not {percent:g}")
    documents = subsets.defined(documents, topology, host, [to])
    documents = documents if rule else _routed(documents, topology, host)

    def mirror(document: Document, found: Rule) -> Document:
        target = _entry(found, host, to)["destination"]
        kept = [m for m in _mirrors(found.data) if m["destination"] != target]
        added = [{"destination": target, "percentage": {"value": percent}}] if percent else []
        return _with_mirrors(document, found, [*kept, *added])

    return rules.change(documents, rules.movable(documents, host, rule), mirror)


def _mirrors(rule: Json) -> list[Json]:
    """All of them in the form of `mirrors`."""
    if "mirror" not in rule:
        return list(rule.get("mirrors") or ())
    share = rule.get("mirrorPercentage")
    whole = next((rule[key] for key in ("mirrorPercent", "mirror_percent") if rule.get(key) is not None), 100.0)
    return [{"destination": rule["mirror"], "percentage": share or {"value": whole}}]


def _with_mirrors(document: Document, rule: Rule, mirrors: list[Json]) -> Document:
    """One is written as `mirror`, which every version of Istio knows; more as `mirrors`."""
    for key in ("mirror", "mirrorPercentage", "mirrorPercent", "mirror_percent", "mirrors"):
        if key in rule.data:
            document = patch.drop(document, (*rule.path, key))
    if len(mirrors) == 1:
        document = patch.put(document, (*rule.path, "mirror"), mirrors[0]["destination"])
        share = mirrors[0].get("percentage") or {"value": 100.0}
        return patch.put(document, (*rule.path, "mirrorPercentage"), share)
    return patch.put(document, (*rule.path, "mirrors"), mirrors) if mirrors else document


def set_match(documents: Documents, topology: Topology, host: str, match: Match, to: str) -> Documents:
    """A rule in front of all others; one for the same match is replaced."""
    documents = _routed(subsets.defined(documents, topology, host, [to]), topology, host)

    def to_subset(rule: Rule) -> Json:
        return {**rule.data, "route": [_entry(rule, host, to)]}

    return _in_front(documents, host, MATCH_PREFIX, render.match(match), to_subset)


def set_fault(
    documents: Documents, topology: Topology, host: str, fault: Fault | None, *, match: Match | None = None
) -> Documents:
    """On every rule that leads to the host; with a match, on copies of its default rules in front of all others."""
    subsets.defined(documents, topology, host, ())
    if fault is None:
        return _without_fault(documents, host, match)
    rendered = render.fault(fault)
    documents = _routed(documents, topology, host)
    if match is not None:
        return _in_front(documents, host, FAULT_PREFIX, render.match(match), lambda r: {**r.data, "fault": rendered})
    return rules.change(
        documents, rules.leading_to(documents, host), lambda d, rule: patch.put(d, (*rule.path, "fault"), rendered)
    )


def _without_fault(documents: Documents, host: str, match: Match | None) -> Documents:
    prefix = FAULT_PREFIX if match is None else FAULT_PREFIX + render.digest(render.match(match))
    documents = rules.without(documents, lambda rule: rule.name.startswith(prefix) and host in rule.hosts)
    if match is not None:
        return documents
    faulty = [rule for rule in rules.leading_to(documents, host) if "fault" in rule.data]
    return rules.change(documents, faulty, lambda document, rule: patch.drop(document, (*rule.path, "fault")))


def _in_front(documents: Documents, host: str, prefix: str, match: Json, make: Callable[[Rule], Json]) -> Documents:
    """Copies of the default rules, narrowed to the match, at the head of their VirtualServices."""
    name = prefix + render.digest(match)
    documents = rules.without(documents, lambda rule: rule.name.startswith(name) and host in rule.hosts)
    sources = rules.default_rules(documents, host)
    narrowed = [(rule, _narrowed(rule, match)) for rule in sources]
    if not any(matches for _, matches in narrowed):
        narrowed = [(rule, [match]) for rule in sources]
    changed: dict[tuple[str, str, str], Document] = {}
    for number, (rule, matches) in reversed([*enumerate(narrowed)]):
        if matches:
            document = changed.get(rule.document.key, rule.document)
            kept = {key: value for key, value in make(rule).items() if key not in ("name", "match")}
            copy = {"name": f"{name}-{number}" if number else name, "match": matches, **kept}
            changed[document.key] = patch.insert(document, ("spec", "http"), 0, copy)
    return documents.apply(changed.values())


def _narrowed(rule: Rule, match: Json) -> list[Json]:
    """The rule's matches, each with the conditions of `match` on top; those that exclude it left out."""
    both = [render.both(own, match) for own in rule.data.get("match") or [{}]]
    return [found for found in both if found is not None]
