"""The dialect of Istio's VirtualService, DestinationRule and Gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from meshtest.manifests.istio import edits, names
from meshtest.manifests.istio.actions import RETRY
from meshtest.manifests.istio.destination_rule import destination_rule
from meshtest.manifests.istio.gateway import gateway
from meshtest.manifests.istio.links import link
from meshtest.manifests.istio.policies import host_policies
from meshtest.manifests.istio.virtual_service import virtual_service
from meshtest.model.document import Documents
from meshtest.model.route import Fault, Match
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled


class Istio:
    """networking.istio.io, in every version that has the same schema."""

    name = "istio"
    kinds = frozenset({names.VIRTUAL_SERVICE, names.DESTINATION_RULE, names.GATEWAY})

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        gateways = [gateway(d) for d in documents.of(names.GATEWAY)]
        rules = [destination_rule(d) for d in documents.of(names.DESTINATION_RULE)]
        services = [(d, virtual_service(d)) for d in documents.of(names.VIRTUAL_SERVICE)]
        policies, about_rules = host_policies([p.value for p in rules if p.value], topology)
        topology = replace(
            topology,
            gateways=(*topology.gateways, *(p.value for p in gateways if p.value)),
            policies={**topology.policies, **policies},
            default_retry=RETRY,
        )
        tables, about_tables = link([(d, p.value) for d, p in services if p.value], topology)
        topology = replace(topology, tables=(*topology.tables, *tables))
        notes = [p.notes for p in gateways] + [p.notes for p in rules] + [p.notes for _, p in services]
        return Compiled(topology, (*chain.from_iterable(notes), *about_rules, *about_tables))

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


ISTIO = Istio()
