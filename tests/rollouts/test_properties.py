"""What holds at every tick, for every Canary and every course of events.

MESHTEST_FUZZ=100000 tries that many, other ones each time; without it the same few, for the gate.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtest.rollouts.canary import Canary, Observations, Phase, Readiness, Reading, State, Tick, run
from meshtest.rollouts.canary.routers import moves_traffic
from meshtest.rollouts.canary.spec import TOTAL
from meshtest.rollouts.canary.state import PROMOTED, UNDER_WAY
from meshtest.rollouts.canary.steps import CreateRoutes, Promote, Scale, SetRoutes
from meshtest.rollouts.canary.surprises import SURPRISES
from meshtest.rollouts.canary.weights import steps
from tests.rollouts.podinfo import ALL_HOOKS, NO, V1, V2, V3, YES, called, podinfo

MORE = os.environ.get("MESHTEST_FUZZ")
EXAMPLES = int(MORE or 60)
FUZZ = settings(
    max_examples=EXAMPLES, derandomize=not MORE, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

ORDER = [
    "confirm-rollout", "rollback", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion",
    "post-rollout",
]  # fmt: skip
"""In which a tick calls its hooks."""

weight = st.integers(1, TOTAL)
ways = st.one_of(
    st.fixed_dictionaries({"stepWeight": weight}, optional={"maxWeight": weight}),
    st.fixed_dictionaries({"stepWeights": st.lists(st.integers(1, 200), min_size=1, max_size=4)}),
    st.fixed_dictionaries({"iterations": st.integers(1, 3)}),
)
extras = st.fixed_dictionaries(
    {"threshold": st.integers(0, 3), "mirror": st.booleans()},
    optional={
        "stepWeightPromotion": weight,
        "match": st.just([{"headers": {"x-beta": {"exact": "yes"}}}]),
        "sessionAffinity": st.just({"cookieName": "canary"}),
    },
)
specs = st.fixed_dictionaries({
    "provider": st.sampled_from(["istio", "linkerd", "gatewayapi:v1", "kubernetes"]),
    "skipAnalysis": st.sampled_from([False] * 5 + [True]),
})  # fmt: skip


@st.composite
def canaries(draw: st.DrawFn) -> Canary:
    told: dict[str, Any] = {**draw(ways), **draw(extras)}
    return podinfo(spec=draw(specs), metrics=[{"name": "errors", "query": "up"}], webhooks=ALL_HOOKS, **told)


READY, WAITING = Readiness(), Readiness(error="waiting")
STUCK = Readiness(error="deadline exceeded", retriable=False)
ready = st.sampled_from([*[READY] * 20, WAITING, STUCK])


@st.composite
def observations(draw: st.DrawFn) -> Observations:
    """Mostly good weather, else nothing would get far."""
    objecting = draw(st.sampled_from(["", "", "", *ORDER]))
    answer = YES if objecting == "rollback" else NO
    return Observations(
        target=draw(st.sampled_from([V2] * 12 + [V1, V3])),
        primary=draw(ready),
        canary=draw(ready),
        hooks={objecting: answer} if objecting else {},
        metrics={"errors": Reading(value=draw(st.sampled_from([0.0] * 5 + [1.0])))},
    )


courses = st.lists(observations(), min_size=12, max_size=25).map(lambda course: [Observations(target=V1), *course])


def weights_add_up(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    for action in tick.actions:
        if isinstance(action, SetRoutes | CreateRoutes):
            assert 0 <= action.routes.canary <= TOTAL
            assert action.routes.primary + action.routes.canary == TOTAL
    assert 0 <= tick.state.status.weight <= TOTAL


def a_failed_canary_leaves_users_on_the_primary(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    """But where the primary broke during promotion: then on the canary, which keeps running."""
    state = tick.state
    if state.phase is not Phase.FAILED or before.phase is Phase.FAILED or not moves_traffic(canary):
        return
    assert state.routes is not None
    if before.phase in PROMOTED and seen.primary == STUCK:
        assert (state.routes.canary, state.replicas) == (TOTAL, before.replicas)
    else:
        assert (state.routes.primary, state.replicas) == (TOTAL, 0)


def failed_checks_stay_within_the_threshold(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    count = tick.state.status.failed_checks
    assert 0 <= count <= canary.analysis.threshold
    assert count in (0, before.status.failed_checks, before.status.failed_checks + 1)


def a_failed_check_is_told(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    if tick.state.status.failed_checks > before.status.failed_checks:
        assert any(event.warning for event in tick.events)
        if canary.analysis.affinity is None:
            assert tick.state.routes == before.routes, "a bad check moves nobody"


def only_a_promotion_changes_the_primary(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    promoted = any(isinstance(action, Promote) for action in tick.actions)
    assert tick.state.primary == (seen.target.revision if promoted or not before.primary else before.primary)


def users_meet_the_canary_only_while_it_runs(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    routes = tick.state.routes
    if routes is not None and (routes.canary or routes.mirrored):
        assert tick.state.replicas > 0
        assert tick.state.phase in UNDER_WAY | {Phase.FAILED, Phase.WAITING}


def nothing_is_started_without_approval(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    if any(isinstance(action, Scale) and action.replicas for action in tick.actions):
        assert called(tick) == ["confirm-rollout"]
        assert seen.hooks.get("confirm-rollout", YES).ok


def hooks_are_called_in_order_and_once(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    assert called(tick) == sorted(called(tick), key=ORDER.index)
    assert len(called(tick)) == len(set(called(tick)))


def every_surprise_has_its_sentence(canary: Canary, before: State, seen: Observations, tick: Tick) -> None:
    assert set(tick.surprises) <= SURPRISES.keys()


Invariant = Callable[[Canary, State, Observations, Tick], None]
INVARIANTS: tuple[Invariant, ...] = (
    weights_add_up,
    a_failed_canary_leaves_users_on_the_primary,
    failed_checks_stay_within_the_threshold,
    a_failed_check_is_told,
    only_a_promotion_changes_the_primary,
    users_meet_the_canary_only_while_it_runs,
    nothing_is_started_without_approval,
    hooks_are_called_in_order_and_once,
    every_surprise_has_its_sentence,
)


def test_at_every_tick() -> None:
    reached: set[Phase] = set()

    @FUZZ
    @given(canaries(), courses)
    def holds(canary: Canary, course: list[Observations]) -> None:
        before = State()
        for seen, tick in zip(course, run(canary, course), strict=True):
            for invariant in INVARIANTS:
                invariant(canary, before, seen, tick)
            before = tick.state
            reached.add(before.phase)

    holds()
    unlikely = {Phase.NEW, Phase.INITIALIZING, Phase.TERMINATING, Phase.TERMINATED}
    assert reached >= set(Phase) - unlikely, "else it may hold for want of trying"


@settings(FUZZ, max_examples=EXAMPLES // 10)
@given(canaries())
def test_without_objection_it_is_promoted_or_says_why_it_never_will(canary: Canary) -> None:
    *_, last = run(canary, [Observations(target=V1), *[Observations(target=V2)] * 240])
    if last.state.phase is not Phase.SUCCEEDED:
        assert {"FL09", "FL28", "FL36", "FL53"} & set(last.surprises)


def intervals(canary: Canary) -> int:
    """From the tick that notices the new version to the one that has promoted it, in good weather."""
    found = list(run(canary, [Observations(target=V1), *[Observations(target=V2)] * 240]))
    return next(n for n, tick in enumerate(found) if tick.state.phase is Phase.SUCCEEDED) - 1


@settings(FUZZ, max_examples=EXAMPLES // 5)
@given(step=weight, most=weight, back=st.one_of(st.just(0), weight), mirror=st.booleans())
def test_a_weighted_canary_takes_its_steps_and_those_back_and_two_ticks(
    step: int, most: int, back: int, mirror: bool
) -> None:
    canary = podinfo(stepWeight=step, maxWeight=most, stepWeightPromotion=back, mirror=mirror)
    reached = steps(canary.analysis)
    steps_back = math.ceil(reached[-1] / back) if back else 1
    assert intervals(canary) == len(reached) + mirror + steps_back + 2


@settings(FUZZ, max_examples=EXAMPLES // 5)
@given(st.integers(1, 30))
def test_iterations_take_three_ticks_more_and_blue_green_another(count: int) -> None:
    assert intervals(podinfo(iterations=count)) == count + 4
    assert intervals(podinfo(iterations=count, match=[{"headers": {"a": {"exact": "b"}}}])) == count + 3


@settings(FUZZ, max_examples=EXAMPLES // 5)
@given(st.integers(1, 5), weight)
def test_a_bad_version_is_rolled_back_threshold_plus_one_ticks_after_it_was_exposed(threshold: int, step: int) -> None:
    canary = podinfo(threshold=threshold, stepWeight=step, metrics=[{"name": "errors", "query": "up"}])
    bad = Observations(target=V2, metrics={"errors": Reading(value=1.0)})
    found = list(run(canary, [Observations(target=V1), *[bad] * 10]))
    exposed = next(n for n, tick in enumerate(found) if tick.state.routes and tick.state.routes.canary)
    failed = next(n for n, tick in enumerate(found) if tick.state.phase is Phase.FAILED)
    assert failed - exposed == threshold + 1
