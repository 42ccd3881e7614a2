"""Which documents make a mesh a Linkerd mesh."""

from __future__ import annotations

from meshtest.manifests.memo import per_object
from meshtest.model.document import Document, Documents

GROUP = "policy.linkerd.io"
HTTP_ROUTE = f"{GROUP}/HTTPRoute"
TRAFFIC_SPLIT = "split.smi-spec.io/TrafficSplit"
SERVER = f"{GROUP}/Server"
DOMAIN = "linkerd.io/"
"""Annotations of Linkerd: `linkerd.io/inject`, `retry.linkerd.io/http`..."""

ISTIO_ROUTING = ("networking.istio.io/VirtualService", "networking.istio.io/DestinationRule")


@per_object
def first(documents: Documents) -> Document | None:
    """The first document that only Linkerd would look at; None: this is no Linkerd mesh."""
    return next((document for document in documents if _is_linkerds(document)), None)


def _is_linkerds(document: Document) -> bool:
    if document.kind == TRAFFIC_SPLIT or document.kind.partition("/")[0].endswith("linkerd.io"):
        return True
    return any(DOMAIN in name for metadata in _metadata(document) for name in metadata)


def _metadata(document: Document) -> list[dict[str, str]]:
    """Annotations of the object, and of its pod template."""
    spec = document.data.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    below = template.get("metadata") if isinstance(template, dict) else None
    found = [holder.get("annotations") for holder in (document.metadata, below) if isinstance(holder, dict)]
    return [annotations for annotations in found if isinstance(annotations, dict)]
