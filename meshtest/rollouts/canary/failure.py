"""The new version does not make it: back to the primary, or - when the primary is what broke - away from it.

Rules: rollback and handleFailedPromotion of fluxcd/flagger pkg/controller/scheduler.go.
"""

from __future__ import annotations

from meshtest.rollouts.canary import hooks, routers
from meshtest.rollouts.canary.spec import Severity
from meshtest.rollouts.canary.state import ALL_CANARY, ALL_PRIMARY, PROMOTED, Phase
from meshtest.rollouts.canary.status import restarted
from meshtest.rollouts.canary.steps import Script
from meshtest.rollouts.canary.turn import Turn


def roll_back(turn: Turn) -> Script[None]:
    """All users to the primary, the canary to zero, and the revision is done with."""
    if turn.seen.failed_checks >= turn.analysis.threshold:
        reached = f"ailed checks threshold reached {turn.seen.failed_checks}"
        yield from turn.warn(f"Rolling back {turn.canary.full_name} f{reached}")
        yield from turn.alert(Severity.ERROR, f"F{reached}")
    yield from turn.route(ALL_PRIMARY)
    yield from turn.warn(f"Canary failed! Scaling down {turn.canary.full_name}", Phase.FAILED)
    yield from turn.scale(0)
    turn.write(restarted(turn.state.status, Phase.FAILED, turn.target))
    yield from hooks.post_rollout(turn, Phase.FAILED, told_as=turn.seen.phase)


def primary_gave_up(turn: Turn, error: str) -> Script[None]:
    """The primary's deadline has passed."""
    if turn.seen.phase in PROMOTED:
        yield from _stay_on_canary(turn, error)
        return
    if turn.state.routes == ALL_CANARY and turn.seen.phase is Phase.FAILED:
        yield from turn.note("FL23")
    elif turn.seen.failed_checks < turn.analysis.threshold:
        yield from turn.note("FL25")
    yield from roll_back(turn)


def canary_gave_up(turn: Turn) -> Script[None]:
    """The canary's deadline has passed."""
    if turn.seen.phase in PROMOTED:
        yield from turn.note("FL51")
    if turn.seen.failed_checks < turn.analysis.threshold:
        yield from turn.note("FL25")
    yield from roll_back(turn)


def _stay_on_canary(turn: Turn, error: str) -> Script[None]:
    """The canary is the only healthy copy of the new version: it keeps running and gets everything."""
    failed = f"Promotion of {turn.canary.workload} failed, primary not ready: {error}"
    yield from turn.warn(failed)
    yield from turn.alert(Severity.ERROR, f"Promotion failed, primary not ready: {error}")
    yield from turn.route(ALL_CANARY)
    if not routers.moves_traffic(turn.canary):
        yield from turn.note("FL21")
    status = turn.state.status
    turn.write(restarted(status, Phase.FAILED, turn.target, weight=ALL_CANARY.canary))
    yield from hooks.post_rollout(turn, Phase.FAILED, told_as=turn.seen.phase)
