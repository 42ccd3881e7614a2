"""Where in the user's YAML a proxy's complaint comes from: the strings of its text that stand in the documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from meshtest.model.diagnostic import Source
from meshtest.model.document import Document, Path

SHORTEST = 4
"""Characters of a string that is looked for; shorter ones are everywhere."""

OPERATOR = re.compile(r"%([A-Z_]+)")
"""Envoy's command operators in header values: its text names them without the percent sign."""


def culprits(documents: Iterable[Document], text: str) -> list[Source]:
    """Places of strings of `spec` that the text repeats, in the order of the documents."""
    found = [
        document.where(*path)
        for document in documents
        for path, value in _strings(document.data.get("spec"), ("spec",))
        if _named(value, text)
    ]
    return list(dict.fromkeys(found))


def _named(value: str, text: str) -> bool:
    if any(re.search(rf"\b{name}\b", text) for name in OPERATOR.findall(value)):
        return True
    return len(value) >= SHORTEST and value in text


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _strings(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _strings(below, (*path, index))
