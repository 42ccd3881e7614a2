"""Reading data that nobody has checked yet: what is not of the wanted shape counts as absent, never as a crash.

Mappings are told by `dict`, as the reader makes them: asking for `Mapping` takes six times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]
EMPTY: Object = {}


def at(data: Any, *path: str) -> Any:
    """The value below some keys, or None."""
    for key in path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def object_at(data: Any, *path: str) -> Object:
    """The mapping below some keys; an empty one when there is none."""
    found = at(data, *path)
    return found if isinstance(found, dict) else EMPTY


def objects(data: Any, *path: str) -> Iterator[tuple[int, Object]]:
    """The mappings of a list, with their indices."""
    found = at(data, *path)
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield index, item


def strings(data: Any, *path: str) -> list[str]:
    """The strings of a list."""
    found = at(data, *path)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def text(data: Any, *path: str) -> str:
    """A string, or ""."""
    found = at(data, *path)
    return found if isinstance(found, str) else ""


def labels(data: Any, *path: str) -> dict[str, str]:
    """Strings by name."""
    return {str(key): str(value) for key, value in object_at(data, *path).items() if value is not None}


def number(data: Any, *path: str) -> float | None:
    found = at(data, *path)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def port(data: Any, *path: str) -> int | None:
    found = at(data, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None
