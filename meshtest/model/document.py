"""A manifest as the user wrote it, with the line of every node. Edits make new documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Source

Path = tuple[str | int, ...]
"""Where a node stands in a document: ("spec", "http", 0, "route")."""


@dataclass(frozen=True)
class Remark:
    """A comment `# meshtest: ...` of a file: its text, its line, and the line it is about (its own, or the next)."""

    text: str
    line: int
    about: int


@dataclass(frozen=True)
class Document:
    """One YAML document. `data` is JSON-like and must not be mutated; `lines` has the line of each node by path."""

    data: Mapping[str, Any]
    file: str
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)
    remarks: tuple[Remark, ...] = field(default=(), repr=False)
    """Of the whole file that it stands in."""

    def where(self, *path: str | int) -> Source:
        """The place of a node; for one that an edit has added, of its nearest ancestor in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return Source(self.file, self.lines.get(path, 1))

    @cached_property
    def kind(self) -> str:
        """`group/Kind` without the version: `apps/Deployment`, `/Service`."""
        group, _, _ = str(self.data.get("apiVersion", "")).rpartition("/")
        return f"{group}/{self.data.get('kind', '')}"

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.data.get("metadata") or {}

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace") or "default")

    @property
    def key(self) -> tuple[str, str, str]:
        """What `kubectl apply` takes for the same object: kind, namespace, name."""
        return (self.kind, self.namespace, self.name)

    def with_data(self, data: Mapping[str, Any]) -> Document:
        return replace(self, data=data)


@dataclass(frozen=True)
class Documents:
    """Documents in the order they were applied, one per key."""

    items: tuple[Document, ...] = ()

    def __iter__(self) -> Iterator[Document]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def of(self, kind: str) -> list[Document]:
        return [d for d in self.items if d.kind == kind]

    def apply(self, others: Iterable[Document]) -> Documents:
        """As `kubectl apply`: an object of the same key is replaced where it stands, a new one is appended."""
        merged = {d.key: d for d in self.items}
        merged.update((d.key, d) for d in others)
        return Documents(tuple(merged.values()))
