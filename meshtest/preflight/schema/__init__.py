"""The schemas of Istio's kinds as hand-written shapes: what the API server refuses, offline and without CRDs.

Not here: fields that nobody knows (the dialects' field tables), references between objects (../checks).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshtest.model.document import Path
from meshtest.preflight.schema.examine import examine
from meshtest.preflight.schema.networking import NETWORKING
from meshtest.preflight.schema.others import OTHERS
from meshtest.preflight.schema.shapes import Shape
from meshtest.preflight.schema.traffic import TRAFFIC

SHAPES: dict[str, Shape] = {**TRAFFIC, **NETWORKING, **OTHERS}
"""By kind, of the whole document."""


def violations(kind: str, data: Any) -> Iterator[tuple[Path, str]]:
    """Where a document is against its schema, in the API server's words."""
    shape = SHAPES.get(kind)
    if shape is not None:
        yield from examine(shape, data)
