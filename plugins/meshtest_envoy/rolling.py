"""How a Deployment replaces its pods: RollingUpdate with surge and unavailable, as Kubernetes does it. Pure.

Source: kubernetes pkg/controller/deployment (rolling.go); maxSurge is rounded up, maxUnavailable down.
"""

from __future__ import annotations

import math

from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Pods of one Deployment: those of the new template and of older ones."""

    desired: int
    new: int
    new_ready: int
    old: int
    old_ready: int


@dataclass(frozen=True)
class Step:
    start: int
    """New pods to start now."""
    stop: int
    """Pods to terminate now: old ones, and new ones above the desired number."""


def resolve(value: int | str, desired: int, *, up: bool) -> int:
    """`1` or `"25%"` as a number of pods."""
    if isinstance(value, int):
        return value
    share = desired * float(value.rstrip("%")) / 100
    return math.ceil(share) if up else math.floor(share)


def limits(max_surge: int | str, max_unavailable: int | str, desired: int) -> tuple[int, int]:
    """(surge, unavailable); both zero would never move, so Kubernetes then allows one unavailable."""
    surge, unavailable = resolve(max_surge, desired, up=True), resolve(max_unavailable, desired, up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def next_step(counts: Counts, *, surge: int, unavailable: int) -> Step:
    """What may be started and stopped now without leaving the limits; Step(0, 0) means wait, or done."""
    room = counts.desired + surge - (counts.new + counts.old)
    start = max(0, min(counts.desired - counts.new, room))
    spare = max(0, counts.new_ready + counts.old_ready - (counts.desired - unavailable))
    unready_old = counts.old - counts.old_ready
    surplus_new = max(0, counts.new - counts.desired)
    return Step(start, min(counts.old, unready_old + spare) + surplus_new)
