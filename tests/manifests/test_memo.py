"""A result is remembered as long as its object lives."""

from __future__ import annotations

import gc

from meshtest.manifests.memo import per_object


class Thing:
    """Something that can be referred to weakly."""


def test_a_result_lives_as_long_as_its_object() -> None:
    made: list[int] = []

    @per_object
    def number(thing: Thing) -> int:
        made.append(len(made))
        return made[-1]

    one, other = Thing(), Thing()
    assert (number(one), number(other), number(one)) == (0, 1, 0)
    del other
    gc.collect()
    assert number(one) == 0
    assert [number(Thing()) for _ in range(3)] == [2, 3, 4]
