"""Changes to one document as pure functions: the data is copied along the path, and lines keep to their nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshtest.model.document import Document, Path


def put(document: Document, path: Path, value: Any) -> Document:
    """The node at the path replaced, or added; what is new stands where its nearest old ancestor stands."""
    lines = {p: line for p, line in document.lines.items() if not _below(p, path)}
    return Document(_changed(document.data, path, lambda _: value), document.file, lines)


def drop(document: Document, path: Path) -> Document:
    """The key, or the list item, at the path taken away."""
    *parents, last = path
    if isinstance(last, int):
        return _spliced(document, tuple(parents), last, 1, [])
    lines = {p: line for p, line in document.lines.items() if not _below(p, path) and p != path}
    data = _changed(document.data, tuple(parents), lambda node: {k: v for k, v in node.items() if k != last})
    return Document(data, document.file, lines)


def insert(document: Document, path: Path, index: int, value: Any) -> Document:
    """An item put into the list at the path."""
    return _spliced(document, path, index, 0, [value])


def _spliced(document: Document, path: Path, index: int, removed: int, added: list[Any]) -> Document:
    """List items replaced; the lines of those behind move with them."""
    depth, shift = len(path), len(added) - removed
    lines: dict[Path, int] = {}
    for old, line in document.lines.items():
        step = old[depth] if len(old) > depth and old[:depth] == path else None
        if not isinstance(step, int) or step < index:
            lines[old] = line
        elif step >= index + removed:
            lines[*path, step + shift, *old[depth + 1 :]] = line

    def change(items: list[Any] | None) -> list[Any]:
        items = items or []
        return [*items[:index], *added, *items[index + removed :]]

    return Document(_changed(document.data, path, change), document.file, lines)


def _changed(node: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(node)
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [_changed(item, rest, change) if i == step else item for i, item in enumerate(node)]
    return {**(node or {}), step: _changed((node or {}).get(step), rest, change)}


def _below(path: Path, parent: Path) -> bool:
    return len(path) > len(parent) and path[: len(parent)] == parent
