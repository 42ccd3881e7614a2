"""The new version becomes the primary: its pods are copied, then the traffic comes back.

Rules: runPromotionTrafficShift and shouldSkipAnalysis of fluxcd/flagger pkg/controller/scheduler.go.
"""

from __future__ import annotations

from meshtest.rollouts.canary import hooks, routers, weights
from meshtest.rollouts.canary.spec import TOTAL, Severity
from meshtest.rollouts.canary.state import ALL_PRIMARY, Phase, Routes
from meshtest.rollouts.canary.steps import Promote, Script
from meshtest.rollouts.canary.turn import Turn


def promote(turn: Turn) -> Script[None]:
    """Copy, and enter the next phase; the traffic stays where it is until the primary is ready."""
    yield from _copy(turn)
    turn.enter(Phase.PROMOTING)


def _copy(turn: Turn) -> Script[None]:
    yield from turn.tell(f"Copying {turn.canary.workload} template spec to {turn.canary.primary}")
    yield from turn.do(Promote(turn.target.revision))


def shift_back(turn: Turn, routes: Routes) -> Script[None]:
    """Users go to the primary, which runs the new version by now: at once, or step by step."""
    if turn.has_new_target:
        yield from turn.note("FL24")
    if not routers.moves_traffic(turn.canary):
        turn.enter(Phase.FINALISING)
    elif turn.analysis.promotion_step == 0:
        yield from turn.tell("Routing all traffic to primary")
        yield from turn.route(ALL_PRIMARY)
        turn.enter(Phase.FINALISING)
    elif routes.canary > 0:
        yield from _shift_a_step(turn, weights.shifted_back(turn.analysis, routes))
    else:
        yield from turn.note("FL53")


def _shift_a_step(turn: Turn, routes: Routes) -> Script[None]:
    yield from turn.route(routes)
    yield from turn.tell(f"Advance {turn.canary.full_name} primary weight {routes.primary}")
    if routes.primary == TOTAL:
        turn.enter(Phase.FINALISING)
    else:
        turn.count(weight=routes.canary)


def skip_analysis(turn: Turn) -> Script[None]:
    """Straight from ready to promoted, in one tick."""
    yield from turn.route(ALL_PRIMARY)
    yield from _copy(turn)
    yield from turn.scale(0)
    yield from succeed(turn, f"Promotion completed! Canary analysis was skipped for {turn.canary.workload}",
                       "Canary analysis was skipped, promotion finished.")  # fmt: skip


def finalise(turn: Turn) -> Script[None]:
    """The canary has no traffic any more: it goes."""
    yield from turn.scale(0)
    yield from succeed(turn, f"Promotion completed! Scaling down {turn.canary.workload}",
                       "Canary analysis completed successfully, promotion finished.")  # fmt: skip


def succeed(turn: Turn, event: str, alert: str) -> Script[None]:
    turn.enter(Phase.SUCCEEDED)
    yield from hooks.post_rollout(turn, Phase.SUCCEEDED, told_as=Phase.SUCCEEDED)
    yield from turn.tell(event, Phase.SUCCEEDED)
    yield from turn.alert(Severity.INFO, alert)
