"""What lies within what on a line of time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def nested(things: Sequence[T], bounds: Callable[[T], tuple[float, float]]) -> list[tuple[T, T | None]]:
    """Each thing, in order of its start, with the shortest other one that contains it.

    Of two that only overlap none contains the other, and neither of two that are equally long: calls that one test made
    one after the other may bear the same times.
    """
    told: list[tuple[T, T | None]] = []
    around: list[T] = []
    for thing in sorted(things, key=lambda one: (bounds(one)[0], -bounds(one)[1])):
        start, end = bounds(thing)
        while around and not _contains(bounds(around[-1]), start, end):
            around.pop()
        told.append((thing, around[-1] if around else None))
        around.append(thing)
    return told


def _contains(outer: tuple[float, float], start: float, end: float) -> bool:
    return outer[0] <= start and end <= outer[1] and end - start < outer[1] - outer[0]
