"""How fast a Canary is rehearsed where many versions are tried: as fast as its checks still see enough requests. Pure.

A rehearsal compresses the time, not the users: at speed 60 a check of a minute sees the requests of one second. So what
is gained in time is lost in certainty about small rates, and that is told.
"""

from __future__ import annotations

import math

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.spec import TOTAL, Canary, Strategy
from meshtest.rollouts.canary.weights import steps

WALL = 5.0
"""Seconds that one promotion should take."""
LEAST, MOST = 0.3, 2.0
"""Seconds between two ticks: below, a metric has no new sample; above, a catalogue takes a lunch break."""
ENOUGH = 12
"""Requests of the new version in a check at the smallest weight, if MOST leaves room for them."""


@dataclass(frozen=True)
class Pace:
    """A speed, and what it means for the checks."""

    speed: float
    tick: float
    """Seconds between two ticks, of ours."""
    weight: int
    """The smallest share of the users, in percent, that a check is made of."""
    requests: float
    """Of the new version in one check at that weight, here; in production it is `speed` times as many."""

    def __str__(self) -> str:
        seen, real = f"{self.requests:.3g}", f"{self.requests * self.speed:.3g}"
        return (
            f"speed {self.speed:g}: a tick every {self.tick:.2g} s; at {self.weight} % a check sees about {seen} "
            f"requests of the new version, in production {real} at the same rate: small error rates show with less "
            f"certainty here (slower is surer: --speed {max(1, round(self.speed / 4)):g})"
        )


def pace(canary: Canary, rate: float, speed: float | None = None) -> Pace:
    """`rate`: requests a second of all users. `speed`: as asked for, else chosen."""
    interval, weight = canary.analysis.interval, smallest(canary)
    if speed is None:
        wanted = max(WALL / ticks(canary), ENOUGH / (rate * weight / TOTAL))
        speed = max(1.0, float(math.floor(interval / min(max(wanted, LEAST), MOST))))
    tick = interval / speed
    return Pace(speed, tick, weight, rate * tick * weight / TOTAL)


def ticks(canary: Canary) -> int:
    """From the tick that sees a new version to its end, if nothing objects: to begin, the steps, the way back of the
    traffic to the primary, to end."""
    analysis = canary.analysis
    if analysis.strategy is Strategy.CANARY:
        back = math.ceil(analysis.target_weight / analysis.promotion_step) if analysis.promotion_step else 1
        return len(steps(analysis)) + analysis.mirror + back + 2
    return analysis.iterations + (3 if analysis.strategy is Strategy.AB_TESTING else 4)


def smallest(canary: Canary) -> int:
    """The first weight; where users are not shared out by weight, all of them."""
    found = steps(canary.analysis) if canary.analysis.strategy is Strategy.CANARY else ()
    return next((weight for weight in found if weight > 0), TOTAL)
