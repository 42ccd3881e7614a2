"""The dialect of Istio's networking kinds: VirtualService, DestinationRule, Gateway, ServiceEntry, Sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from meshtest.manifests.istio import edits, links, names, registry, servers
from meshtest.manifests.istio.actions import RETRY
from meshtest.manifests.istio.certificates import Credentials
from meshtest.manifests.istio.delegates import resolve
from meshtest.manifests.istio.destination_rule import destination_rule
from meshtest.manifests.istio.gateway import gateway, settled
from meshtest.manifests.istio.policies import host_policies
from meshtest.manifests.istio.service_entry import service_entry, workload_entry
from meshtest.manifests.istio.sidecar import sidecar
from meshtest.manifests.istio.virtual_service import virtual_service
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document, Documents
from meshtest.model.route import Fault, Match
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled


class Istio:
    """networking.istio.io, in every version that has the same schema."""

    name = "istio"
    kinds = frozenset(
        {
            names.VIRTUAL_SERVICE, names.DESTINATION_RULE, names.GATEWAY,
            names.SERVICE_ENTRY, names.WORKLOAD_ENTRY, names.SIDECAR,
        }
    )  # fmt: skip

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        """Services first, for what routes and policies say is compared with them."""
        topology, about_services = _registry(documents, topology)
        topology, about_gateways = _gateways(documents, topology)
        topology, about_routes = _routes(documents, topology)
        return Compiled(topology, (*about_services, *about_gateways, *about_routes))

    def set_weights(
        self, documents: Documents, topology: Topology, host: str, weights: Mapping[str, int], *, rule: str = ""
    ) -> Documents:
        return edits.set_weights(documents, topology, host, weights, rule=rule)

    def set_mirror(
        self, documents: Documents, topology: Topology, host: str, to: str, *, percent: float, rule: str = ""
    ) -> Documents:
        return edits.set_mirror(documents, topology, host, to, percent=percent, rule=rule)

    def set_match(self, documents: Documents, topology: Topology, host: str, match: Match, to: str) -> Documents:
        return edits.set_match(documents, topology, host, match, to)

    def set_fault(
        self, documents: Documents, topology: Topology, host: str, fault: Fault | None, *, match: Match | None = None
    ) -> Documents:
        return edits.set_fault(documents, topology, host, fault, match=match)


def _oldest_first(documents: Documents, kind: str) -> list[Document]:
    return sorted(documents.of(kind), key=names.age)


def _registry(documents: Documents, topology: Topology) -> tuple[Topology, list[Diagnostic]]:
    """ServiceEntries, WorkloadEntries and who sees them."""
    entries = [service_entry(d) for d in _oldest_first(documents, names.SERVICE_ENTRY)]
    workloads = [workload_entry(d) for d in documents.of(names.WORKLOAD_ENTRY)]
    scopes = [sidecar(d) for d in documents.of(names.SIDECAR)]
    notes = [n for p in entries for n in p.notes] + [n for p in workloads for n in p.notes]
    notes += [n for p in scopes for n in p.notes]
    if entries or workloads:
        services, about = registry.services(
            topology.services,
            chain.from_iterable(p.value for p in entries),
            [p.value for p in workloads if p.value],
        )
        topology, notes = replace(topology, services=services), [*notes, *about]
    found = [p.value for p in scopes if p.value]
    notes += links.unknown_imports(found, topology)
    return replace(topology, scopes=(*topology.scopes, *found)), notes


def _gateways(documents: Documents, topology: Topology) -> tuple[Topology, list[Diagnostic]]:
    """Gateways and DestinationRules, and the credentials that both use."""
    parsed = [(d, gateway(d)) for d in documents.of(names.GATEWAY)]
    rules = [destination_rule(d) for d in documents.of(names.DESTINATION_RULE)]
    credentials = Credentials(topology.credentials)
    found, about_servers = servers.merged([(d, p.value) for d, p in parsed if p.value])
    found = [settled(gateway, credentials) for gateway in found]
    policies, about_rules = host_policies([p.value for p in rules if p.value], topology, credentials)
    topology = replace(
        topology,
        gateways=(*topology.gateways, *found),
        policies={**topology.policies, **policies},
        credentials=credentials.all if credentials.read else topology.credentials,
        default_retry=RETRY,
    )
    notes = [n for _, p in parsed for n in p.notes] + [n for p in rules for n in p.notes]
    return topology, [*notes, *about_servers, *about_rules, *credentials.notes]


def _routes(documents: Documents, topology: Topology) -> tuple[Topology, list[Diagnostic]]:
    parsed = [(d, virtual_service(d)) for d in documents.of(names.VIRTUAL_SERVICE)]
    tables, about_delegates = resolve(parsed)
    linked, about_links = links.link(tables, topology)
    notes = chain.from_iterable(p.notes for _, p in parsed)
    return replace(topology, tables=(*topology.tables, *linked)), [*notes, *about_delegates, *about_links]


ISTIO = Istio()
