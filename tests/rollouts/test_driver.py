"""A tick performed step by step, and deeds that cannot be done."""

from __future__ import annotations

import pytest

from meshtest.rollouts.canary import Phase, Refused, State, advance, drive, tick
from meshtest.rollouts.canary.replies import Reply
from meshtest.rollouts.canary.steps import CallHook, CreateRoutes, Promote, Scale, SetRoutes, Step
from tests.rollouts.podinfo import NO, V1, V2, YES, hook, messages, podinfo, seen, ticks


class World:
    """Answers like the observations, and refuses one kind of deed."""

    def __init__(self, refuses: type | None = None) -> None:
        self.refuses = refuses
        self.steps: list[Step] = []

    def perform(self, step: Step) -> Reply:
        if self.refuses is not None and isinstance(step, self.refuses):
            raise Refused("no such object")
        self.steps.append(step)
        return seen().answer(step)


def test_the_same_tick_runs_on_data_and_on_a_world() -> None:
    before = ticks(podinfo(), seen(V1), seen(V2))[-1].state
    assert drive(tick(podinfo(), before, V2), World().perform) == advance(podinfo(), before, seen(V2))


def test_routes_are_set_and_pods_stopped_before_the_hook_hears_of_it() -> None:
    canary = podinfo(webhooks=[hook("post-rollout"), hook("rollback")])
    before = ticks(canary, seen(V1), (2, seen(V2)))[-1].state

    steps: list[str] = []

    def perform(step: Step) -> Reply:
        steps.append(type(step).__name__ + (f" {step.hook.name}" if isinstance(step, CallHook) else ""))
        return seen(V2, hooks={"rollback": YES}).answer(step)

    drive(tick(canary, before, V2), perform)
    wanted = ["CallHook rollback", "SetRoutes", "Scale", "CallHook post-rollout"]
    assert [step for step in steps if step in wanted] == wanted


@pytest.mark.parametrize("deed", [SetRoutes, Promote])
def test_a_refused_deed_ends_the_tick_with_its_event_and_leaves_the_phase(deed: type) -> None:
    before = ticks(podinfo(), seen(V1), (2 if deed is SetRoutes else 3, seen(V2)))[-1].state
    found = drive(tick(podinfo(), before, V2), World(deed).perform)
    assert found.state == before
    assert messages(found)[-1] == "no such object"
    assert not [action for action in found.actions if isinstance(action, deed)]


def test_a_target_that_cannot_be_stopped_keeps_the_rollout_from_beginning() -> None:
    found = drive(tick(podinfo(), State(), V1), World(Scale).perform)
    assert found.state.phase is Phase.NEW
    assert messages(found)[-1] == "scaling down canary Deployment podinfo.test failed: no such object"


def test_routes_that_cannot_be_made_keep_it_from_beginning_with_the_target_stopped() -> None:
    found = drive(tick(podinfo(), State(), V1), World(CreateRoutes).perform)
    assert (found.state.phase, found.state.replicas, found.state.routes) == (Phase.NEW, 0, None)


def test_a_refused_mirror_is_told_and_does_not_stop_blue_green() -> None:
    canary = podinfo(iterations=2, mirror=True)
    before = ticks(canary, seen(V1), seen(V2))[-1].state
    found = drive(tick(canary, before, V2), World(SetRoutes).perform)
    assert found.state.status.iterations == 1
    assert messages(found)[-2:] == ["no such object", "Advance podinfo.test canary iteration 1/2"]


def test_a_refused_rollback_is_tried_again_at_the_next_tick() -> None:
    canary = podinfo(threshold=1, webhooks=[hook("pre-rollout")])
    before = ticks(canary, seen(V1), seen(V2), seen(V2, hooks={"pre-rollout": NO}))[-1].state
    refused = drive(tick(canary, before, V2), World(SetRoutes).perform)
    assert refused.state.phase is Phase.PROGRESSING
    assert drive(tick(canary, refused.state, V2), World().perform).state.phase is Phase.FAILED
