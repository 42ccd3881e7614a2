"""The hand-written shapes say what the CRDs say: every limit and every rule of each kind, and none besides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshtest.preflight.schema import SHAPES, violations
from meshtest.preflight.schema.shapes import Shape
from tests.crds import schemas_of

LIMITS = {
    "minimum": "least",
    "maximum": "most",
    "minLength": "fewest",
    "maxLength": "longest",
    "minItems": "fewest",
    "maxItems": "longest",
    "minProperties": "fewest",
    "maxProperties": "longest",
    "pattern": "pattern",
}
SAID_TWICE = {"only one of credentialName or tlsCertificates can be set"}
"""The CRD repeats the rule about credentialNames under another message."""


def limits(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, object]]:
    """Of a CRD: path, what, value."""
    yield from ((path, ours, schema[theirs]) for theirs, ours in LIMITS.items() if theirs in schema)
    yield from ((path, "required", name) for name in schema.get("required", ()))
    yield from ((path, "word", word) for word in schema.get("enum", ()))
    yield from ((path, "key", key) for key in schema.get("x-kubernetes-list-map-keys", ()))
    yield from ((path, "rule", rule["message"]) for rule in schema.get("x-kubernetes-validations", ()))
    for name, below in schema.get("properties", {}).items():
        yield from limits(below, f"{path}.{name}")
    for each in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(each, dict):
            yield from limits(each, f"{path}[]")


def told(shape: Shape, path: str = "") -> Iterator[tuple[str, str, object]]:
    """The same of a shape."""
    for name in dict.fromkeys(LIMITS.values()):
        if (value := getattr(shape, name)) not in (None, ""):
            yield path, name, value
    yield from ((path, "required", name) for name in shape.required)
    yield from ((path, "word", word) for word in shape.words)
    yield from ((path, "key", key) for key in shape.keys)
    yield from ((path, "rule", message) for _, message in shape.rules)
    for name, below in shape.fields.items():
        yield from told(below, f"{path}.{name}")
    if shape.each is not None:
        yield from told(shape.each, f"{path}[]")


@pytest.mark.parametrize("kind", SHAPES)
def test_the_shape_is_that_of_the_crd(kind: str, schemas: Path) -> None:
    crd = schemas_of(schemas / "istio.yaml")[kind.rpartition("/")[2]]
    theirs = {item for item in limits(crd) if item[2] not in SAID_TWICE}
    ours = set(told(SHAPES[kind]))
    assert ours - theirs == set()
    assert theirs - ours == set()


def test_a_value_of_the_wrong_type_is_told_once() -> None:
    data = {"spec": {"http": {"route": []}}}
    found = list(violations("networking.istio.io/VirtualService", data))
    assert found == [(("spec", "http"), 'spec.http in body must be of type array: "object"')]


def test_a_kind_without_a_shape_is_not_judged() -> None:
    assert list(violations("/Service", {"spec": None})) == []
