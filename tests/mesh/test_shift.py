"""`mesh["web"].shift(...)`: the arithmetic of the rest, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from meshtest import Mesh, UsageError
from meshtest.mesh.service import _spread
from meshtest.testing import FakeProvider

from .conftest import THIRD


def test_what_is_left_of_100_goes_to_the_other_version(mesh: Mesh, provider: FakeProvider) -> None:
    mesh["web"].shift(v2=10)
    assert mesh["web"].shares == {"v1": 90, "v2": 10}
    (table,) = provider.topology.tables
    assert [(d.subset, d.weight) for d in table.routes[0].destinations] == [("v1", 90), ("v2", 10)]


def test_all_the_traffic_can_move_and_come_back(mesh: Mesh) -> None:
    mesh["web"].shift(v2=100)
    assert mesh["web"].shares == {"v2": 100}
    mesh["web"].shift(v1=100)
    assert mesh["web"].shares == {"v1": 100}


def test_the_rest_is_spread_in_proportion_to_what_versions_have_now(mesh: Mesh) -> None:
    mesh.apply(text=THIRD)
    mesh["web"].shift(v1=60, v2=30, v3=10)
    mesh["web"].shift(v3=40)
    assert mesh["web"].shares == {"v1": 40, "v2": 20, "v3": 40}


def test_a_version_with_nothing_gets_the_rest_when_nobody_else_has_any(mesh: Mesh) -> None:
    mesh["web"].shift(v1=40)
    assert mesh["web"].shares == {"v1": 40, "v2": 60}


def test_a_version_whose_name_is_no_python_name_is_given_in_a_dict(mesh: Mesh) -> None:
    mesh["web"].shift({"v2": 25})
    assert mesh["web"].shares == {"v1": 75, "v2": 25}


@pytest.mark.parametrize(
    ("total", "parts", "expected"),
    [
        (100, {"a": 1, "b": 1, "c": 1}, {"a": 34, "b": 33, "c": 33}),
        (90, {"a": 100.0}, {"a": 90}),
        (1, {"a": 1, "b": 2}, {"a": 0, "b": 1}),
        (0, {"a": 1}, {}),
        (99, {"a": 33.3, "b": 66.7}, {"a": 33, "b": 66}),
    ],
)
def test_whole_percent_always_add_up(total: int, parts: Mapping[str, float], expected: dict[str, int]) -> None:
    assert _spread(total, parts) == expected
    assert sum(_spread(total, parts).values()) == total


def test_shares_above_100_are_refused(mesh: Mesh) -> None:
    with pytest.raises(UsageError, match=r"mesh\['web'\]\.shift\(\): the shares add up to 110 %, more than 100"):
        mesh["web"].shift(v1=60, v2=50)


def test_a_shift_of_nothing_is_refused(mesh: Mesh) -> None:
    with pytest.raises(UsageError, match=r"needs a version and its share in percent, as in shift\(v2=10\)"):
        mesh["web"].shift()


def test_a_shift_to_an_unknown_version_is_refused_and_nothing_changes(mesh: Mesh, provider: FakeProvider) -> None:
    before = len(provider.applied)
    with pytest.raises(UsageError, match="v9"):
        mesh["web"].shift(v9=10)
    assert len(provider.applied) == before
    assert mesh["web"].shares == {"v1": 100}


def test_a_negative_share_is_refused(mesh: Mesh) -> None:
    with pytest.raises(UsageError, match="-10"):
        mesh["web"].shift(v2=-10)
    assert mesh["web"].shares == {"v1": 100}
