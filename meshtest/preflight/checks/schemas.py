"""Documents against the schemas of their kinds (../schema): IST0106.

Upstream: istio/istio manifests/charts/base/files/crd-all.gen.yaml; istioctl and the API server say the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.model.document import Document
from meshtest.preflight.finding import Hit
from meshtest.preflight.rules import each
from meshtest.preflight.schema import SHAPES, violations


@each(*SHAPES, analyzer="schema.ValidationAnalyzer")
def schema(document: Document) -> Iterator[Hit]:
    """IST0106"""
    for path, message in violations(document.kind, document.data):
        yield Hit("IST0106", document, path, message)
