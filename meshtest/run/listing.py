"""The runs of a folder as an index lists them: the newest attempt of each test first, and which of how many it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from meshtest.run import folder


class Listed(NamedTuple):
    path: Path
    about: Mapping[str, Any]
    attempt: int
    """1 is the oldest of the runs of this name."""
    attempts: int

    @property
    def label(self) -> str:
        """`run 1 of 2`; "" where there is one only."""
        return f"run {self.attempt} of {self.attempts}" if self.attempts > 1 else ""


def listing(parent: Path) -> list[Listed]:
    """The oldest run first."""
    runs = folder.runs(parent)
    total = Counter(str(about.get("name")) for _, about in runs)
    seen: Counter[str] = Counter()
    found = []
    for path, about in runs:
        name = str(about.get("name"))
        seen[name] += 1
        found.append(Listed(path, about, seen[name], total[name]))
    return found
