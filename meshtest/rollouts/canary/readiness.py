"""Is a workload rolled out? From the numbers of its status, its threshold and its deadline, as Flagger decides.

Rules: fluxcd/flagger pkg/canary/deployment_ready.go and daemonset_ready.go, whose sentences these are.
"""

from __future__ import annotations

import struct

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.replies import READY, Readiness
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.steps import Who


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What the status of a Deployment says; of a DaemonSet, `wanted` is the number of nodes."""

    wanted: int | None
    """`spec.replicas`"""
    total: int
    updated: int
    available: int
    observed: bool = True
    """The controller has seen the newest generation."""
    unavailable_for: float | None = None
    """Seconds since the condition Available turned False for want of replicas; a DaemonSet: since the last write of
    the Canary's status. None: it is available."""
    gave_up: bool = False
    """The condition Progressing has the reason ProgressDeadlineExceeded."""


def of(canary: Canary, who: Who, rollout: Rollout) -> Readiness:
    """Of the primary or of the canary; the sentence says which."""
    if not canary.runs_pods:
        return READY
    analysis = canary.analysis
    threshold = analysis.primary_ready if who is Who.PRIMARY else analysis.canary_ready
    if canary.kind == "DaemonSet":
        return _named_daemon_set(canary, who, daemon_set(rollout, threshold, canary.deadline))
    name = canary.target if who is Who.CANARY else f"{canary.target}-primary"
    found = deployment(rollout, threshold, canary.deadline, name=name)
    if not found.error:
        return READY
    prefix = "canary deployment " if who is Who.CANARY else ""
    return Readiness(error=f"{prefix}{name}.{canary.namespace} not ready: {found.error}", retriable=found.retriable)


def deployment(rollout: Rollout, threshold: int, deadline: float, *, name: str) -> Readiness:
    """`threshold`: per cent of the updated replicas. Seconds of `deadline` count only while none is available."""
    if not rollout.observed:
        return _waiting("observed deployment generation less than desired generation")
    late = rollout.unavailable_for is not None and rollout.unavailable_for > deadline
    enough = share(rollout.updated, threshold)
    if rollout.gave_up:
        return Readiness(error=f'deployment "{name}" exceeded its progress deadline', retriable=False)
    if rollout.wanted is not None and rollout.updated < rollout.wanted:
        return _waiting(f"{rollout.updated} out of {rollout.wanted} new replicas have been updated", late)
    if rollout.total > rollout.updated:
        return _waiting(f"{rollout.total - rollout.updated} old replicas are pending termination", late)
    if rollout.available < enough:
        shown = f"{rollout.available} of {enough} (readyThreshold {threshold}%)"
        return _waiting(f"{shown} updated replicas are available", late)
    return READY


def daemon_set(rollout: Rollout, threshold: int, deadline: int) -> Readiness:
    """`threshold`: per cent of the nodes."""
    if not rollout.observed:
        return _waiting("observed daemonset generation less than desired generation")
    wanted = rollout.wanted or 0
    enough = share(wanted, threshold)
    if rollout.updated >= wanted and rollout.available >= enough:
        return READY
    if rollout.unavailable_for is not None and rollout.unavailable_for > deadline:
        return Readiness(error=f"exceeded its progressDeadlineSeconds: {deadline}", retriable=False)
    if rollout.updated < wanted:
        return _waiting(f"{rollout.updated} out of {wanted} new pods have been updated")
    return _waiting(f"{rollout.available} of {enough} (readyThreshold {threshold}%) updated pods are available")


def share(replicas: int, percent: int) -> int:
    """Rounded down, in single precision: 1 replica at 99 % needs none."""
    return int(_single(replicas * _single(percent / 100)))


def _single(value: float) -> float:
    found: float = struct.unpack("f", struct.pack("f", value))[0]
    return found


def _waiting(what: str, late: bool = False) -> Readiness:
    return Readiness(error=f"waiting for rollout to finish: {what}", retriable=not late)


def _named_daemon_set(canary: Canary, who: Who, found: Readiness) -> Readiness:
    if not found.error:
        return READY
    if who is Who.PRIMARY:
        prefix = f"primary daemonset {canary.primary} not ready"
    else:
        prefix = f"canary damonset {canary.workload} not ready with retryable {str(found.retriable).lower()}"
    return Readiness(error=f"{prefix}: {found.error}", retriable=found.retriable)
