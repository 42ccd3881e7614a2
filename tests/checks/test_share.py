"""`assert load.share("v2") == about(10)`."""

from __future__ import annotations

from meshtest.checks import About, Share, about, explain, shares
from meshtest.model.request import Fate
from tests.checks.histories import V1, V2, every, history, mixed, request


def test_a_share_is_about_what_an_exact_test_cannot_tell_from_it() -> None:
    assert Share(91, 1000) == about(10)
    assert Share(160, 1000) != about(10)
    assert about(10) == Share(91, 1000)


def test_too_few_are_not_equal_and_the_explanation_says_so() -> None:
    share = Share(10, 100)
    assert share != about(10)
    assert explain(share, about(10)) == [
        "10 % (10 of 100) == about 10 %",
        "UNKNOWN: 10 % (10 of 100), intended 10 %: 100 requests prove nothing, it takes 387",
        "the true share is between 3.82 % and 20.2 % (99 %)",
        "to tell 10 % from 5 points more or less takes 1352 requests",
    ]


def test_a_wrong_share_is_explained() -> None:
    lines = explain(Share(200, 1000), about(10))
    assert lines[1].startswith("FAIL: 20 % (200 of 1000), intended 10 % (p = ")


def test_nothing_counted_is_about_nothing() -> None:
    assert Share(0, 0) != about(0)
    assert explain(Share(0, 0), About(0))[0] == "nothing (0 of 0) == about 0 %"


def test_none_and_all_are_exact() -> None:
    assert Share(0, 100) == about(0)
    assert Share(100, 100) == about(100)
    assert Share(1, 1000) != about(0)
    assert Share(999, 1000) != about(100)


def test_a_resolution_in_points_asks_for_more() -> None:
    assert Share(100, 1000) != About(10, resolution=5)
    assert Share(200, 2000) == About(10, resolution=5)


def test_other_things_are_not_shares() -> None:
    assert about(10) != 10
    assert Share(1, 10).percent == 10.0


def test_shares_are_counted_among_those_who_are_known_to_have_served() -> None:
    requests = [*every(0.01, mixed(v2=1, v1=3)), request(9, 1.0, fate=Fate.RESET)]
    assert shares(history(requests).requests, "web") == {"v1": Share(3, 4), "v2": Share(1, 4)}
    assert shares(history(requests).requests, "other") == {}
    assert {V1.version, V2.version} == {"v1", "v2"}
