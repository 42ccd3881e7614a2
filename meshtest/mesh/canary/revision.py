"""What is rolled out: the target as it is, but with another image, other annotations, or from a file; a Service as it
is, but in front of the pods of another version.

Pure but for the reading of that file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.manifests.kubernetes.daemon_set import NODES
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read
from meshtest.model.document import Document, Documents
from meshtest.model.service import VERSION_LABELS

TEMPLATE = ("spec", "template")
CONTAINERS = (*TEMPLATE, "spec", "containers")
ANNOTATIONS = (*TEMPLATE, "metadata", "annotations")
FILES = (".yaml", ".yml", ".json")
SERVICE = "/Service"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A new revision as it is asked for; see Rehearsing.run."""

    to: str = ""
    image: str = ""
    images: Mapping[str, str]
    annotations: Mapping[str, str]
    base: Path | None = None

    @property
    def is_file(self) -> bool:
        return self.to.endswith(FILES)

    def revised(self, target: Document) -> tuple[str, Documents]:
        """Its name, and what to apply."""
        if not (self.to or self.image or self.images or self.annotations):
            raise UsageError('what is rolled out? run(to="v2"), image=, images=, annotations=, or a file: --to v2')
        documents = read(self.to, base=self.base) if self.is_file else Documents((target,))
        (found,) = [d for d in documents if d.key == target.key] or _not_there(self.to, target)
        changed = self._changed(found, target)
        if changed.data.get("spec") == target.data.get("spec") and not self.is_file:
            raise UsageError(f"{self.name(target)} is what {target.name} is already: there is no new revision to see")
        return self.name(target), documents.apply([changed])

    def _changed(self, found: Document, target: Document) -> Document:
        if target.kind != SERVICE:
            return _on_as_many_nodes(self._annotated(self._with_images(found)), target)
        if self.image or self.images or self.annotations:
            raise UsageError(
                f"the Service {target.name} has no pods of its own: --to VERSION of its pods, or --to FILE"
            )
        return found if self.is_file else selecting(found, self.to)

    def name(self, target: Document) -> str:
        """`v2`; of a file `new.yaml`."""
        if self.to:
            return Path(self.to).name if self.is_file else self.to
        given = [self.image, *self.images.values()]
        tags = [_split(image)[1] or image for image in given if image]
        return listed(tags or (f"{name}={value}" for name, value in self.annotations.items()))

    def _with_images(self, document: Document) -> Document:
        for index, image in self._by_index(_containers(document)).items():
            document = put(document, (*CONTAINERS, index, "image"), image)
        return document

    def _by_index(self, containers: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        names = [str(container.get("name", "")) for container in containers]
        found: dict[int, str] = {}
        if self.to and not self.is_file:
            found[0] = retagged(str(containers[0].get("image", "")), self.to)
        if self.image:
            found[0] = self.image
        for name, image in self.images.items():
            if name not in names:
                raise UsageError(_no_container(name, names))
            index = names.index(name)
            whole = "/" in image or ":" in image
            found[index] = image if whole else retagged(str(containers[index].get("image", "")), image)
        return found

    def _annotated(self, document: Document) -> Document:
        for name, value in self.annotations.items():
            document = put(document, (*ANNOTATIONS, name), str(value))
        return document


def selecting(service: Document, version: str) -> Document:
    """In front of the pods with this version label."""
    selector = (service.data.get("spec") or {}).get("selector") or {}
    label = next((name for name in VERSION_LABELS if name in selector), VERSION_LABELS[0])
    return put(service, ("spec", "selector"), {**selector, label: version})


def retagged(image: str, tag: str) -> str:
    """The same image of another tag; a digest goes with the old one."""
    return f"{_split(image)[0]}:{tag}"


def _split(image: str) -> tuple[str, str]:
    """Name and tag. A colon before the last slash is that of a registry's port."""
    bare = image.partition("@")[0]
    name, colon, tag = bare.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (bare, "")


def _containers(document: Document) -> list[Mapping[str, Any]]:
    found = document.data
    for key in CONTAINERS:
        found = found.get(key) or {} if isinstance(found, Mapping) else {}
    if not isinstance(found, list) or not found or not all(isinstance(one, Mapping) for one in found):
        raise UsageError(
            f"{document.where(*CONTAINERS)}: the {document.data['kind']} {document.name} has no containers"
        )
    return found


def _no_container(name: str, names: Sequence[str]) -> str:
    hint = nearest(name, names)
    meant = f" (did you mean {hint!r}?)" if hint else ""
    return f"no container {name!r} in the target; it has: {listed(names)}{meant}"


def _not_there(file: str, target: Document) -> list[Document]:
    kind = target.data["kind"]
    raise UsageError(f"{file}: there is no {kind} {target.namespace}/{target.name} in it, the Canary's target")


def _on_as_many_nodes(document: Document, target: Document) -> Document:
    """The cluster does not change with the revision."""
    nodes = (target.metadata.get("annotations") or {}).get(NODES)
    return document if nodes is None else put(document, ("metadata", "annotations", NODES), nodes)
