"""The mesh configuration, where the documents bring it: ConfigMap `istio` of the root namespace, key `mesh`."""

from __future__ import annotations

from meshtest.errors import ManifestError
from meshtest.manifests.istio.names import ROOT_NAMESPACE
from meshtest.manifests.memo import per_object
from meshtest.manifests.nodes import parse
from meshtest.model.document import Document
from meshtest.preflight.dig import EMPTY, Object, text
from meshtest.preflight.kinds import CONFIG_MAP
from meshtest.preflight.scene import Scene


def mesh_config(scene: Scene) -> Object:
    """Empty when there is none: then Istio's defaults count."""
    document = scene.find(CONFIG_MAP, ROOT_NAMESPACE, "istio")
    return _read(document) if document is not None else EMPTY


@per_object
def _read(document: Document) -> Object:
    try:
        node = next(parse(text(document.data, "data", "mesh"), document.file), None)
    except ManifestError:
        return EMPTY
    return node.data if node is not None and isinstance(node.data, dict) else EMPTY
