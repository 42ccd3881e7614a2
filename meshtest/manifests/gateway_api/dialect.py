"""GATEWAY_API: documents of gateway.networking.k8s.io to the topology, and the edits of HTTPRoutes.

Light: what does the work is imported when there is some; most meshes have no such document.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.manifests.gateway_api import kinds
from meshtest.model.document import Documents
from meshtest.model.route import Fault, Match
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled


class GatewayApi:
    """gateway.networking.k8s.io; UDPRoute is not among its kinds, for nothing here carries datagrams."""

    name = "gateway_api"
    kinds = frozenset(
        {
            kinds.GATEWAY, kinds.GATEWAY_CLASS, kinds.LISTENER_SET, kinds.X_LISTENER_SET, kinds.REFERENCE_GRANT,
            kinds.BACKEND_TLS_POLICY, kinds.NAMESPACE, kinds.HTTP_ROUTE, kinds.GRPC_ROUTE, kinds.TLS_ROUTE,
            kinds.TCP_ROUTE,
        }
    )  # fmt: skip

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        if not any(document.kind in self.kinds for document in documents):
            return Compiled(topology)
        from meshtest.manifests.gateway_api.compilation import Compilation

        return Compilation(documents, topology).compiled()

    def set_weights(
        self, documents: Documents, topology: Topology, host: str, weights: Mapping[str, int], *, rule: str = ""
    ) -> Documents:
        from meshtest.manifests.gateway_api import edits

        return edits.set_weights(documents, topology, host, weights, rule=rule)

    def set_mirror(
        self, documents: Documents, topology: Topology, host: str, to: str, *, percent: float, rule: str = ""
    ) -> Documents:
        from meshtest.manifests.gateway_api import edits

        return edits.set_mirror(documents, topology, host, to, percent=percent, rule=rule)

    def set_match(self, documents: Documents, topology: Topology, host: str, match: Match, to: str) -> Documents:
        from meshtest.manifests.gateway_api import edits

        return edits.set_match(documents, topology, host, match, to)

    def set_fault(
        self, documents: Documents, topology: Topology, host: str, fault: Fault | None, *, match: Match | None = None
    ) -> Documents:
        from meshtest.manifests.gateway_api import edits

        return edits.set_fault(documents, topology, host, fault, match=match)


GATEWAY_API = GatewayApi()
