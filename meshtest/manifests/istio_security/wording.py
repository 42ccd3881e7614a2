"""Complaints in the words of the API server, for what a CRD's schema would refuse; the README of Istio quotes these."""

from __future__ import annotations

import re

from meshtest.lib.words import listed
from meshtest.manifests.view import View, shown


def required(view: View, key: str) -> bool:
    """The field is there."""
    if key in view:
        return True
    view.error("missing-field", f"{shown((*view.path, key))}: Required value")
    return False


def filled(view: View, key: str) -> bool:
    """The string is there and is not empty."""
    if not required(view, key):
        return False
    if view.data.get(key) == "":
        too_short(view, key)
        return False
    return True


def too_short(view: View, *below: str | int) -> None:
    view.error("bad-value", f"{shown((*view.path, *below))} in body should be at least 1 chars long", *below)


def all_filled(view: View, key: str) -> tuple[str, ...]:
    """The strings of a list; an empty one is an error."""
    values = view.strings(key)
    for index, value in enumerate(values):
        if not value:
            too_short(view, key, index)
    return tuple(value for value in values if value)


def matching(view: View, key: str, pattern: str) -> str:
    """A string that must look like this."""
    value = view.string(key)
    if not re.fullmatch(pattern, value):
        view.error("bad-value", f"{shown((*view.path, key))} in body should match '{pattern}', not {value!r}", key)
    return value


def word(view: View, key: str, allowed: tuple[str, ...], default: str) -> str:
    """One of some words."""
    value = view.string(key)
    if not value or value in allowed:
        return value or default
    text = f'{shown((*view.path, key))}: Unsupported value: "{value}": supported values: {listed(allowed, most=12)}'
    view.error("bad-value", text, key)
    return default


def objects(view: View, key: str) -> list[View]:
    """The mappings of a list; the API server has no null in a list."""
    value = view.data.get(key)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if item is None:
            text = f"{shown((*view.path, key, index))} in body must be of type object: it is null"
            view.error("wrong-type", text, key, index)
    return [child for child in view.children(key) if child.data or not _null(view, key, child)]


def _null(view: View, key: str, child: View) -> bool:
    index = child.path[-1]
    return isinstance(index, int) and view.data[key][index] is None
