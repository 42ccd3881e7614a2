"""One tick of a rollout, in Flagger's order: what it checks first decides what a bad moment leads to.

     suspended? ── initialise ── work to do? ── primary ready? ── approved and started?
                                                                        │
     another revision? ── canary ready? ── skip the analysis? ── rollback asked?
                                                                        │
     promoting? ── finalising? ── too many failed checks? ── checks ── advance

Rules: advanceCanary of fluxcd/flagger pkg/controller/scheduler.go.
"""

from __future__ import annotations

from meshtest.rollouts.canary import beginning, failure, hooks, metrics, promotion, routers, strategies
from meshtest.rollouts.canary.observations import Target
from meshtest.rollouts.canary.spec import Canary, Severity
from meshtest.rollouts.canary.state import ALL_PRIMARY, ANALYSED, UNDER_WAY, Phase, Routes, State
from meshtest.rollouts.canary.steps import Refused, Script, Who
from meshtest.rollouts.canary.turn import Turn


def tick(canary: Canary, state: State, target: Target) -> Script[State]:
    """Ask and do what is due now; returns the state after it. A refused deed ends the tick with its event."""
    turn = Turn(canary, state, target)
    try:
        yield from _tick(turn)
    except Refused as refused:
        yield from turn.warn(str(refused))
    return turn.state


def _tick(turn: Turn) -> Script[None]:
    if turn.canary.suspend:
        yield from turn.tell("skipping canary run as object is suspended")
        return
    if not (yield from beginning.initialise(turn)) or not beginning.has_work(turn):
        return
    if not turn.canary.skip and not (yield from _primary_is_ready(turn)):
        return
    if turn.seen.phase not in UNDER_WAY:
        yield from beginning.begin(turn)
    elif turn.seen.phase in ANALYSED and turn.has_new_target:
        yield from beginning.begin_again(turn)
    elif (yield from _canary_is_ready(turn)):
        yield from _proceed(turn)


def _primary_is_ready(turn: Turn) -> Script[bool]:
    ready = yield from turn.ready(Who.PRIMARY)
    if not ready.error:
        return True
    yield from turn.warn(ready.error)
    if turn.seen.phase is Phase.FAILED:
        yield from turn.note("FL22")
    if not ready.retriable:
        yield from failure.primary_gave_up(turn, ready.error)
    return False


def _canary_is_ready(turn: Turn) -> Script[bool]:
    ready = yield from turn.ready(Who.CANARY)
    if not ready.error:
        return True
    yield from turn.warn(ready.error)
    if not ready.retriable:
        yield from failure.canary_gave_up(turn)
    return False


def _proceed(turn: Turn) -> Script[None]:
    """Both workloads are ready."""
    routes = routers.read(turn.canary, turn.state.routes or ALL_PRIMARY, turn.seen)
    if turn.canary.skip:
        yield from promotion.skip_analysis(turn)
    elif turn.seen.phase in ANALYSED and (yield from hooks.rollback_asked(turn)):
        yield from _roll_back_on_demand(turn)
    elif turn.seen.phase is Phase.PROMOTING:
        yield from promotion.shift_back(turn, routes)
    elif turn.seen.phase is Phase.FINALISING:
        yield from promotion.finalise(turn)
    elif turn.seen.failed_checks >= turn.analysis.threshold:
        yield from failure.roll_back(turn)
    else:
        yield from _analyse(turn, routes)


def _roll_back_on_demand(turn: Turn) -> Script[None]:
    yield from turn.warn(f"Rolling back {turn.canary.full_name} manual webhook invoked")
    yield from turn.alert(Severity.WARN, "Rolling back manual webhook invoked")
    yield from failure.roll_back(turn)


def _analyse(turn: Turn, routes: Routes) -> Script[None]:
    """Check, then advance; a bad check is counted, and the traffic stays as it is."""
    if turn.target.revision == turn.seen.promoted:
        yield from turn.note("FL12")
    if (yield from _checked(turn, routes)):
        yield from strategies.advance(turn, routes)
    else:
        turn.count(failed_checks=turn.seen.failed_checks + 1)


def _checked(turn: Turn, routes: Routes) -> Script[bool]:
    """Before its first traffic the canary has to pass the pre-rollout hooks, afterwards hooks and metrics."""
    mirrored = turn.analysis.mirror and routes.mirrored
    if routes.canary == 0 and turn.seen.iterations == 0 and not mirrored:
        yield from turn.tell(f"Starting canary analysis for {turn.canary.workload}")
        return (yield from hooks.pre_rollout(turn))
    return (yield from hooks.rollout(turn)) and (yield from metrics.check(turn))
