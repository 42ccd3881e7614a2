"""LINKERD: what Linkerd's users write to the topology, and the edits of their HTTPRoutes and TrafficSplits.

Light: what does the work is imported when a mesh turns out to be Linkerd's.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.manifests.linkerd import kinds
from meshtest.model.document import Documents
from meshtest.model.route import Fault, Match
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled


class Linkerd:
    """Compiled last: it looks at what Gateway API's dialect has made of routes, too."""

    name = "linkerd"
    kinds = frozenset({kinds.HTTP_ROUTE, kinds.TRAFFIC_SPLIT})

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        reason = kinds.first(documents)
        if reason is None:
            return Compiled(topology)
        from meshtest.manifests.linkerd.compilation import Compilation

        return Compilation(documents, topology, reason).compiled()

    def set_weights(
        self, documents: Documents, topology: Topology, host: str, weights: Mapping[str, int], *, rule: str = ""
    ) -> Documents:
        from meshtest.manifests.linkerd import edits

        return edits.set_weights(documents, topology, host, weights, rule=rule)

    def set_mirror(
        self, documents: Documents, topology: Topology, host: str, to: str, *, percent: float, rule: str = ""
    ) -> Documents:
        from meshtest.manifests.linkerd import edits

        return edits.set_mirror(documents, host, percent=percent)

    def set_match(self, documents: Documents, topology: Topology, host: str, match: Match, to: str) -> Documents:
        from meshtest.manifests.linkerd import edits

        return edits.set_match(documents, topology, host, match, to)

    def set_fault(
        self, documents: Documents, topology: Topology, host: str, fault: Fault | None, *, match: Match | None = None
    ) -> Documents:
        from meshtest.manifests.linkerd import edits

        return edits.set_fault(documents, topology, host, fault, match=match)


LINKERD = Linkerd()
