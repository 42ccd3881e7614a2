"""How many ticks a rehearsal may take: enough for every end that the Canary can come to by itself. Pure."""

from __future__ import annotations

import math

from meshtest.rollouts.canary import Observations, Phase, State, Target, advance
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import OVER

SPARE = 3
MOST = 10_000
V1, V2 = Observations(target=Target(revision="v1")), Observations(target=Target(revision="v2"))


def most_ticks(canary: Canary) -> int:
    """Those of a version without fault, and the time that one with faults has to be found out."""
    good, ends = _without_objection(canary)
    waiting = math.ceil(canary.deadline / canary.analysis.interval)
    return good + SPARE + (canary.analysis.threshold + waiting if ends else 0)


def _without_objection(canary: Canary) -> tuple[int, bool]:
    """Ticks until it is over, or until it stands still although nobody objects."""
    state = State()
    for _ in range(SPARE):
        state = advance(canary, state, V1).state
    for number in range(1, MOST):
        after = advance(canary, state, V2).state
        if after.phase in OVER:
            return number, True
        if after == state and after.phase is not Phase.PROMOTING:
            return number, False
        state = after
    return MOST, False
