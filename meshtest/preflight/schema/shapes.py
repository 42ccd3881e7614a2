"""A shape says what a value may be, as OpenAPI and the CEL rules of a CRD do. Made by small functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from meshtest.lib.dataclass import dataclass

Predicate = Callable[[Any], bool]
"""Of a value that has the right type; True when it is fine."""


@dataclass(frozen=True)
class Shape:
    """Limits that do not apply to the type are None."""

    type: str = ""
    fields: Mapping[str, Shape] = field(default_factory=dict)
    each: Shape | None = None
    """Of the items of a list, or of the values of a map."""
    required: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    pattern: str = ""
    least: float | None = None
    most: float | None = None
    fewest: int | None = None
    """Characters, items or entries."""
    longest: int | None = None
    keys: tuple[str, ...] = ()
    """Fields that make an item of a list unique."""
    rules: tuple[tuple[Predicate, str], ...] = ()


def thing(
    *rules: tuple[Predicate, str], required: str = "", also: Mapping[str, Shape] | None = None, **fields: Shape
) -> Shape:
    """An object with these fields of interest; `also` are more of them, shared or named as Python cannot."""
    return Shape("object", fields={**(also or {}), **fields}, required=tuple(required.split()), rules=rules)


def entries(
    each: Shape | None = None, *rules: tuple[Predicate, str], fewest: int | None = None, most: int | None = None
) -> Shape:
    """A map with free keys."""
    return Shape("object", each=each, fewest=fewest, longest=most, rules=rules)


def items(
    each: Shape | None = None,
    *rules: tuple[Predicate, str],
    fewest: int | None = None,
    most: int | None = None,
    keys: str = "",
) -> Shape:
    return Shape("array", each=each, fewest=fewest, longest=most, keys=tuple(keys.split()), rules=rules)


def string(
    *rules: tuple[Predicate, str], fewest: int | None = None, most: int | None = None, pattern: str = ""
) -> Shape:
    return Shape("string", fewest=fewest, longest=most, pattern=pattern, rules=rules)


def whole(least: float | None = None, most: float | None = None, *rules: tuple[Predicate, str]) -> Shape:
    return Shape("integer", least=least, most=most, rules=rules)


def real(least: float | None = None, most: float | None = None) -> Shape:
    return Shape("number", least=least, most=most)


def one_of(words: str) -> Shape:
    return Shape("string", words=tuple(words.split()))


NAME = string(fewest=1)
UNSIGNED = whole(0, 2**32 - 1)
