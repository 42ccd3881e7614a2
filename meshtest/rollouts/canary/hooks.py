"""The webhooks of one type: called in order until one objects. Each type objects in its own way.

Rules: fluxcd/flagger pkg/controller/scheduler_hooks.go; when each runs: tick.py.
"""

from __future__ import annotations

from meshtest.rollouts.canary.spec import Hook, HookType, Severity
from meshtest.rollouts.canary.state import Phase
from meshtest.rollouts.canary.steps import Script
from meshtest.rollouts.canary.turn import Turn


def confirm_rollout(turn: Turn) -> Script[bool]:
    """May the new revision be started? A no is a wait without end; only the first one is told."""
    for hook in turn.analysis.of(HookType.CONFIRM_ROLLOUT):
        answer = yield from turn.call(hook, turn.seen.phase)
        if not answer.ok:
            yield from _wait_for_rollout(turn, hook)
            return False
        yield from turn.tell(f"Confirm-rollout check {hook.name} passed")
    return True


def _wait_for_rollout(turn: Turn, hook: Hook) -> Script[None]:
    if turn.analysis.of(HookType.ROLLBACK):
        yield from turn.note("FL01")
    if turn.seen.phase is Phase.WAITING:
        return
    turn.enter(Phase.WAITING)
    yield from turn.warn(f"Halt {turn.canary.full_name} advancement waiting for approval {hook.name}")
    yield from _ask_people(turn, hook, "Canary is waiting for approval.")


def confirm_traffic_increase(turn: Turn) -> Script[bool]:
    """May the weight grow? A no holds it, counts as no failed check, and is told at every tick."""
    for hook in turn.analysis.of(HookType.CONFIRM_TRAFFIC_INCREASE):
        answer = yield from turn.call(hook, Phase.PROGRESSING)
        if not answer.ok:
            halt = f"Halt {turn.canary.full_name} advancement waiting for traffic increase approval {hook.name}"
            yield from turn.warn(halt)
            yield from _ask_people(turn, hook, "Canary traffic increase is waiting for approval.")
            return False
        yield from turn.tell(f"Confirm-traffic-increase check {hook.name} passed")
    return True


def confirm_promotion(turn: Turn) -> Script[bool]:
    """May the primary get the new version? A no is a wait in which checks go on, and can still roll it back."""
    for hook in turn.analysis.of(HookType.CONFIRM_PROMOTION):
        answer = yield from turn.call(hook, Phase.PROGRESSING)
        if not answer.ok:
            yield from _wait_for_promotion(turn, hook)
            return False
        yield from turn.tell(f"Confirm-promotion check {hook.name} passed")
    return True


def _wait_for_promotion(turn: Turn, hook: Hook) -> Script[None]:
    yield from turn.note("FL04")
    if turn.seen.phase is Phase.WAITING_PROMOTION:
        turn.count(iterations=turn.analysis.iterations - 1)
        return
    turn.enter(Phase.WAITING_PROMOTION)
    yield from turn.warn(f"Halt {turn.canary.full_name} advancement waiting for promotion approval {hook.name}")
    yield from _ask_people(turn, hook, "Canary promotion is waiting for approval.")


def _ask_people(turn: Turn, hook: Hook, message: str) -> Script[None]:
    if not hook.mute:
        yield from turn.alert(Severity.WARN, message)


def pre_rollout(turn: Turn) -> Script[bool]:
    """Is the canary fit for its first traffic?"""
    for hook in turn.analysis.of(HookType.PRE_ROLLOUT):
        answer = yield from turn.call(hook, Phase.PROGRESSING)
        if not answer.ok:
            said = f"pre-rollout check {hook.name} failed {answer.reason}"
            yield from turn.warn(f"Halt {turn.canary.full_name} advancement {said}")
            return False
        yield from turn.tell(f"Pre-rollout check {hook.name} passed")
    return True


def rollout(turn: Turn) -> Script[bool]:
    """The external checks of the analysis; their passing is not told."""
    for hook in turn.analysis.of(HookType.ROLLOUT):
        answer = yield from turn.call(hook, Phase.PROGRESSING)
        if not answer.ok:
            said = f"external check {hook.name} failed {answer.reason}"
            yield from turn.warn(f"Halt {turn.canary.full_name} advancement {said}")
            return False
    return True


def rollback_asked(turn: Turn) -> Script[bool]:
    """Does somebody ask for a rollback? The first yes is enough."""
    for hook in turn.analysis.of(HookType.ROLLBACK):
        answer = yield from turn.call(hook, turn.seen.phase)
        if answer.ok:
            yield from turn.warn(f"Rollback check {hook.name} passed")
            return True
        yield from turn.tell(f"Rollback hook {hook.name} not signaling a rollback")
    return False


def post_rollout(turn: Turn, phase: Phase, told_as: Phase) -> Script[None]:
    """It is over, well or badly. `told_as`: the phase of the events, which may lag behind."""
    for hook in turn.analysis.of(HookType.POST_ROLLOUT):
        answer = yield from turn.call(hook, phase)
        if not answer.ok:
            yield from turn.warn(f"Post-rollout hook {hook.name} failed {answer.reason}", told_as)
            return
        yield from turn.tell(f"Post-rollout check {hook.name} passed", told_as)
