"""How the weight of a canary grows, and comes back: pure arithmetic.

Rules: nextStepWeight, runCanary and runPromotionTrafficShift of fluxcd/flagger pkg/controller/scheduler.go.
"""

from __future__ import annotations

import itertools

from meshtest.rollouts.canary.spec import TOTAL, Analysis
from meshtest.rollouts.canary.state import MIRRORED, Routes


def increase(analysis: Analysis, weight: int) -> int:
    """By how much the weight would grow; zero or less: it never will."""
    steps = analysis.step_weights
    if analysis.step_weight > 0 or not steps:
        return analysis.step_weight
    room = TOTAL - weight
    if room == 0:
        return 1  # anything above zero leads on to the promotion
    if weight == 0:
        return min(room, steps[0])
    for here, following in itertools.pairwise(steps):
        if here == weight:
            return min(room, following - weight)
    return room


def grown(analysis: Analysis, routes: Routes) -> Routes:
    """The next routes below the target weight; with a mirror, one tick of it comes first."""
    step = increase(analysis, routes.canary)
    if analysis.mirror and routes.canary == 0:
        return Routes(TOTAL - step, step) if routes.mirrored else MIRRORED
    return Routes(max(routes.primary - step, 0), min(routes.canary + step, TOTAL), routes.mirrored)


def shifted_back(analysis: Analysis, routes: Routes) -> Routes:
    """One step of the promotion."""
    step = analysis.promotion_step
    return Routes(min(routes.primary + step, TOTAL), max(routes.canary - step, 0))


def steps(analysis: Analysis) -> tuple[int, ...]:
    """The weights that a canary without objection goes through; it ends where it is promoted, or stuck."""
    weights: list[int] = []
    routes = Routes(TOTAL, 0)
    plain = Analysis(
        step_weight=analysis.step_weight, step_weights=analysis.step_weights, max_weight=analysis.max_weight
    )
    while routes.canary < plain.target_weight and increase(plain, routes.canary) > 0:
        routes, before = grown(plain, routes), routes
        if routes == before:  # at 100 of 100, below a maxWeight of more
            break
        weights.append(routes.canary)
    return tuple(weights)
