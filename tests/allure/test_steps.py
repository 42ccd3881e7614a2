"""A run as steps: what lies in what, what is red and why."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from meshtest_allure.intervals import nested
from meshtest_allure.steps import Step, steps

from meshtest.model.history import Event
from meshtest.model.verdict import Finding, Outcome

from .reports import EVENTS, LOST, failed, material

SHIFT, STEP, FAULT = "shift web v2=10", "v2 at 10 %", "fault in web: delay 800 ms for 30 % of requests with x: y"
LOAD = "load load: GET http://web/ at 100/s"


def tree(found: Sequence[Step]) -> list[object]:
    return [(step.name, tree(step.steps)) if step.steps else step.name for step in found]


def named(found: Sequence[Step], name: str) -> Step:
    every = [*found]
    for step in every:
        every += step.steps
    return next(step for step in every if step.name == name)


class TestTree:
    def test_what_happened_within_something_is_in_it(self) -> None:
        found = steps(material(), passed=True)
        inside = [(STEP, [SHIFT]), (FAULT, ["fault for callers of web"])]
        assert tree(found) == ["apply web.yaml", (LOAD, inside)]

    def test_times_are_those_of_the_events(self) -> None:
        found = steps(material(), passed=True)
        assert [(step.start, step.end) for step in found] == [(0.1, 0.5), (1.0, 3.2)]
        assert (named(found, SHIFT).start, named(found, SHIFT).end) == (1.6, 1.7)

    def test_what_only_overlaps_is_beside_it(self) -> None:
        pairs = nested([(0, 5), (3, 8), (4, 5), (9, 9), (9, 9)], lambda one: one)
        assert pairs == [((0, 5), None), ((3, 8), None), ((4, 5), (3, 8)), ((9, 9), None), ((9, 9), None)]

    def test_two_steps_of_one_name_end_the_inner_one_first(self) -> None:
        kinds = ("step.start", "step.start", "step.end", "step.end")
        events = [Event(at, kind, "again") for at, kind in enumerate(kinds, 1)]
        (outer,) = steps(material(events=events), passed=True)
        assert (outer.start, outer.end) == (1, 4)
        assert [(step.start, step.end) for step in outer.steps] == [(2, 3)]

    def test_a_judgement_has_its_findings(self) -> None:
        split = Finding(check="split", outcome=Outcome.PASS, sentence="as intended")
        last = steps(material(findings=[failed(), split]), passed=False)[-1]
        assert last.name == f"judge: FAIL: no_downtime: {LOST}"
        assert [(one.name, one.status) for one in last.steps] == [
            (f"no_downtime: {LOST}", "failed"),
            ("split: as intended", "passed"),
        ]

    def test_without_events_there_are_none(self) -> None:
        assert steps(material(events=()), passed=True) == []


class TestFacts:
    def test_who_served_and_what_failed(self) -> None:
        step = named(steps(material(60, 120), passed=True), STEP)
        assert step.facts == {"requests": "100", "failed": "2", "web/v1": "88 %", "web/v2": "10 %"}

    def test_a_fault_says_how_often_it_bit(self) -> None:
        assert named(steps(material(), passed=True), FAULT).facts["bit"] == "delays_injected 12"

    def test_a_load_answers_for_all_of_its_own_requests(self) -> None:
        early = [event if event.kind != "load.start" else Event(1.2, *_rest(event)) for event in EVENTS]
        load = named(steps(material(0, 199, events=early), passed=False), LOAD)
        assert load.facts["failed"] == "2"
        assert load.why.startswith("2 requests failed in it")

    def test_a_change_has_its_diff(self) -> None:
        assert named(steps(material(), passed=True), SHIFT).diff == "+ line 2\n"


def _rest(event: Event) -> tuple[str, str, dict[str, object]]:
    return event.kind, event.subject, dict(event.data)


class TestStatus:
    def test_steps_in_which_requests_failed_are_red_and_say_which_was_first(self) -> None:
        found = steps(material(60, 120), passed=False)
        assert named(found, SHIFT).status == named(found, STEP).status == named(found, LOAD).status == "failed"
        assert named(found, SHIFT).why == "1 request failed in it, first at t=1.600s (reset)"
        assert named(found, STEP).why == "2 requests failed in it, first at t=1.600s (reset)"
        assert named(found, FAULT).status == "passed"

    def test_nothing_is_red_in_a_test_that_passed(self) -> None:
        found = steps(material(60, findings=[failed()]), passed=True)
        assert {step.status for step in [*found, *found[1].steps, *found[-1].steps]} == {"passed"}

    def test_a_rejected_change_is_broken_and_says_why(self) -> None:
        rejected = named(steps(material(), passed=False), "fault for callers of web")
        assert (rejected.status, rejected.why) == ("broken", "rejected: no such cluster")

    def test_a_split_that_was_not_as_intended_makes_the_step_red_in_which_its_window_began(self) -> None:
        window = {"start": 1.7, "end": 2.7, "outcome": "FAIL"}
        split = Finding(check="split", outcome=Outcome.FAIL, sentence="v2 got 30 %", figures={"windows": [window]})
        found = steps(material(findings=[split]), passed=False)
        assert (named(found, STEP).status, named(found, STEP).why) == ("failed", "v2 got 30 %")
        assert named(found, SHIFT).status == "passed"

    @pytest.mark.parametrize(
        ("missing", "name", "status", "why"),
        [
            ("load.end", LOAD, "unknown", "its end was not recorded"),
            ("config.ack", SHIFT, "broken", "nobody acknowledged it"),
            ("step.end", STEP, "passed", ""),
        ],
    )
    def test_what_a_crash_left_open_lasts_until_the_end(self, missing: str, name: str, status: str, why: str) -> None:
        events = [event for event in EVENTS if event.kind != missing]
        step = named(steps(material(events=events), passed=False), name)
        assert (step.status, step.why) == (status, why)
        assert step.end == max(event.at for event in events)

    def test_a_load_that_ended_before_its_time_is_broken(self) -> None:
        events = [*EVENTS[:-1], Event(3.2, "load.end", "load", {"error": "the prober was killed"})]
        load = named(steps(material(events=events), passed=False), LOAD)
        assert (load.status, load.why) == ("broken", "the prober was killed")
