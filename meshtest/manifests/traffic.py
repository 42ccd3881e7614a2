"""TRAFFIC: the edits of whichever dialect routes a host in these documents."""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.manifests.gateway_api import GATEWAY_API
from meshtest.manifests.hosts import claims
from meshtest.manifests.istio import ISTIO
from meshtest.manifests.linkerd import LINKERD
from meshtest.manifests.linkerd.kinds import first
from meshtest.model.document import Documents
from meshtest.model.route import Fault, Match
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled, TrafficDialect


class Traffic:
    """HTTPRoutes are edited where they lead to the host and no VirtualService does; else VirtualServices. In a Linkerd
    mesh, which ignores VirtualServices, always HTTPRoutes."""

    name = "traffic"
    kinds = ISTIO.kinds | GATEWAY_API.kinds | LINKERD.kinds

    def of(self, documents: Documents, topology: Topology, host: str) -> TrafficDialect:
        if first(documents) is not None:
            return LINKERD
        listed = [table for table in topology.tables if table.order == "listed"]
        by_istio = claims(listed, host) or any(
            d.host == host for table in listed for route in table.routes for d in route.destinations
        )
        if by_istio or not any(document.kind in GATEWAY_API.kinds for document in documents):
            return ISTIO
        from meshtest.manifests.gateway_api import rules

        return GATEWAY_API if rules.leading_to(documents, topology, host) else ISTIO

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        """One after the other."""
        one = ISTIO.compile(documents, topology)
        second = GATEWAY_API.compile(documents, one.topology)
        third = LINKERD.compile(documents, second.topology)
        notes = (*one.diagnostics, *second.diagnostics, *third.diagnostics)
        return Compiled(third.topology, notes, (*second.statuses, *third.statuses))

    def set_weights(
        self, documents: Documents, topology: Topology, host: str, weights: Mapping[str, int], *, rule: str = ""
    ) -> Documents:
        return self.of(documents, topology, host).set_weights(documents, topology, host, weights, rule=rule)

    def set_mirror(
        self, documents: Documents, topology: Topology, host: str, to: str, *, percent: float, rule: str = ""
    ) -> Documents:
        dialect = self.of(documents, topology, host)
        return dialect.set_mirror(documents, topology, host, to, percent=percent, rule=rule)

    def set_match(self, documents: Documents, topology: Topology, host: str, match: Match, to: str) -> Documents:
        return self.of(documents, topology, host).set_match(documents, topology, host, match, to)

    def set_fault(
        self, documents: Documents, topology: Topology, host: str, fault: Fault | None, *, match: Match | None = None
    ) -> Documents:
        return self.of(documents, topology, host).set_fault(documents, topology, host, fault, match=match)


TRAFFIC = Traffic()
