"""An object with what is new beside what is old: the first of two edits that swap something in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from meshtest.model.document import Document
from meshtest.preflight.dig import objects, strings
from meshtest.preflight.kinds import DESTINATION_RULE, SERVICE, SERVICE_ENTRY


def united(old: Document, new: Document) -> Document | None:
    """The old version with what only the new one has; None for kinds that cannot have both."""
    unite = _KINDS.get(old.kind)
    if unite is None:
        return None
    spec = {**_spec(old), **unite(old, new)}
    return old.with_data({**old.data, "spec": spec})


def _spec(document: Document) -> Mapping[str, Any]:
    found = document.data.get("spec")
    return found if isinstance(found, dict) else {}


def _subsets(old: Document, new: Document) -> Mapping[str, Any]:
    return {"subsets": _both(old, new, "subsets", "name")}


def _ports(old: Document, new: Document) -> Mapping[str, Any]:
    """Ports by number. Names must be unique, so a new port with an old name gets another."""
    kept = [item for _, item in objects(old.data, "spec", "ports")]
    numbers = {item.get("port") for item in kept}
    names = {item.get("name") for item in kept}
    added = []
    for _, item in objects(new.data, "spec", "ports"):
        if item.get("port") not in numbers:
            name = item.get("name") or "port"
            added.append({**item, "name": f"{name}-next" if name in names or not item.get("name") else name})
    unnamed = [item if item.get("name") else {**item, "name": "before"} for item in kept] if added else kept
    return {"ports": [*unnamed, *added]}


def _hosts(old: Document, new: Document) -> Mapping[str, Any]:
    hosts = list(dict.fromkeys([*strings(old.data, "spec", "hosts"), *strings(new.data, "spec", "hosts")]))
    return {"hosts": hosts, "ports": _both(old, new, "ports", "number")}


def _both(old: Document, new: Document, field: str, key: str) -> list[Any]:
    """The old list, and the items of the new one whose key is not in it."""
    kept = [item for _, item in objects(old.data, "spec", field)]
    known = {item.get(key) for item in kept}
    return [*kept, *(item for _, item in objects(new.data, "spec", field) if item.get(key) not in known)]


_KINDS: Mapping[str, Callable[[Document, Document], Mapping[str, Any]]] = {
    DESTINATION_RULE: _subsets,
    SERVICE: _ports,
    SERVICE_ENTRY: _hosts,
}
