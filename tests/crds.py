"""CRDs as their projects publish them, and what of one a field table of ours does not say."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from meshtest.manifests.fields import Fields


@cache
def schemas_of(path: Path) -> dict[str, dict[str, Any]]:
    """The OpenAPI schema of each kind that a file defines, in the version that a cluster stores."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    specs = [document["spec"] for document in yaml.load_all(path.read_text(), loader) if document]
    return {spec["names"]["kind"]: _stored(spec)["schema"]["openAPIV3Schema"] for spec in specs}


def _stored(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(version for version in spec["versions"] if version["storage"])
    return found


def unlike(crd: dict[str, Any], table: Fields) -> list[str]:
    """Where the table of an object's `spec` differs from its CRD."""
    return sorted(_differences(crd["properties"]["spec"], table, "spec"))


def _differences(schema: dict[str, Any], table: Fields, path: str) -> Iterator[str]:
    wanted = _properties(schema)
    yield from (f"{path}.{name} is in no table" for name in wanted.keys() - set(table.known))
    yield from (f"{path}.{name} is not in the CRD" for name in set(table.known) - wanted.keys())
    for name, below in table.read.items():
        if below is not None and name in wanted:
            yield from _differences(wanted[name], below, f"{path}.{name}")
        elif name in wanted and _properties(wanted[name]):
            yield f"{path}.{name} has properties, but no table"


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    """Of an object, of the items of a list, or of the values of a map."""
    schema = schema.get("items", schema)
    values = schema.get("additionalProperties")
    schema = values if isinstance(values, dict) and "properties" in values else schema
    found: dict[str, Any] = schema.get("properties", {})
    return found
