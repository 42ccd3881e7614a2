"""Find what is installed behind a seam, by entry point; nothing is imported before it is asked for."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from meshtest.errors import UsageError


@cache
def _all() -> Any:
    """Looking at every installed package takes 8 ms, so it is done once."""
    return entry_points()


@cache
def _found(seam: str) -> dict[str, EntryPoint]:
    return {e.name: e for e in _all().select(group=f"meshtest.{seam}")}


def names(seam: str) -> list[str]:
    """Installed implementations of a seam (`providers`, `dialects`), sorted."""
    return sorted(_found(seam))


def load(seam: str, name: str) -> Any:
    """The object behind `name`; UsageError lists what is installed."""
    found = _found(seam)
    if name not in found:
        raise UsageError(f"no {seam.rstrip('s')} {name!r}; installed: {', '.join(sorted(found)) or 'none'}")
    return found[name].load()
