"""What the rules read in a VirtualService: where its routes lead, whom it serves. Once per document."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.memo import per_object
from meshtest.model.document import Document, Path
from meshtest.model.route import MESH
from meshtest.preflight.dig import Object, object_at, objects, port, strings, text


@dataclass(frozen=True)
class Target:
    """A destination, with its place; `mirror` is one that only copies go to."""

    path: Path
    host: str
    subset: str
    port: int | None
    mirror: bool = False


@per_object
def targets(document: Document) -> tuple[Target, ...]:
    """All destinations: of tcp, tls and http routes, then of mirrors (istio virtualservice/util.go)."""
    return (*_routed(document), *_mirrored(document))


def _routed(document: Document) -> Iterator[Target]:
    spec = object_at(document.data, "spec")
    for family in ("tcp", "tls", "http"):
        for i, rule in objects(spec, family):
            for j, route in objects(rule, "route"):
                yield _target(("spec", family, i, "route", j, "destination"), object_at(route, "destination"))


def _mirrored(document: Document) -> Iterator[Target]:
    for i, rule in objects(document.data, "spec", "http"):
        if mirror := object_at(rule, "mirror"):
            yield _target(("spec", "http", i, "mirror"), mirror, mirror=True)
        for j, item in objects(rule, "mirrors"):
            yield _target(("spec", "http", i, "mirrors", j, "destination"), object_at(item, "destination"), mirror=True)


def _target(path: Path, data: Object, *, mirror: bool = False) -> Target:
    return Target((*path, "host"), text(data, "host"), text(data, "subset"), port(data, "port", "number"), mirror)


def gateways(document: Document) -> list[str]:
    """The gateways as written; left out, the mesh."""
    return strings(document.data, "spec", "gateways") or [MESH]


def in_mesh(document: Document) -> bool:
    return MESH in gateways(document)


def hosts(document: Document) -> list[str]:
    return strings(document.data, "spec", "hosts")
