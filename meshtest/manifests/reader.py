"""From files to documents, as `kubectl apply -f` finds them, with the file and line of every node.

Not here: whether kinds, names and fields are what a cluster takes (compiler.py and the dialects).
"""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from meshtest.errors import ManifestError, UsageError
from meshtest.manifests.nodes import Node, parse
from meshtest.manifests.remarks import remarks_of
from meshtest.model.diagnostic import Diagnostic, Severity, Source
from meshtest.model.document import Document, Documents, Remark

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STDIN = "-"


def read(*patterns: str, base: Path | None = None) -> Documents:
    """The documents of files, directories (not recursive), globs (`**` allowed) or `-`, relative to `base`.

    Raises UsageError for a pattern without a file, ManifestError for what cannot be read.
    """
    base = base or Path.cwd()
    documents: list[Document] = []
    for path in dict.fromkeys(file for pattern in patterns for file in find(pattern, base)):
        if path == STDIN:
            documents += documents_of(sys.stdin.read(), "<stdin>")
        else:
            documents += documents_of(_text(Path(path)), _shown(Path(path)))
    if not documents:
        where = ", ".join(patterns) or "nothing"
        raise UsageError(f"no object in {where}: empty, or comments only (searched in {base})")
    return unique(documents)


def read_text(text: str, name: str = "<text>") -> Documents:
    """The documents of a string; `name` stands for the file in messages."""
    return unique(documents_of(text, name))


def find(pattern: str, base: Path) -> list[str]:
    """The files a pattern means, sorted."""
    if pattern == STDIN:
        return [STDIN]
    path = base / pattern
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file()]
        wanted = "has no .yaml, .yml or .json file"
    elif path.is_file():
        found, wanted = [path], ""
    else:
        found = [Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file()]
        wanted = "is a symbolic link that leads nowhere" if path.is_symlink() else "matches no file"
    if not found:
        raise UsageError(f"{pattern!r} {wanted} (searched in {base})")
    return sorted(str(p.resolve()) for p in found)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise _refused("malformed", "not UTF-8 text", Source(_shown(path), line)) from None


def _shown(path: Path) -> str:
    """Relative to the working directory where it is below it: short, and what editors link."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def documents_of(text: str, file: str) -> Iterator[Document]:
    """The objects of one text; lists are unpacked."""
    remarks = remarks_of(text)
    for node in parse(text, file):
        for part in unpacked(node):
            yield checked(part, file, remarks)


def unpacked(node: Node) -> Iterable[Node]:
    """`kind: List` (or `DeploymentList`...) stands for its items."""
    items = node.data.get("items") if isinstance(node.data, dict) else None
    if not isinstance(items, list) or not str(node.data.get("kind", "")).endswith("List"):
        return [node]
    lines: list[dict[Any, int]] = [{} for _ in items]
    for path, line in node.lines.items():
        match path:
            case ("items", int(index), *rest):
                lines[index][tuple(rest)] = line
    parts = (Node(item, lines[i], lines[i][()]) for i, item in enumerate(items))
    return [inner for part in parts for inner in unpacked(part)]


def checked(node: Node, file: str, remarks: tuple[Remark, ...] = ()) -> Document:
    """A document must say what it is: apiVersion, kind and metadata.name."""
    if not isinstance(node.data, dict):
        raise _refused("malformed", "a document must be a mapping with apiVersion and kind", Source(file, node.line))
    document = Document(node.data, file, node.lines, remarks)
    metadata = node.data.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise _refused("wrong-type", "`metadata` must be a mapping", document.where("metadata"))
    values = {
        "apiVersion": node.data.get("apiVersion"),
        "kind": node.data.get("kind"),
        "metadata.name": (metadata or {}).get("name"),
    }
    for field, value in values.items():
        where = document.where(*field.split("."))
        if value is None or value == "":
            raise _refused("missing-field", f"`{field}` is required{_about(values)}{_hint(file)}", where)
        if not isinstance(value, str):
            raise _refused("wrong-type", f"`{field}` must be a string, not {value!r}", where)
    namespace = document.metadata.get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        where = document.where("metadata", "namespace")
        raise _refused("wrong-type", f"`metadata.namespace` must be a string, not {namespace!r}", where)
    return document


def _about(values: dict[str, Any]) -> str:
    kind = values["kind"]
    return f" (of this {kind})" if isinstance(kind, str) and kind else ""


def _hint(file: str) -> str:
    """A folder of Kustomize has one file that is none for `kubectl apply`."""
    if Path(file).stem != "kustomization":
        return ""
    return "; it is for Kustomize: give what `kubectl kustomize` makes of its folder"


def unique(documents: Iterable[Document]) -> Documents:
    """One document a key; the same object twice in one read is a slip that `kubectl` would not show."""
    documents = tuple(documents)
    seen: dict[tuple[str, str, str], Document] = {}
    for document in documents:
        first = seen.setdefault(document.key, document)
        if first is not document:
            kind = document.data["kind"]
            message = f"{kind} `{document.namespace}/{document.name}` stands twice, first at {first.where()}"
            raise _refused("duplicate-object", message, document.where())
    return Documents(documents)


def _refused(code: str, message: str, source: Source) -> ManifestError:
    return ManifestError([Diagnostic(Severity.ERROR, code, message, source)])
