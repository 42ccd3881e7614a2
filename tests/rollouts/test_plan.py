"""What a Canary will do, told before it is deployed."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import ManifestError
from meshtest.manifests.reader import read_text
from meshtest.rollouts.canary import Phase, course
from meshtest.rollouts.canary.plan import Plan, plan, worst
from meshtest.rollouts.canary.spec import Hook
from tests.rollouts.podinfo import ALL_HOOKS, document, hook, podinfo

SUCCESS = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
STEPS = {"stepWeight": 10, "maxWeight": 50, "threshold": 5, "metrics": [SUCCESS]}


def planned(**told: Any) -> Plan:
    return plan(document(**told))


def shares(taken: course.Course | None) -> list[float]:
    assert taken is not None
    return [course.exposed(taken.canary, tick.state) for tick in taken.ticks]


class TestCourses:
    """The formulas are those that Flagger's own ticks keep to (intervals from the tick that sees the new revision)."""

    @pytest.mark.parametrize(
        ("told", "intervals"),
        [
            (STEPS, 5 + 1 + 2),
            ({**STEPS, "mirror": True}, 5 + 1 + 1 + 2),
            ({**STEPS, "stepWeightPromotion": 20}, 5 + 3 + 2),
            ({"iterations": 5, "match": [{"headers": {"x-beta": {"exact": "y"}}}]}, 5 + 3),
            ({"iterations": 5}, 5 + 4),
        ],
    )
    def test_a_good_version_is_promoted_after_its_steps(self, told: dict[str, Any], intervals: int) -> None:
        happy = planned(**told).happy
        assert happy is not None
        assert (happy.ending, happy.intervals, happy.seconds) == ("promoted", intervals, intervals * 60)

    def test_a_bad_version_meets_users_for_one_interval_more_than_the_threshold(self) -> None:
        bad = planned(**STEPS).bad
        assert bad is not None
        assert (bad.ending, bad.exposure.intervals, bad.exposure.most) == ("rolled back", 5 + 1, 0.1)
        assert bad.exposure.weighted == pytest.approx(6 * 60 * 0.1)
        assert bad.exposure.requests(50) == pytest.approx(1800)

    def test_blue_green_stops_a_bad_version_before_users_meet_it_unless_it_is_bad_to_users_only(self) -> None:
        told = planned(iterations=3, metrics=[SUCCESS])
        assert told.bad is not None
        assert told.late is not None
        assert shares(told.bad) == [0.0] * len(told.bad.ticks)
        assert (told.late.exposure.intervals, told.late.exposure.most) == (2 + 1, 1.0)

    def test_where_both_are_the_same_it_is_told_once(self) -> None:
        assert planned(**STEPS).late is None

    def test_hooks_are_what_fails_where_nothing_is_measured(self) -> None:
        told = planned(webhooks=[hook("rollout")])
        assert told.what_fails == "rollout hooks"
        assert told.bad is not None
        assert told.bad.ending == "rolled back"

    def test_nothing_fails_where_nothing_is_checked(self) -> None:
        told = planned()
        assert (told.bad, told.what_fails) == (None, "")
        assert "FL38" in codes(told)

    def test_a_metric_that_takes_everything_finds_nothing(self) -> None:
        assert planned(metrics=[{"name": "request-success-rate"}]).bad is None

    @pytest.mark.parametrize(
        ("told", "phase"),
        [
            ({"spec": {"provider": "gatewayapi:v1"}, "mirror": True}, Phase.PROGRESSING),
            ({"stepWeights": [10, 10, 50]}, Phase.PROGRESSING),
            ({"webhooks": [hook("confirm-rollout", timeout="5mm")]}, Phase.WAITING),
            ({"spec": {"suspend": True}}, Phase.NEW),
        ],
        ids=["mirror of Gateway API", "steps that do not rise", "a gate that cannot answer", "suspended"],
    )
    def test_a_course_that_turns_in_circles_never_ends(self, told: dict[str, Any], phase: Phase) -> None:
        happy = planned(**told).happy
        if phase is Phase.NEW:
            assert happy is None
        else:
            assert happy is not None
            assert (happy.ending, happy.ticks[-1].state.phase) == ("never ends", phase)

    def test_a_route_that_is_refused_never_starts(self) -> None:
        told = planned(spec={"provider": "gatewayapi:v1", "service": {"port": 80}})
        assert told.happy is None
        assert "FL39" in codes(told)

    def test_a_thousand_iterations_do_end(self) -> None:
        happy = planned(iterations=1000).happy
        assert happy is not None
        assert happy.ending == "promoted"


class TestHooks:
    def test_each_is_told_with_its_ticks(self) -> None:
        told = planned(**STEPS, webhooks=ALL_HOOKS)
        happy = {use.hook.name: use.happy for use in told.uses}
        assert happy == {
            "confirm-rollout": (1,),
            "pre-rollout": (2,),
            "rollout": (3, 4, 5, 6, 7),
            "confirm-traffic-increase": (2, 3, 4, 5, 6, 7),
            "confirm-promotion": (7,),
            "post-rollout": (9,),
            "rollback": (2, 3, 4, 5, 6, 7),
        }
        (back,) = (use for use in told.uses if use.hook.name == "post-rollout")
        assert back.bad == (8,)

    @pytest.mark.parametrize(
        ("hook", "seconds"),
        [
            (Hook(name="a"), 10),
            (Hook(name="a", timeout=0.5, retries=1), 0.5 + 1 + 0.5),
            (Hook(name="a", timeout=2, retries=3), 4 * 2 + 1 + 2 + 4),
            (Hook(name="a", timeout=1, retries=7), 8 * 1 + 1 + 2 + 4 + 8 + 16 + 30 + 30),
            (Hook(name="a", timeout=-1, retries=1), 1),
        ],
    )
    def test_a_call_takes_all_attempts_and_the_pauses_between_them(self, hook: Hook, seconds: float) -> None:
        assert worst(hook) == seconds

    def test_a_tick_adds_up_the_hooks_it_calls(self) -> None:
        slow = [hook("rollout", "a", timeout="40s"), hook("rollout", "b", timeout="15s"), hook("rollback", "c")]
        told = planned(**STEPS, webhooks=slow)
        assert told.slowest == (3, 40 + 15 + 10)
        assert told.blocks

    def test_no_hooks_take_no_time(self) -> None:
        assert planned().slowest == (0, 0)


def codes(told: Plan) -> list[str]:
    return [one.surprise.code for one in told.surprises]


class TestSurprises:
    def test_they_stand_at_their_lines(self) -> None:
        text = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 80}
  analysis:
    interval: 1m
    threshold: 1
    stepWeight: 20
    maxWeight: 50
"""
        (found,) = read_text(text, "canary.yaml")
        (overshoot,) = (one for one in plan(found).surprises if one.surprise.code == "FL07")
        assert str(overshoot.source) == "canary.yaml:12"

    def test_those_that_are_only_met_on_the_way_stand_at_the_analysis(self) -> None:
        told = planned(iterations=2, metrics=[SUCCESS], spec={"provider": "kubernetes"})
        assert codes(told) == sorted(set(codes(told)))
        assert "FL20" in codes(told)

    def test_what_flagger_would_refuse_is_an_error(self) -> None:
        with pytest.raises(ManifestError, match="exactly one of"):
            planned(stepWeight=10, iterations=5)


def test_as_data_it_has_the_names_of_a_rehearsal() -> None:
    data = planned(**STEPS, webhooks=ALL_HOOKS).as_data(rps=50)
    assert data["happy"] is not None
    assert data["bad"]["exposed"]["requests"] == pytest.approx(1800)
    assert [tick["routes"] for tick in data["happy"]["ticks"]][:3] == ["100/0", "90/10", "80/20"]
    assert data["slowest_tick"] == {"tick": 7, "seconds": 40.0, "outlasts_interval": False}


def test_the_same_canary_makes_the_same_plan() -> None:
    assert podinfo(**STEPS) == planned(**STEPS).canary
    assert planned(**STEPS) == planned(**STEPS)
