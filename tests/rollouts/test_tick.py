"""What a tick leads to, by strategy and by moment. The recorded ticks of Flagger itself: tests/conformance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshtest.rollouts.canary import Phase, Readiness, Routes, State, advance
from meshtest.rollouts.canary.steps import CreatePrimary, CreateRoutes, Promote, Scale, SetRoutes
from tests.rollouts.podinfo import (
    ALL_HOOKS,
    NO,
    V1,
    V2,
    V3,
    YES,
    called,
    hook,
    messages,
    phases,
    podinfo,
    routes,
    seen,
    ticks,
    to_promotion,
)

WAITING = Readiness(error="waiting for rollout to finish")
STUCK = Readiness(error="deadline exceeded", retriable=False)


def test_the_first_tick_makes_primary_and_routes_and_stops_the_target() -> None:
    tick = advance(podinfo(), State(replicas=3), seen(V1))
    assert tick.actions == (CreatePrimary("v1", 3), Scale(0), CreateRoutes(Routes(100, 0)))
    assert tick.state.phase is Phase.INITIALIZED
    assert (tick.state.primary, tick.state.primary_replicas, tick.state.replicas) == ("v1", 3, 0)


def test_nothing_happens_until_there_is_a_new_revision() -> None:
    first, second = ticks(podinfo(), (2, seen(V1)))
    assert second.log == ()
    assert second.state == first.state


def test_a_new_revision_gets_as_many_replicas_as_the_primary() -> None:
    _, started = ticks(podinfo(), seen(V1), seen(V2), state=State(replicas=3))
    assert started.actions == (Scale(3),)
    assert started.state.phase is Phase.PROGRESSING


def test_changed_configuration_is_a_new_revision_too() -> None:
    changed = replace(V1, configs=(("configmap/podinfo", "cafe"),))
    assert phases(ticks(podinfo(), seen(V1), seen(changed)))[-1] == "Progressing"


def test_a_weighted_canary_grows_step_by_step_and_is_promoted() -> None:
    found = to_promotion(podinfo(stepWeight=20, maxWeight=60))
    assert routes(found) == ["100/0", "100/0", "80/20", "60/40", "40/60", "40/60", "100/0", "100/0"]
    assert phases(found) == ["Initialized", *["Progressing"] * 4, "Promoting", "Finalising", "Succeeded"]
    assert found[5].actions == (Promote("v2"),)
    assert found[-1].state.replicas == 0


# weights of upstream's TestScheduler_DeploymentMaxAnalysis family: pkg/controller/scheduler_svc_test.go
@pytest.mark.parametrize(
    ("analysis", "primary"),
    [
        ({"stepWeight": 20, "maxWeight": 50}, [80, 60, 40]),
        ({"stepWeight": 50, "maxWeight": 100}, [50, 0]),
        ({"stepWeights": [1, 2, 10, 80]}, [99, 98, 90, 20]),
        ({"stepWeights": [1, 2, 10, 200]}, [99, 98, 90, 0]),
    ],
)
def test_the_primary_keeps_what_upstream_says(analysis: dict[str, Any], primary: list[int]) -> None:
    found = to_promotion(podinfo(**analysis))
    kept = [a.routes.primary for tick in found for a in tick.actions if isinstance(a, SetRoutes)]
    assert kept == [*primary, 100]


def test_the_primary_takes_over_in_steps_without_checks() -> None:
    found = to_promotion(podinfo(stepWeight=100, stepWeightPromotion=40, webhooks=[hook("rollout")]))
    assert routes(found)[3:] == ["0/100", "40/60", "80/20", "100/0", "100/0"]
    assert [called(tick) for tick in found[3:]] == [["rollout"], [], [], [], []]


def test_an_ab_test_shows_the_canary_to_its_users_from_the_first_iteration() -> None:
    match = [{"headers": {"x-beta": {"exact": "yes"}}}]
    found = to_promotion(podinfo(iterations=3, match=match))
    assert routes(found)[2:] == ["0/100"] * 4 + ["100/0"] * 2
    assert [tick.state.status.iterations for tick in found][2:6] == [1, 2, 3, 3]


def test_blue_green_shows_the_canary_to_all_for_one_round_before_promotion() -> None:
    found = to_promotion(podinfo(iterations=2))
    assert routes(found)[2:] == ["100/0", "100/0", "0/100", "0/100", "100/0", "100/0"]


def test_blue_green_with_a_mirror_copies_requests_during_all_iterations() -> None:
    found = to_promotion(podinfo(iterations=2, mirror=True))
    assert routes(found)[2:5] == ["100/0 mirrored", "100/0 mirrored", "0/100"]


def test_a_weighted_canary_mirrors_for_one_tick_first() -> None:
    found = to_promotion(podinfo(stepWeight=50, mirror=True, webhooks=ALL_HOOKS))
    assert routes(found)[2:4] == ["100/0 mirrored", "50/50"]
    assert "confirm-traffic-increase" not in called(found[3]), "not on the tick that leaves the mirror"


def test_plain_kubernetes_checks_ten_times_and_never_moves_traffic() -> None:
    found = to_promotion(podinfo(spec={"provider": "kubernetes"}))
    assert phases(found)[-1] == "Succeeded"
    assert not [a for tick in found for a in tick.actions if isinstance(a, SetRoutes)]
    assert max(tick.state.status.iterations for tick in found) == 11


def test_skipping_the_analysis_promotes_as_soon_as_the_canary_is_ready() -> None:
    canary = podinfo(spec={"skipAnalysis": True}, webhooks=ALL_HOOKS)
    found = to_promotion(canary)
    assert phases(found) == ["Initialized", "Progressing", "Succeeded"]
    assert called(found[1]) + called(found[2]) == ["confirm-rollout", "post-rollout"]
    assert found[2].actions == (SetRoutes(Routes(100, 0)), Promote("v2"), Scale(0))


def test_skipping_the_analysis_does_not_wait_for_the_primary() -> None:
    found = ticks(podinfo(spec={"skipAnalysis": True}), seen(V1, primary=WAITING), (2, seen(V2, primary=STUCK)))
    assert phases(found)[-1] == "Succeeded"


def test_suspended_nothing_is_done_or_counted() -> None:
    before = ticks(podinfo(), seen(V1), (2, seen(V2)))[-1].state
    (tick,) = ticks(podinfo(spec={"suspend": True}), seen(V3, canary=STUCK), state=before)
    assert tick.state == before
    assert messages(tick) == ["skipping canary run as object is suspended"]


class TestReadiness:
    def test_an_unready_primary_delays_the_beginning(self) -> None:
        found = ticks(podinfo(), (2, seen(V1, primary=WAITING)), seen(V1))
        assert phases(found) == ["", "", "Initialized"]
        assert found[0].state.routes is None

    @pytest.mark.parametrize("made", [{"spec": {"provider": "kubernetes"}}, {"state": State(routes=Routes(100, 0))}])
    def test_a_primary_that_never_comes_up_fails_before_it_began(self, made: dict[str, Any]) -> None:
        canary = podinfo(webhooks=[hook("post-rollout")], spec=made.get("spec"))
        (tick,) = ticks(canary, seen(V1, primary=STUCK), state=made.get("state"))
        assert tick.state.phase is Phase.FAILED
        assert called(tick) == ["post-rollout"]

    def test_waiting_for_the_canary_counts_no_failed_check(self) -> None:
        found = ticks(podinfo(), seen(V1), seen(V2), (5, seen(V2, canary=WAITING)))
        assert found[-1].state.status.failed_checks == 0
        assert called(found[-1]) == []

    def test_a_canary_past_its_deadline_is_rolled_back(self) -> None:
        found = ticks(podinfo(), seen(V1), (2, seen(V2)), seen(V2, canary=STUCK))
        assert phases(found)[-1] == "Failed"
        assert routes(found)[-2:] == ["50/50", "100/0"]

    @pytest.mark.parametrize("before", [4, 5])
    def test_a_primary_that_breaks_during_promotion_loses_all_traffic(self, before: int) -> None:
        found = ticks(podinfo(), seen(V1), (before, seen(V2)), seen(V2, primary=STUCK))
        assert phases(found)[-2:] == [["Promoting", "Finalising"][before - 4], "Failed"]
        assert str(found[-1].state.routes) == "0/100"
        assert (found[-1].state.replicas, found[-1].state.status.weight) == (1, 100)

    def test_a_target_of_kind_service_is_always_ready_and_never_scaled(self) -> None:
        target = {"targetRef": {"apiVersion": "v1", "kind": "Service", "name": "podinfo"}}
        found = ticks(podinfo(spec=target), seen(V1, primary=STUCK), (6, seen(V2, canary=STUCK)))
        assert phases(found)[-1] == "Succeeded"
        assert not [a for tick in found for a in tick.actions if isinstance(a, Scale)]


class TestFailedChecks:
    def test_the_rollback_comes_one_tick_after_the_threshold(self) -> None:
        denied = seen(V2, hooks={"rollout": NO})
        found = ticks(podinfo(threshold=2, webhooks=[hook("rollout")]), seen(V1), (2, seen(V2)), (3, denied))
        assert [tick.state.status.failed_checks for tick in found][3:] == [1, 2, 0]
        assert phases(found)[3:] == ["Progressing", "Progressing", "Failed"]
        assert routes(found)[3:] == ["50/50", "50/50", "100/0"]

    def test_they_add_up_though_checks_in_between_pass(self) -> None:
        bad, good = seen(V2, hooks={"rollout": NO}), seen(V2)
        canary = podinfo(threshold=2, stepWeight=10, webhooks=[hook("rollout")])
        found = ticks(canary, seen(V1), (2, good), bad, (3, good), bad, good)
        assert phases(found)[-1] == "Failed"
        assert "Rolling back podinfo.test failed checks threshold reached 2" in messages(found[-1])

    def test_one_tick_adds_one_however_much_is_wrong(self) -> None:
        hooks = [hook("rollout", "a"), hook("rollout", "b")]
        bad = seen(V2, hooks={"a": NO, "b": NO})
        found = ticks(podinfo(webhooks=hooks), seen(V1), (2, seen(V2)), bad)
        assert found[-1].state.status.failed_checks == 1
        assert called(found[-1]) == ["a"]

    def test_a_new_revision_starts_at_zero(self) -> None:
        bad = seen(V2, hooks={"rollout": NO})
        found = ticks(podinfo(webhooks=[hook("rollout")]), seen(V1), (2, seen(V2)), bad, seen(V3))
        assert found[-1].state.status.failed_checks == 0
        assert str(found[-1].state.routes) == "100/0"

    def test_the_same_revision_is_not_tried_again_after_a_failure(self) -> None:
        found = ticks(podinfo(), seen(V1), seen(V2), seen(V2, canary=STUCK), (3, seen(V2)))
        assert phases(found)[2:] == ["Failed"] * 4
        assert found[-1].log == ()

    def test_the_promoted_revision_starts_no_analysis_after_a_failure(self) -> None:
        found = ticks(podinfo(), seen(V1), seen(V2), seen(V2, canary=STUCK), (2, seen(V1)), seen(V3))
        assert phases(found)[2:] == ["Failed", "Failed", "Failed", "Progressing"]


# upstream's TestWebhooks of pkg/controller/events_test.go: every event with its phase, every call, in order
def test_events_and_calls_of_a_whole_rollout_are_those_of_upstream() -> None:
    kinds = ("event", "pre-rollout", "rollout", "confirm-promotion", "confirm-rollout", "post-rollout",
             "confirm-traffic-increase")  # fmt: skip
    canary = podinfo(stepWeight=100, stepWeightPromotion=50, webhooks=[hook(kind) for kind in kinds])
    not_ready = Readiness(error="podinfo-primary.test not ready: waiting")
    found = ticks(canary, seen(V1, primary=not_ready), seen(V1), (6, seen(V2)))
    calls = [(call.hook.name, str(call.payload.phase), call.payload.metadata.get("eventMessage", ""))
             for tick in found for call, _ in tick.hooks]  # fmt: skip
    assert calls == [
        ("event", "", "all the metrics providers are available!"),
        ("event", "", "podinfo-primary.test not ready: waiting"),
        ("event", "", "all the metrics providers are available!"),
        ("event", "Initialized", "Initialization done! podinfo.test"),
        ("confirm-rollout", "Initialized", ""),
        ("event", "Initialized", "Confirm-rollout check confirm-rollout passed"),
        ("event", "Progressing", "New revision detected! Scaling up podinfo.test"),
        ("event", "Progressing", "Starting canary analysis for podinfo.test"),
        ("pre-rollout", "Progressing", ""),
        ("event", "Progressing", "Pre-rollout check pre-rollout passed"),
        ("confirm-traffic-increase", "Progressing", ""),
        ("event", "Progressing", "Confirm-traffic-increase check confirm-traffic-increase passed"),
        ("event", "Progressing", "Advance podinfo.test canary weight 100"),
        ("rollout", "Progressing", ""),
        ("confirm-traffic-increase", "Progressing", ""),
        ("event", "Progressing", "Confirm-traffic-increase check confirm-traffic-increase passed"),
        ("confirm-promotion", "Progressing", ""),
        ("event", "Progressing", "Confirm-promotion check confirm-promotion passed"),
        ("event", "Progressing", "Copying podinfo.test template spec to podinfo-primary.test"),
        ("event", "Promoting", "Advance podinfo.test primary weight 50"),
        ("event", "Promoting", "Advance podinfo.test primary weight 100"),
        ("post-rollout", "Succeeded", ""),
        ("event", "Succeeded", "Post-rollout check post-rollout passed"),
        ("event", "Succeeded", "Promotion completed! Scaling down podinfo.test"),
    ]


class TestGates:
    def test_an_unapproved_rollout_waits_without_end_and_counts_nothing(self) -> None:
        canary = podinfo(webhooks=[hook("confirm-rollout"), hook("rollback")])
        found = ticks(canary, seen(V1), (9, seen(V2, hooks={"confirm-rollout": NO, "rollback": YES})))
        assert phases(found)[1:] == ["Waiting"] * 9
        assert found[-1].state.replicas == 0
        assert [len(tick.events) for tick in found[1:]] == [1] + [0] * 8
        assert called(found[-1]) == ["confirm-rollout"], "nobody is asked whether to roll back"

    def test_an_unapproved_increase_holds_the_weight(self) -> None:
        canary = podinfo(stepWeight=10, webhooks=[hook("confirm-traffic-increase")])
        found = ticks(canary, seen(V1), (2, seen(V2)), (3, seen(V2, hooks={"confirm-traffic-increase": NO})), seen(V2))
        assert routes(found)[2:] == ["90/10"] * 4 + ["80/20"]
        assert [len(tick.alerts) for tick in found[3:]] == [1, 1, 1, 0]

    def test_an_unapproved_promotion_goes_on_with_checks_and_can_fail(self) -> None:
        canary = podinfo(threshold=1, stepWeight=100, webhooks=[hook("confirm-promotion"), hook("rollout")])
        held = seen(V2, hooks={"confirm-promotion": NO})
        bad = seen(V2, hooks={"confirm-promotion": NO, "rollout": NO})
        found = ticks(canary, seen(V1), (2, seen(V2)), (2, held), (2, bad))
        assert phases(found)[3:] == ["WaitingPromotion", "WaitingPromotion", "WaitingPromotion", "Failed"]
        assert routes(found)[3:] == ["0/100", "0/100", "0/100", "100/0"]
        status = found[3].state.status
        assert (status.weight, status.iterations) == (0, -1)

    def test_a_muted_gate_alerts_nobody(self) -> None:
        canary = podinfo(webhooks=[hook("confirm-rollout", muteAlert=True)])
        _, tick = ticks(canary, seen(V1), seen(V2, hooks={"confirm-rollout": NO}))
        assert tick.alerts == ()
        assert messages(tick) == ["Halt podinfo.test advancement waiting for approval confirm-rollout"]

    def test_the_first_rollback_hook_that_says_yes_is_enough(self) -> None:
        hooks = [hook("rollback", name) for name in "abc"]
        found = ticks(podinfo(webhooks=hooks), seen(V1), (2, seen(V2)), seen(V2, hooks={"b": YES}))
        assert called(found[-1]) == ["a", "b"]
        assert phases(found)[-1] == "Failed"
        assert [alert.message for alert in found[-1].alerts] == ["Rolling back manual webhook invoked"]

    def test_a_failed_post_rollout_hook_stops_those_after_it_and_nothing_else(self) -> None:
        hooks = [hook("post-rollout", name) for name in "ab"]
        found = ticks(podinfo(webhooks=hooks), seen(V1), (6, seen(V2, hooks={"a": NO})))
        assert phases(found)[-1] == "Succeeded"
        assert called(found[-1]) == ["a"]
        assert "Post-rollout hook a failed not today" in messages(found[-1])


class TestAlerts:
    @pytest.mark.parametrize(
        ("severity", "taken"),
        [("info", ["info", "info", "info"]), ("warn", []), ("error", [])],
    )  # fmt: skip
    def test_of_a_good_rollout_only_info_hears(self, severity: str, taken: list[str]) -> None:
        rules = [{"name": "people", "severity": severity, "providerRef": {"name": "slack"}}]
        found = to_promotion(podinfo(alerts=rules))
        assert [str(alert.severity) for tick in found for alert in tick.alerts] == taken

    def test_warn_hears_of_errors_too(self) -> None:
        rules = [{"name": "people", "severity": "warn", "providerRef": {"name": "slack"}}]
        canary = podinfo(threshold=1, alerts=rules, webhooks=[hook("pre-rollout")])
        found = ticks(canary, seen(V1), seen(V2), (2, seen(V2, hooks={"pre-rollout": NO})))
        assert [(str(alert.severity), alert.to) for alert in found[-1].alerts] == [("error", ("people",))]

    def test_without_rules_the_global_notifier_hears_all(self) -> None:
        assert [alert.to for tick in to_promotion(podinfo()) for alert in tick.alerts] == [None, None, None]
