"""Subsets that an edit needs: those of the host's DestinationRule, or made from the version labels of its workloads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.words import listed, nearest
from meshtest.manifests import patch
from meshtest.manifests.istio import names
from meshtest.manifests.istio.rules import generated
from meshtest.model.document import Document, Documents
from meshtest.model.service import VERSION_LABELS, Service
from meshtest.model.topology import Topology


def defined(documents: Documents, topology: Topology, host: str, wanted: Iterable[str]) -> Documents:
    """The documents with a subset of each wanted name. Raises UsageError for one that is neither subset nor version."""
    service = known(topology, host)
    policy = topology.policies.get(host)
    defined_now = [subset.name for subset in policy.subsets] if policy else []
    versions = version_labels(topology, service)
    missing = [name for name in wanted if name not in defined_now]
    for name in missing:
        if name not in versions:
            raise UsageError(_unknown(name, service, [*defined_now, *(v for v in versions if v not in defined_now)]))
    if not missing:
        return documents
    rule = _rule_of(documents, host)
    if rule is None:
        return documents.apply([_new(documents, topology, service, versions)])
    index = len(rule.data["spec"].get("subsets") or ())
    for name in reversed(missing):
        rule = patch.insert(rule, ("spec", "subsets"), index, _subset(name, versions[name]))
    return documents.apply([rule])


def known(topology: Topology, host: str) -> Service:
    """Raises UsageError for a host that is no service."""
    service = topology.service(host)
    if service is None:
        close = names.meant(host, [s.fqdn for s in topology.services])
        raise UsageError(f"there is no Service {host}" + (f"; did you mean {close}?" if close else ""))
    return service


def version_labels(topology: Topology, service: Service) -> dict[str, str]:
    """Version to the label that says it, in the order of the workloads."""
    found: dict[str, str] = {}
    for labels in (*(w.labels for w in topology.backends(service)), *(e.labels for e in service.endpoints)):
        label = next((name for name in VERSION_LABELS if name in labels), None)
        if label:
            found.setdefault(labels[label], label)
    return found


def _unknown(name: str, service: Service, known: list[str]) -> str:
    close = nearest(name, known)
    hint = f"; did you mean {close!r}?" if close else ""
    return f"service {service.name!r} has no subset or version {name!r}; known: {listed(known) or 'none'}{hint}"


def _rule_of(documents: Documents, host: str) -> Document | None:
    """The first DestinationRule of this very host."""
    rules = documents.of(names.DESTINATION_RULE)
    return next((d for d in rules if names.fqdn(d.data["spec"]["host"], d.namespace) == host), None)


def _new(documents: Documents, topology: Topology, service: Service, versions: dict[str, str]) -> Document:
    """A rule with a subset a version. It hides a wildcard rule, whose policy it therefore takes over."""
    spec: dict[str, Any] = {"host": service.name}
    policy = topology.policies.get(service.fqdn)
    hidden = next((d for d in documents.of(names.DESTINATION_RULE) if policy and d.where() == policy.source), None)
    if hidden is not None and hidden.data["spec"].get("trafficPolicy"):
        spec["trafficPolicy"] = hidden.data["spec"]["trafficPolicy"]
    spec["subsets"] = [_subset(version, label) for version, label in versions.items()]
    return generated(documents, names.DESTINATION_RULE, service.name, service.namespace, spec)


def _subset(version: str, label: str) -> dict[str, Any]:
    return {"name": version, "labels": {label: version}}
