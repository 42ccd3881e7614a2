"""Before an analysis: the primary is made, a new revision is noticed, approved and started.

Rules: advanceCanary up to checkCanaryStatus, setPhaseInitialized and shouldAdvance of fluxcd/flagger
pkg/controller/scheduler.go; ScaleFromZero of pkg/canary/deployment_controller.go.
"""

from __future__ import annotations

from meshtest.rollouts.canary import hooks, routers
from meshtest.rollouts.canary.failure import primary_gave_up
from meshtest.rollouts.canary.spec import HookType, Severity
from meshtest.rollouts.canary.state import ALL_PRIMARY, BEFORE, UNDER_WAY, Phase, Routes
from meshtest.rollouts.canary.status import noticed, restarted
from meshtest.rollouts.canary.steps import CreatePrimary, CreateRoutes, Refused, Script, SetRoutes, Who
from meshtest.rollouts.canary.turn import Turn


def initialise(turn: Turn) -> Script[bool]:
    """Make the primary and the routes if they are not there. False: not yet, or it failed."""
    first = turn.seen.phase in BEFORE
    if first and not turn.canary.skip:
        yield from _check_metric_servers(turn)
    if not turn.state.primary:
        yield from turn.do(CreatePrimary(turn.target.revision, turn.state.replicas or 1))
    if first and not (turn.canary.skip or (yield from _primary_is_up(turn))):
        return False
    if first:
        yield from _stop_target(turn)
    yield from _take_over(turn)
    if first:
        yield from _initialised(turn)
    return True


def _check_metric_servers(turn: Turn) -> Script[None]:
    online = yield from turn.metrics_online()
    if online.ok:
        yield from turn.tell("all the metrics providers are available!")
    else:
        yield from turn.warn(f"Error checking metric providers: {online.reason}")


def _primary_is_up(turn: Turn) -> Script[bool]:
    ready = yield from turn.ready(Who.PRIMARY)
    if not ready.error:
        return True
    yield from turn.warn(ready.error)
    if not ready.retriable:
        yield from primary_gave_up(turn, ready.error)
    return False


def _stop_target(turn: Turn) -> Script[None]:
    """From here on the target is the canary, and a canary without a new version needs no pods."""
    try:
        yield from turn.scale(0)
    except Refused as refused:
        raise Refused(f"scaling down canary {turn.canary.kind} {turn.canary.workload} failed: {refused}") from None


def _take_over(turn: Turn) -> Script[None]:
    if unable := routers.refusal(turn.canary):
        raise Refused(unable)
    if turn.state.routes is None:
        yield from turn.do(CreateRoutes(ALL_PRIMARY))
    else:
        yield from _put_in_order(turn, turn.state.routes)


def _put_in_order(turn: Turn, routes: Routes) -> Script[None]:
    """Flagger takes rules away that it has forgotten to have made itself."""
    left = routers.reconciled(turn.canary, routes, turn.seen)
    if left != routes:
        yield from turn.note("FL54" if routes.mirrored else "FL36")
        yield from turn.do(SetRoutes(left))


def _initialised(turn: Turn) -> Script[None]:
    turn.write(restarted(turn.state.status, Phase.INITIALIZED, turn.target))
    turn.read_again()
    yield from turn.note("FL41")
    yield from turn.tell(f"Initialization done! {turn.canary.full_name}")
    new = f"New {turn.canary.kind} detected, initialization completed."
    yield from turn.alert(Severity.INFO, new, detailed=True)


def has_work(turn: Turn) -> bool:
    """Something is under way, or there is a revision that nobody has seen yet."""
    if turn.seen.phase in UNDER_WAY or turn.seen.phase is Phase.WAITING:
        return True
    if turn.seen.phase is Phase.FAILED:
        turn.write(noticed(turn.state.status, turn.target))
    return turn.has_new_target


def begin(turn: Turn) -> Script[None]:
    """Ask for approval, then start the canary; its analysis begins at the next tick."""
    turn.read_again()
    if not (yield from hooks.confirm_rollout(turn)):
        return
    yield from turn.tell(f"New revision detected! Scaling up {turn.canary.workload}", Phase.PROGRESSING)
    new = "New revision detected, progressing canary analysis."
    yield from turn.alert(Severity.INFO, new, detailed=True)
    yield from turn.scale(_wanted_replicas(turn))
    turn.write(restarted(turn.state.status, Phase.PROGRESSING, turn.target))


def _wanted_replicas(turn: Turn) -> int:
    """As many as it has; else as its autoscaler wants at least; else as the primary has."""
    if turn.state.replicas > 0:
        return turn.state.replicas
    if turn.canary.autoscaler:
        return max(1, turn.target.least_replicas)
    return max(1, turn.state.primary_replicas)


def begin_again(turn: Turn) -> Script[None]:
    """Another revision has come in the middle: back to weight 0, without asking for approval again."""
    yield from turn.tell(f"New revision detected! Restarting analysis for {turn.canary.workload}")
    if turn.analysis.of(HookType.CONFIRM_ROLLOUT):
        yield from turn.note("FL02")
    yield from turn.route(ALL_PRIMARY)
    turn.write(restarted(turn.state.status, Phase.PROGRESSING, turn.target))
