"""Why a query found nothing: a name that nobody uses, a label that excludes all, or a window without samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from meshtest.errors import MeshtestError
from meshtest.lib.words import listed, nearest
from meshtest_telemetry.prometheus_client import Client

LOOKBACK = 3600.0
"""Seconds before the query's time in which series are looked for."""

_STRING = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`'
_SELECTOR = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{{((?:{_STRING}|[^{{}}\"'`])*)\}}")
_MATCHER = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*({_STRING})")
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][a-zA-Z0-9_:]*(?![\w:]*\s*\()")
_LABEL_LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\b\s*(?:\([^)]*\))?")
_OPERATORS = re.compile(r"and|or|unless|bool|offset|inf|nan|atan2|start|end", re.IGNORECASE)
"""Words that are no names; those with a list of labels are gone before."""


def why_nothing(client: Client, query: str, at: float, series: int, since: float | None) -> str:
    """A sentence; `series` is how many the query found (all of them NaN), `since` when our scrapes began."""
    try:
        for name, matchers in selectors(query):
            if said := _missing(client, name, matchers, at):
                return said
    except MeshtestError as error:  # it is the explanation that fails, not the query
        return f"the query found nothing ({error})"
    if series:
        return "NaN: nothing was counted in the window, and 0 / 0 is no number"
    if "[" in query:
        began = f"; scrapes began {at - since:.1f} s before" if since else ""
        return f"its series are there, but not two samples of them in the range that a rate needs{began}"
    return "its series are there, but none fulfils the query"


def selectors(query: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """(name, [(label, operator, quoted value)]) of each selector, as far as a regular expression can tell."""
    for found in _SELECTOR.finditer(query):
        yield found[1] or "", [(m[1], m[2], m[3]) for m in _MATCHER.finditer(found[2])]
    rest = _LABEL_LISTS.sub(" ", re.sub(r"\[[^\]]*\]", " ", re.sub(_STRING, " ", _SELECTOR.sub(" ", query))))
    for word in _NAME.finditer(rest):
        if not _OPERATORS.fullmatch(word[0]):
            yield word[0], []


def _missing(client: Client, name: str, matchers: list[tuple[str, str, str]], at: float) -> str:
    """Why this selector has no series; "" if it has."""
    if _count(client, name, matchers, at):
        return ""
    if name and not _count(client, name, [], at):
        return _unknown(client, name)
    for position, (label, operator, value) in enumerate(matchers):
        others = matchers[:position] + matchers[position + 1 :]
        if found := _series(client, name, others, at):
            there = sorted({one.get(label, "") for one in found})
            shown = listed((f'"{value}"' for value in there), most=6)
            return f"no series of {name or 'it'} has {label}{operator}{value}; {label} is {shown}"
    return f"series of {name} are there, but none has {{{_text(matchers)}}}"


def _unknown(client: Client, name: str) -> str:
    known = [str(one) for one in client.get("label/__name__/values")]
    hint = nearest(name, known)
    if hint:
        return f"no series is called {name}; did you mean {hint}?"
    there = listed(sorted(n for n in known if not n.endswith("_bucket")), most=8)
    return f"no series is called {name}; there are: {there or 'none at all'}"


def _count(client: Client, name: str, matchers: list[tuple[str, str, str]], at: float) -> int:
    return len(_series(client, name, matchers, at))


def _series(client: Client, name: str, matchers: list[tuple[str, str, str]], at: float) -> list[Any]:
    inner = _text(matchers)
    if not name and not any(op in ("=", "=~") and len(value) > 2 for _, op, value in matchers):
        return []  # Prometheus refuses a selector that could match everything
    match = {"match[]": f"{name}{{{inner}}}", "start": f"{at - LOOKBACK:.3f}", "end": f"{at + 1:.3f}"}
    return list(client.get("series", **match))


def _text(matchers: list[tuple[str, str, str]]) -> str:
    return ",".join(f"{label}{operator}{value}" for label, operator, value in matchers)
