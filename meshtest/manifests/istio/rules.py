"""The rules that send requests to a host, in the documents as the user wrote them.

http rules, and those of tls or tcp where there are no others. Rules of a delegate are found where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.manifests import patch
from meshtest.manifests.hosts import HTTP_PROTOCOLS
from meshtest.manifests.istio import names
from meshtest.model.document import Document, Documents, Path
from meshtest.model.route import MESH
from meshtest.model.service import Service

Json = dict[str, Any]

MATCH_PREFIX = "meshtest-match-"
FAULT_PREFIX = "meshtest-fault-"
GENERATED = "<generated>"
BY_USER = ("headers", "withoutHeaders", "queryParams", "sourceLabels", "sourceNamespace")
"""Conditions that pick requests by who sends them (Match.selects_users)."""


SECTIONS = ("http", "tls", "tcp")


@dataclass(frozen=True)
class Rule:
    """One rule of one VirtualService."""

    document: Document
    index: int
    section: str = "http"

    @property
    def path(self) -> Path:
        return ("spec", self.section, self.index)

    @property
    def data(self) -> Json:
        found: Json = self.document.data["spec"][self.section][self.index]
        return found

    @property
    def name(self) -> str:
        """Its name, or its index as text."""
        return str(self.data.get("name") or self.index)

    @property
    def hosts(self) -> set[str]:
        """Where it leads, fully qualified."""
        routes = self.data.get("route") or []
        return {names.fqdn(entry["destination"]["host"], self.document.namespace) for entry in routes}

    @property
    def selects_users(self) -> bool:
        return any(match.get(key) for match in self.data.get("match") or () for key in BY_USER)

    @property
    def ours(self) -> bool:
        """Put there by set_match or set_fault."""
        return self.name.startswith((MATCH_PREFIX, FAULT_PREFIX))


def all_rules(documents: Documents, section: str = "http") -> Iterator[Rule]:
    for document in documents.of(names.VIRTUAL_SERVICE):
        for index in range(len((document.data.get("spec") or {}).get(section) or ())):
            yield Rule(document, index, section)


def leading_to(documents: Documents, host: str, section: str = "http") -> list[Rule]:
    """Rules with the host among their destinations."""
    return [rule for rule in all_rules(documents, section) if host in rule.hosts]


def default_rules(documents: Documents, host: str, section: str = "http") -> list[Rule]:
    """The user's rules that lead to the host alone, and do not select users."""
    found = [r for r in leading_to(documents, host, section) if r.hosts == {host} and not r.selects_users]
    for_users = _for_users(documents) if found else set()
    return [r for r in found if not r.ours and (r.document.namespace, r.document.name) not in for_users]


def _for_users(documents: Documents) -> set[tuple[str, str]]:
    """Delegates that are behind rules that select users only."""
    roots: dict[tuple[str, str], list[bool]] = {}
    for rule in all_rules(documents):
        if delegate := rule.data.get("delegate"):
            key = (delegate.get("namespace") or rule.document.namespace, delegate.get("name") or "")
            roots.setdefault(key, []).append(rule.selects_users)
    return {key for key, selecting in roots.items() if all(selecting)}


def section_of(documents: Documents, service: Service) -> str:
    """Which rules split the service: those that lead to it now, else those of its ports' protocol."""
    found = next((name for name in SECTIONS if leading_to(documents, service.fqdn, name)), "")
    kinds = {port.protocol for port in service.ports}
    if found or not kinds or kinds & HTTP_PROTOCOLS:
        return found or "http"
    return "tls" if kinds == {"tls"} else "tcp"


def movable(documents: Documents, host: str, name: str = "", section: str = "http") -> list[Rule]:
    """The rules whose split is to be changed: the one of that name, or the default ones with the faults on them."""
    if name:
        return [named(documents, host, name)]
    if section != "http":
        return default_rules(documents, host, section)
    faulty = [r for r in leading_to(documents, host) if r.hosts == {host} and r.name.startswith(FAULT_PREFIX)]
    return default_rules(documents, host) + faulty


def named(documents: Documents, host: str, name: str) -> Rule:
    candidates = [rule for section in SECTIONS for rule in leading_to(documents, host, section)]
    found = next((rule for rule in candidates if rule.name == name), None)
    found = found or next((rule for rule in candidates if str(rule.index) == name), None)
    if found is None:
        known = [rule.name for rule in candidates]
        close = nearest(name, known)
        hint = f"did you mean {close!r}?" if close else f"known: {listed(known) or 'none'}"
        raise UsageError(f"no http rule {name!r} leads to {host}; {hint}")
    return found


def change(documents: Documents, rules: Iterable[Rule], edit: Callable[[Document, Rule], Document]) -> Documents:
    """`edit` applied to each rule; the rules keep their places."""
    changed: dict[tuple[str, str, str], Document] = {}
    for rule in rules:
        document = changed.get(rule.document.key, rule.document)
        changed[document.key] = edit(document, Rule(document, rule.index, rule.section))
    return documents.apply(changed.values())


def without(documents: Documents, unwanted: Callable[[Rule], bool]) -> Documents:
    """The documents without some rules."""
    changed: dict[tuple[str, str, str], Document] = {}
    for rule in reversed(list(all_rules(documents))):
        if unwanted(rule):
            document = changed.get(rule.document.key, rule.document)
            changed[document.key] = patch.drop(document, rule.path)
    return documents.apply(changed.values())


def routed(documents: Documents, service: Service, section: str = "http") -> Documents:
    """The documents with at least one default rule that leads to the service."""
    host = service.fqdn
    if default_rules(documents, host, section):
        return documents
    owner = next((d for d in documents.of(names.VIRTUAL_SERVICE) if _claims(d, host)), None)
    if owner is None:
        return documents.apply([_new(documents, service, section)])
    listed_rules = owner.data["spec"].get(section) or []
    if any(not rule.get("match") for rule in listed_rules):
        raise UsageError(
            f"VirtualService {owner.name!r} ({owner.where()}) has no rule that leads to {host} alone; name a rule"
        )
    rule = _rule(service, owner.namespace, section)
    return documents.apply([patch.insert(owner, ("spec", section), len(listed_rules), rule)])


def _rule(service: Service, namespace: str, section: str) -> Json:
    """Everything to the service."""
    rule: Json = {"route": [{"destination": {"host": names.short(service.fqdn, namespace)}}]}
    return {"match": [{"sniHosts": [service.fqdn]}], **rule} if section == "tls" else rule


def _claims(document: Document, host: str) -> bool:
    """It is what callers in the mesh get for the host."""
    spec = document.data.get("spec") or {}
    hosts = {names.fqdn(h, document.namespace) for h in spec.get("hosts") or ()}
    return host in hosts and MESH in (spec.get("gateways") or [MESH])


def _new(documents: Documents, service: Service, section: str) -> Document:
    host, namespace = names.short(service.fqdn, service.namespace), service.namespace
    host = service.fqdn if section == "tls" else host
    spec = {"hosts": [host], section: [_rule(service, namespace, section)]}
    return generated(documents, names.VIRTUAL_SERVICE, service.name, namespace, spec)


def generated(documents: Documents, kind: str, name: str, namespace: str, spec: Json) -> Document:
    """An object of ours, under a name that is free."""
    name = name.replace("*", "any")
    taken = {document.name for document in documents.of(kind) if document.namespace == namespace}
    while name in taken:
        name += "-meshtest"
    metadata = {"name": name, **({} if namespace == "default" else {"namespace": namespace})}
    data = {"apiVersion": names.API_VERSION, "kind": kind.partition("/")[2], "metadata": metadata, "spec": spec}
    return Document(data, GENERATED)
