"""Where an object that Flagger makes comes from: new documents whose lines are those of the Canary, and refusals there.

A made document's file reads `Service/podinfo-primary made from canary.yaml`, so that what is said about it names the
object and the place of the Canary that it follows from, and no two objects have the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from meshtest.errors import ManifestError
from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document, Documents, Path
from meshtest.rollouts.canary.spec import Canary

Json: TypeAlias = dict[str, Any]
KIND = "flagger.app/Canary"
NOT_THERE = Document({}, "<Canary>")

MANAGED = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled", "helm.toolkit.fluxcd.io/driftDetection": "disabled"}
"""Flagger tells Flux by these annotations to leave its objects alone."""
FLUX = "toolkit.fluxcd.io"
"""Metadata with this in its name is Flux's, and not copied."""


@dataclass(frozen=True)
class Origin:
    """The document of a Canary."""

    document: Document
    namespace: str

    @classmethod
    def of(cls, canary: Canary, documents: Documents) -> Origin:
        key = (KIND, canary.namespace, canary.name)
        return cls(next((one for one in documents if one.key == key), NOT_THERE), canary.namespace)

    def made(self, api: str, name: str, body: Json, places: Mapping[Path, Path]) -> Document:
        """An object `group/version/Kind`; `places`: nodes of it, and those of the Canary that they stand for."""
        version, _, kind = api.rpartition("/")
        metadata = {"name": name, "namespace": self.namespace, **body.get("metadata", {})}
        data = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": body["spec"]}
        return Document(copied(data), made_from(kind, name, self.document.file), self._lines(places))

    def _lines(self, places: Mapping[Path, Path]) -> dict[Path, int]:
        found: dict[Path, int] = {(): self.document.where().line}
        for new, old in places.items():
            found[new] = self.document.where(*old).line
            below = ((path, line) for path, line in self.document.lines.items() if path[: len(old)] == old)
            found |= {(*new, *path[len(old) :]): line for path, line in below}
        return found

    def refuse(self, code: str, text: str, *path: str | int) -> ManifestError:
        return refuse(self.document, code, text, *path)


def made_from(kind: str, name: str, file: str) -> str:
    return f"{kind}/{name} made from {file}"


def refuse(document: Document, code: str, text: str, *path: str | int) -> ManifestError:
    return ManifestError([Diagnostic(Severity.ERROR, code, text, document.where(*path))])


def filled(**fields: Any) -> Json:
    """Without what is empty."""
    return {key: value for key, value in fields.items() if value not in (None, "", [], {}, ())}


def mapping(value: Any) -> Json:
    """What is no mapping counts as none."""
    return dict(value) if isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[Json]:
    return [dict(one) for one in value if isinstance(one, Mapping)] if isinstance(value, Sequence) else []


def own(value: Any) -> list[Json]:
    """The mappings of a list themselves, to be changed in place."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def without_flux(metadata: Any) -> Json:
    return {key: value for key, value in mapping(metadata).items() if FLUX not in key}


def copied(node: Any) -> Any:
    """No part of it is shared with anything, nor with another part."""
    if isinstance(node, Mapping):
        return {key: copied(value) for key, value in node.items()}
    return [copied(value) for value in node] if isinstance(node, list | tuple) else node
