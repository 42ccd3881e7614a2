"""Our steps among those that a test has told Allure itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("allure_commons", reason="needs allure-pytest (pip install 'meshtest[allure]')")

from allure_commons.model2 import Attachment as Attached
from allure_commons.model2 import TestResult as Result  # not a test
from allure_commons.model2 import TestStepResult as Told
from meshtest_allure.attachments import Attachment
from meshtest_allure.steps import Step
from meshtest_allure.weaving import Weaver

WALL = 1_000_000.0


def woven(theirs: Sequence[Told], ours: Sequence[Step]) -> list[object]:
    result = Result(steps=list(theirs))
    Weaver(WALL, attach).weave(result, ours)
    return tree(result.steps)


def attach(one: Attachment) -> Attached:
    return Attached(name=one.name, source="file", type=one.type)


def tree(found: Sequence[Told]) -> list[object]:
    return [(step.name, tree(step.steps)) if step.steps else step.name for step in found]


def theirs(name: str, start: float, end: float, *inner: Told) -> Told:
    return Told(name=name, start=round((WALL + start) * 1000), stop=round((WALL + end) * 1000), steps=list(inner))


def test_ours_go_into_the_shortest_of_theirs_around_them() -> None:
    there = theirs("a", 0.0, 3.0, theirs("b", 1.0, 2.0))
    ours = [Step("early", 0.2, 0.3), Step("late", 1.2, 1.3, steps=[Step("inner", 1.25, 1.26)]), Step("after", 3.5, 4.0)]
    assert woven([there], ours) == [("a", ["early", ("b", [("late", ["inner"])])]), "after"]


def test_theirs_go_into_ours() -> None:
    ours = Step("load", 0.5, 3.0, steps=[Step("v2 at 10 %", 1.0, 2.0)])
    there = [theirs("before", 0.0, 0.4), theirs("look", 1.5, 1.6), theirs("end", 2.5, 2.6)]
    assert woven(there, [ours]) == ["before", ("load", [("v2 at 10 %", ["look"]), "end"])]


@pytest.mark.parametrize("offset", [0.0, 0.0003, 0.0005, 0.0007])
def test_of_two_that_are_as_long_theirs_is_outside_however_it_was_rounded(offset: float) -> None:
    there = theirs("theirs", 1.0 + offset, 2.0 + offset)
    load = Step("load", 0.0, 3.0, steps=[Step("ours", 1.0001 + offset, 1.9999 + offset)])
    assert woven([there], [load]) == [("load", [("theirs", ["ours"])])]


def test_what_only_overlaps_stays_beside() -> None:
    assert woven([theirs("theirs", 1.0, 2.0)], [Step("ours", 1.5, 2.5)]) == ["theirs", "ours"]


def test_a_step_becomes_one_of_allures() -> None:
    result = Result()
    step = Step("shift", 1.5, 1.75, "failed", "2 requests failed", {"requests": "10"}, "+ weight: 10")
    Weaver(WALL, attach).weave(result, [step])
    (told,) = result.steps
    assert (told.name, told.status, told.statusDetails.message) == ("shift", "failed", "2 requests failed")
    assert (told.start, told.stop) == (1_000_001_500, 1_000_001_750)
    assert [(one.name, one.value) for one in told.parameters] == [("requests", "10")]
    assert [(one.name, one.type) for one in told.attachments] == [("diff", "text/plain")]
