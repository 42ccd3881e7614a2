"""Moving traffic that a TrafficSplit splits: its weights are all that can be moved. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.errors import UsageError
from meshtest.manifests import patch
from meshtest.manifests.gateway_api.edits import NO_BACKEND
from meshtest.manifests.gateway_api.versions import service_of
from meshtest.manifests.linkerd.kinds import TRAFFIC_SPLIT
from meshtest.manifests.linkerd.traffic_split import traffic_split
from meshtest.manifests.weights import check_weights
from meshtest.model.document import Document, Documents
from meshtest.model.topology import Topology


def of(documents: Documents, host: str) -> list[Document]:
    """TrafficSplits of the host."""
    found = ((document, traffic_split(document).value) for document in documents.of(TRAFFIC_SPLIT))
    return [document for document, split in found if split and split.host(split.service) == host]


def set_weights(documents: Documents, topology: Topology, host: str, weights: Mapping[str, int]) -> Documents:
    """The backends become the Services of these versions; others stay, with weight 0."""
    check_weights(weights, all_zero=NO_BACKEND)
    wanted = {service_of(topology, host, version).name: weight for version, weight in weights.items()}
    return documents.apply(_weighted(document, wanted) for document in of(documents, host))


def _weighted(document: Document, wanted: Mapping[str, int]) -> Document:
    old = [backend["service"] for backend in document.data["spec"]["backends"]]
    names = [*old, *(name for name in wanted if name not in old)]
    backends = [{"service": name, "weight": wanted.get(name, 0)} for name in names]
    return patch.put(document, ("spec", "backends"), backends)


def refuse(documents: Documents, host: str, what: str) -> None:
    """UsageError if a TrafficSplit has the host: next to it no HTTPRoute counts."""
    for document in of(documents, host):
        raise UsageError(
            f"TrafficSplit `{document.name}` ({document.where()}) has only weights, and no HTTPRoute of "
            f"{host.partition('.')[0]} counts beside it; {what} need an HTTPRoute in its place"
        )
