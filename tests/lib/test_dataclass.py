"""meshtest.lib.dataclass: what the standard decorator makes, ours makes too."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import KW_ONLY, FrozenInstanceError, asdict, field, fields, is_dataclass, replace
from functools import cached_property
from typing import ClassVar

import pytest

from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True)
class Point:
    """A place."""

    x: int
    y: int = 0
    tags: dict[str, str] = field(default_factory=dict, compare=False)
    unit: ClassVar[str] = "m"

    @cached_property
    def far(self) -> bool:
        return self.x > 100


@dataclass(frozen=True)
class Solid(Point):
    z: int = 0


@dataclass
class Counter:
    name: str
    _: KW_ONLY
    step: int = 1
    total: int = field(default=0, init=False, repr=False)
    seen: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.total = 10


@dataclass(frozen=True, kw_only=True)
class Option:
    name: str = "a"
    value: int


class TestConstruction:
    def test_positions_keywords_and_defaults(self) -> None:
        assert (Point(1), Point(1, y=2), Point(x=3, y=4).y) == (Point(1, 0), Point(1, 2), 4)

    def test_a_factory_makes_a_value_for_each(self) -> None:
        assert Point(1).tags is not Point(1).tags
        assert Counter("a").seen is not Counter("a").seen

    def test_a_subclass_has_the_fields_of_its_base_first(self) -> None:
        assert [f.name for f in fields(Solid)] == ["x", "y", "tags", "z"]
        assert Solid(1, 2, {}, 3).z == 3

    def test_keyword_only_fields_may_lack_a_default_after_one(self) -> None:
        assert Option(value=1).name == "a"

    def test_after_the_marker_come_keywords_only(self) -> None:
        assert Counter("a", step=2).step == 2
        with pytest.raises(TypeError, match="positional"):
            Counter("a", 2)  # type: ignore[call-arg]

    def test_post_init_runs(self) -> None:
        assert Counter("a").total == 10

    @pytest.mark.parametrize(
        ("call", "says"),
        [
            (lambda: Option(), r"Option\.__init__\(\) missing 1 required keyword-only argument: 'value'"),
            (lambda: Point(), r"Point\.__init__\(\) missing 1 required positional argument: 'x'"),
            (lambda: Point(1, z=2), r"Point\.__init__\(\) got an unexpected keyword argument 'z'"),
            (lambda: Point(1, x=2), r"Point\.__init__\(\) got multiple values for argument 'x'"),
        ],
    )
    def test_wrong_arguments_get_pythons_words(self, call: object, says: str) -> None:
        for _ in range(2):  # before and after it was compiled
            with pytest.raises(TypeError, match=says):
                call()  # type: ignore[operator]


class TestFrozen:
    def test_fields_cannot_be_set_or_deleted(self) -> None:
        with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
            Point(1).x = 2  # type: ignore[misc]
        with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
            del Point(1).x

    def test_a_cached_property_works(self) -> None:
        assert Point(101).far

    def test_a_plain_subclass_has_attributes_of_its_own(self) -> None:
        class Named(Point):
            pass

        named = Named(1)
        named.name = "n"  # type: ignore[attr-defined]
        with pytest.raises(FrozenInstanceError):
            named.x = 2  # type: ignore[misc]

    def test_others_can_be_changed(self) -> None:
        counter = Counter("a")
        counter.total += 1
        assert counter.total == 11


class TestComparison:
    def test_by_the_fields_that_count_and_the_class(self) -> None:
        assert Point(1, tags={"a": "b"}) == Point(1)
        assert Point(1) != Solid(1)
        assert Point(1) != (1, 0)

    def test_frozen_ones_are_hashable_the_others_not(self) -> None:
        assert {Point(1), Point(1)} == {Point(1)}
        with pytest.raises(TypeError, match="unhashable"):
            hash(Counter("a"))

    def test_what_the_class_defines_stays(self) -> None:
        @dataclass(frozen=True)
        class Always:
            x: int

            def __eq__(self, other: object) -> bool:
                return True

            def __repr__(self) -> str:
                return "always"

        assert Always(1) == Always(2)
        assert repr(Always(1)) == "always"
        assert hash(Always(1)) == hash(Always(1))

    def test_without_eq_identity_counts(self) -> None:
        @dataclass(frozen=True, eq=False)
        class Job:
            x: int

        assert Job(1) != Job(1)
        assert len({Job(1), Job(1)}) == 2


class TestStandardTools:
    def test_it_is_a_dataclass(self) -> None:
        assert is_dataclass(Point)
        assert Point.__match_args__ == ("x", "y", "tags")
        assert asdict(Point(1)) == {"x": 1, "y": 0, "tags": {}}
        assert replace(Solid(1), z=5) == Solid(1, z=5)

    def test_its_text_is_the_standard_one(self) -> None:
        standard = dataclasses.make_dataclass("Point", [("x", int), ("y", int), ("tags", dict)])
        assert repr(Point(1)) == repr(standard(1, 0, {}))
        assert repr(Counter("a")) == "Counter(name='a', step=1, seen=[])"

    def test_it_matches_patterns(self) -> None:
        match Point(1, 2):
            case Point(x, y):
                assert (x, y) == (1, 2)
            case _:
                raise AssertionError

    def test_it_can_be_copied_and_pickled_before_any_was_made(self) -> None:
        data = pickle.dumps(Point(1, 2))
        assert pickle.loads(data) == copy.copy(Point(1, 2)) == copy.deepcopy(Point(1, 2))

    def test_a_class_without_fields_works(self) -> None:
        @dataclass(frozen=True)
        class Nothing:
            pass

        assert Nothing() == Nothing()
        assert repr(Nothing()).endswith("Nothing()")
        assert hash(Nothing()) == hash(Nothing())
