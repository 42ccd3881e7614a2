"""One advance of the new version: more weight, one more iteration, or the promotion.

Rules: runCanary, runAB and runBlueGreen of fluxcd/flagger pkg/controller/scheduler.go.
"""

from __future__ import annotations

from dataclasses import replace

from meshtest.rollouts.canary import hooks, routers, weights
from meshtest.rollouts.canary.promotion import promote
from meshtest.rollouts.canary.spec import HookType, Strategy
from meshtest.rollouts.canary.state import ALL_CANARY, MIRRORED, Phase, Routes
from meshtest.rollouts.canary.steps import Refused, Script
from meshtest.rollouts.canary.turn import Turn

DEFAULT_ITERATIONS = 10
"""Of plain Kubernetes, where a weighted canary cannot be."""


def advance(turn: Turn, routes: Routes) -> Script[None]:
    """The checks have passed."""
    if not routers.moves_traffic(turn.canary):
        yield from _without_weights(turn)
    match turn.analysis.strategy:
        case Strategy.AB_TESTING:
            yield from _ab_testing(turn)
        case Strategy.BLUE_GREEN:
            yield from _blue_green(turn, routes)
        case Strategy.CANARY:
            yield from _canary(turn, routes)


def _without_weights(turn: Turn) -> Script[None]:
    """Only blue/green is left, and says so again at every tick."""
    unable = "is not supported when using the kubernetes provider"
    if turn.analysis.match:
        yield from turn.warn(f"A/B testing {unable}")
        turn.analysis = replace(turn.analysis, match=())
    if turn.analysis.iterations < 1:
        yield from turn.warn(f"Progressive traffic {unable}")
        yield from turn.warn(f"Setting canaryAnalysis.iterations: {DEFAULT_ITERATIONS}")
        turn.analysis = replace(turn.analysis, iterations=DEFAULT_ITERATIONS)
    yield from turn.note("FL20")


def _canary(turn: Turn, routes: Routes) -> Script[None]:
    if weights.increase(turn.analysis, routes.canary) <= 0:
        yield from turn.note("FL28" if turn.analysis.step_weights else "FL10")
        return
    gated = not routes.mirrored and turn.seen.phase is not Phase.WAITING_PROMOTION
    if gated and not (yield from hooks.confirm_traffic_increase(turn)):
        if routes.canary == 0 and turn.analysis.of(HookType.PRE_ROLLOUT):
            yield from turn.note("FL05")
        return
    if routes.canary < turn.analysis.target_weight:
        yield from _grow(turn, routes)
    elif (yield from hooks.confirm_promotion(turn)):
        yield from promote(turn)


def _grow(turn: Turn, routes: Routes) -> Script[None]:
    grown = weights.grown(turn.analysis, routes)
    yield from turn.route(grown)
    turn.count(weight=grown.canary)
    yield from turn.tell(f"Advance {turn.canary.full_name} canary weight {grown.canary}")
    if grown.mirrored and not (routers.mirrors(turn.canary) and routers.sees_mirror(turn.canary)):
        yield from turn.note("FL09")
    if grown.canary > turn.analysis.target_weight:
        yield from turn.note("FL07")
    if grown == routes:
        yield from turn.note("FL60")


def _ab_testing(turn: Turn) -> Script[None]:
    if turn.seen.iterations < turn.analysis.iterations:
        yield from turn.route(ALL_CANARY)
        yield from _iterate(turn)
        return
    if not (yield from hooks.confirm_promotion(turn)):
        return
    if turn.seen.iterations == turn.analysis.iterations:
        yield from promote(turn)


def _blue_green(turn: Turn, routes: Routes) -> Script[None]:
    done, all_of_them = turn.seen.iterations, turn.analysis.iterations
    if done < all_of_them:
        if turn.analysis.mirror and not routes.mirrored:
            yield from _start_mirror(turn)
        yield from _iterate(turn)
        return
    if not (yield from hooks.confirm_promotion(turn)):
        if done > all_of_them:
            yield from turn.note("FL03")
        return
    if done > all_of_them:
        yield from promote(turn)
    else:
        yield from _expose(turn)


def _start_mirror(turn: Turn) -> Script[None]:
    """A mirror that cannot be set is told, and no reason to stop."""
    try:
        yield from turn.route(MIRRORED)
    except Refused as refused:
        yield from turn.warn(str(refused))


def _iterate(turn: Turn) -> Script[None]:
    count = turn.seen.iterations + 1
    turn.count(iterations=count)
    yield from turn.tell(f"Advance {turn.canary.full_name} canary iteration {count}/{turn.analysis.iterations}")


def _expose(turn: Turn) -> Script[None]:
    """All users to the new version, for one more round of checks."""
    if routers.moves_traffic(turn.canary):
        stop = "Stop traffic mirroring and route all traffic to canary"
        yield from turn.tell(stop if turn.analysis.mirror else "Routing all traffic to canary")
        yield from turn.route(ALL_CANARY)
    turn.count(iterations=turn.seen.iterations + 1)
