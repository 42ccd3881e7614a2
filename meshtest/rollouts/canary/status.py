"""How Flagger writes `status`: each write has side effects of its own on weight, iterations and revisions.

Rules: fluxcd/flagger pkg/canary/status.go (syncCanaryStatus, setStatusPhase), pkg/canary/spec.go (hasSpecChanged),
pkg/canary/config_tracker.go (HasConfigChanged).
"""

from __future__ import annotations

from dataclasses import replace

from meshtest.rollouts.canary.observations import Target
from meshtest.rollouts.canary.state import Configs, Phase, Status

KEEP_COUNTS = frozenset({Phase.PROGRESSING, Phase.WAITING, Phase.PROMOTING})
"""A change to any other phase forgets weight and iterations."""


def restarted(status: Status, phase: Phase, target: Target, *, weight: int = 0) -> Status:
    """A full write: counters start again, and the target's revision is the applied one from now on."""
    fresh = replace(noticed(status, target), phase=phase, weight=weight, failed_checks=0, iterations=0)
    return replace(fresh, promoted=target.revision) if phase is Phase.INITIALIZED else fresh


def noticed(status: Status, target: Target) -> Status:
    """The target's revision counts as applied; nothing else changes."""
    return replace(status, applied=target.revision, configs=target.configs)


def entered(status: Status, phase: Phase, *, iterations: int) -> Status:
    """A change of phase. `iterations`: of the analysis; a gate before the promotion goes back to the last but one."""
    changed = replace(status, phase=phase)
    if phase not in KEEP_COUNTS:
        back = iterations - 1 if phase is Phase.WAITING_PROMOTION else 0
        changed = replace(changed, weight=0, iterations=back)
    if phase in (Phase.INITIALIZED, Phase.SUCCEEDED):
        changed = replace(changed, promoted=status.applied)
    return changed


def is_new(status: Status, target: Target) -> bool:
    """The target is neither what was applied last nor, by its pods, what was promoted last."""
    return _pods_are_new(status, target.revision) or _configs_are_new(status.configs, target.configs)


def _pods_are_new(status: Status, revision: str) -> bool:
    if not status.applied:
        return True
    return revision not in (status.promoted, status.applied)


def _configs_are_new(tracked: Configs | None, configs: Configs) -> bool:
    return bool(configs) if tracked is None else tracked != configs
