"""Words for people: the nearest known name, durations, plurals."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def listed(words: Iterable[str], *, most: int = 8) -> str:
    """`a, b, c` - and `...` when there are more than `most`."""
    words = list(words)
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")


def plural(count: int, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")
