"""Remember what was made of a frozen object for as long as the object lives: the same object, the same result.

A traffic shift replaces one document of many, so all but one need not be read again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document

K = TypeVar("K")
T = TypeVar("T")


def per_object(make: Callable[[K], T]) -> Callable[[K], T]:
    """Wrap a function of one frozen object. By identity: documents and topologies hold mappings, which do not hash."""
    made: dict[int, T] = {}

    def remembered(key: K) -> T:
        if id(key) not in made:
            made[id(key)] = make(key)
            # The id is free for another object once this one is gone.
            weakref.finalize(key, made.pop, id(key), None).atexit = False
        return made[id(key)]

    return remembered


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """What one document says by itself, before it is compared with the others."""

    value: T
    notes: tuple[Diagnostic, ...] = ()


def per_document(parse: Callable[[Document, list[Diagnostic]], T]) -> Callable[[Document], Parsed[T]]:
    """Wrap `parse(document, notes)`."""

    @per_object
    def parsed(document: Document) -> Parsed[T]:
        notes: list[Diagnostic] = []
        return Parsed(parse(document, notes), tuple(notes))

    return parsed
