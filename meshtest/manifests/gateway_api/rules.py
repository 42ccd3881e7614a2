"""The rules of HTTPRoutes that send requests to a Service or its versions, in the documents as the user wrote them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.manifests import patch
from meshtest.manifests.error_backends import is_error_backend
from meshtest.manifests.gateway_api import kinds, render
from meshtest.manifests.gateway_api.versions import parts
from meshtest.model.document import Document, Documents, Path
from meshtest.model.service import DOMAIN
from meshtest.model.topology import Topology

Json = dict[str, Any]

MATCH_PREFIX = "meshtest-match-"
MARK = "meshtest.dev/matches"
"""Annotation of a route whose rules have no names: which of them set_match has put in."""
BY_USER = ("headers", "queryParams")
"""Conditions that pick requests by who sends them (Match.selects_users)."""


@dataclass(frozen=True)
class Rule:
    """One rule of one HTTPRoute."""

    document: Document
    index: int

    @property
    def path(self) -> Path:
        return ("spec", "rules", self.index)

    @property
    def data(self) -> Json:
        found: Json = self.document.data["spec"]["rules"][self.index]
        return found

    @property
    def name(self) -> str:
        """Its name, or its index as text."""
        return str(self.data.get("name") or self.index)

    @property
    def hosts(self) -> set[str]:
        """Where it leads, fully qualified."""
        found = {host_of(entry, self.document) for entry in self.data.get("backendRefs") or ()}
        return {host for host in found if not is_error_backend(host)}

    @property
    def selects_users(self) -> bool:
        return any(match.get(key) for match in self.data.get("matches") or () for key in BY_USER)

    @property
    def ours(self) -> bool:
        return self.name.startswith(MATCH_PREFIX) or render.digest(self.matches) in marked(self.document)

    @property
    def matches(self) -> list[Json]:
        return self.data.get("matches") or []


def marked(document: Document) -> list[str]:
    """Digests of the matches that were put in where rules have no names."""
    return str((document.metadata.get("annotations") or {}).get(MARK, "")).split()


def host_of(reference: Json, document: Document) -> str:
    return f"{reference.get('name')}.{reference.get('namespace') or document.namespace}.svc.{DOMAIN}"


def all_rules(documents: Documents) -> Iterator[Rule]:
    for document in (*documents.of(kinds.HTTP_ROUTE), *documents.of(kinds.LINKERDS_HTTP_ROUTE)):
        for index in range(len((document.data.get("spec") or {}).get("rules") or ())):
            yield Rule(document, index)


def leading_to(documents: Documents, topology: Topology, host: str) -> list[Rule]:
    """Rules with the Service, or a version of it, among their backends."""
    wanted = {service.fqdn for service in parts(topology, host)}
    return [rule for rule in all_rules(documents) if not wanted.isdisjoint(rule.hosts)]


def default_rules(documents: Documents, topology: Topology, host: str) -> list[Rule]:
    """The user's rules that lead nowhere else, and do not select users."""
    wanted = {service.fqdn for service in parts(topology, host)}
    rules = leading_to(documents, topology, host)
    return [r for r in rules if r.hosts <= wanted and not r.selects_users and not r.ours]


def movable(documents: Documents, topology: Topology, host: str, name: str = "") -> list[Rule]:
    """The rule of that name, or the default ones."""
    if not name:
        return default_rules(documents, topology, host)
    candidates = leading_to(documents, topology, host)
    found = next((r for r in candidates if name in (r.name, str(r.index))), None)
    if found is None:
        known = [rule.name for rule in candidates]
        close = nearest(name, known)
        hint = f"did you mean {close!r}?" if close else f"known: {listed(known) or 'none'}"
        raise UsageError(f"no rule {name!r} of an HTTPRoute leads to {host}; {hint}")
    return [found]


def change(documents: Documents, rules: Iterable[Rule], edit: Callable[[Document, Rule], Document]) -> Documents:
    """`edit` applied to each rule; the rules keep their places."""
    changed: dict[tuple[str, str, str], Document] = {}
    for rule in rules:
        document = changed.get(rule.document.key, rule.document)
        changed[document.key] = edit(document, Rule(document, rule.index))
    return documents.apply(changed.values())


def without(documents: Documents, unwanted: Callable[[Rule], bool]) -> Documents:
    changed: dict[tuple[str, str, str], Document] = {}
    for rule in reversed(list(all_rules(documents))):
        if unwanted(rule):
            document = changed.get(rule.document.key, rule.document)
            changed[document.key] = patch.drop(document, rule.path)
    return documents.apply(changed.values())


def routed(documents: Documents, topology: Topology, host: str) -> Documents:
    """The documents with at least one default rule that leads to the Service: else one for all callers in the mesh."""
    if default_rules(documents, topology, host):
        return documents
    service = topology.service(host)
    if service is None:
        known = [s.name for s in topology.services]
        raise UsageError(f"there is no Service {host}; known: {listed(known) or 'none'}")
    if others := [r.name for r in leading_to(documents, topology, host)]:
        text = f"no rule of an HTTPRoute leads to {host} without selecting users; name one with rule=: {listed(others)}"
        raise UsageError(text)
    spec = {
        "parentRefs": [{"group": "", "kind": "Service", "name": service.name, "port": port.number}
                       for port in service.ports],
        "rules": [{"backendRefs": [{"name": service.name, "port": service.ports[0].number}]}],
    }  # fmt: skip
    made = {
        "apiVersion": kinds.API_VERSION,
        "kind": "HTTPRoute",
        "metadata": {"name": service.name, "namespace": service.namespace},
        "spec": spec,
    }
    return documents.apply([Document(made, "<generated>")])
