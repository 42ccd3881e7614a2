"""The course of a rollout that has not begun: the state machine is asked ahead, until it ends or turns in circles.

Not here: what a course means to people (plan.py), chances (power.py); and no rule of Flagger's, which are tick.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Literal

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary import routers
from meshtest.rollouts.canary.driver import Tick, advance
from meshtest.rollouts.canary.observations import Observations, Target
from meshtest.rollouts.canary.replies import NO, Answer, Reading
from meshtest.rollouts.canary.spec import TOTAL, Canary, HookType, Metric
from meshtest.rollouts.canary.state import ANALYSED, OVER, Phase, State

OLD, NEW = Target(revision="before"), Target(revision="new")
LONGEST = 5_000
"""Ticks after which a course counts as endless; a Canary of 1,000 iterations is not."""

Ending = Literal["promoted", "rolled back", "never ends"]
Observe = Callable[[State], Observations]
"""What the world answers, by where the rollout is."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How long users have met a version that is not promoted, and how many of them."""

    intervals: int = 0
    seconds: float = 0.0
    weighted: float = 0.0
    """Seconds times the share of users: so many seconds' worth of all requests."""
    most: float = 0.0
    """The largest share, of 1."""

    def requests(self, rps: float) -> float:
        return self.weighted * rps


@dataclass(frozen=True)
class Course:
    """From the tick that sees the new revision to the last one, or to the first that leads nowhere new."""

    canary: Canary
    ticks: tuple[Tick, ...]
    ending: Ending

    @property
    def intervals(self) -> int:
        return len(self.ticks) - 1

    @property
    def seconds(self) -> float:
        """Of production, while all is ready in time; up to one interval more passes before the revision is seen."""
        return self.intervals * self.canary.analysis.interval

    @cached_property
    def exposure(self) -> Exposure:
        shares = [share for tick in self.ticks[:-1] if (share := exposed(self.canary, tick.state))]
        interval = self.canary.analysis.interval
        return Exposure(
            intervals=len(shares),
            seconds=len(shares) * interval,
            weighted=sum(shares) * interval,
            most=max(shares, default=0.0),
        )


def exposed(canary: Canary, state: State) -> float:
    """The share of users, of 1, that a version under analysis serves in this state; those of an A/B test all match."""
    if state.routes is None or state.phase not in ANALYSED or not routers.moves_traffic(canary):
        return 0.0
    return max(0, min(state.routes.canary, TOTAL)) / TOTAL


def asked(canary: Canary, state: State) -> float:
    """The share of users' requests, of 1, that the canary answers or gets a copy of: what its metrics count."""
    if state.routes is None or not routers.moves_traffic(canary):
        return 0.0
    if state.routes.mirrored:
        return (canary.analysis.mirror_weight or TOTAL) / TOTAL
    return max(0, min(state.routes.canary, TOTAL)) / TOTAL


def started(canary: Canary) -> State | None:
    """The old version is deployed and stands; None: Flagger never gets that far."""
    state, seen = State(), set[State]()
    while state not in seen:
        seen.add(state)
        state = advance(canary, state, Observations(target=OLD)).state
        if state.phase is Phase.INITIALIZED:
            return state
    return None


def happy(canary: Canary, state: State) -> Course:
    """Nobody objects, except hooks that cannot pass."""
    good, _ = answers(canary)
    return follow(canary, state, lambda _: good)


def failing(canary: Canary, state: State, *, exposed_only: bool = False) -> Course:
    """Its checks fail, from the first on; or only where users are on the new version."""
    good, bad = answers(canary)
    return follow(canary, state, lambda at: bad if not exposed_only or exposed(canary, at) else good)


def answers(canary: Canary) -> tuple[Observations, Observations]:
    """What a good and a bad version are told of: no objection, and as many as there can be."""
    good = Observations(target=NEW, hooks=_broken(canary))
    return good, replace(good, hooks={**good.hooks, **_objecting(canary)}, metrics=_outside(canary))


def what_fails(canary: Canary) -> Literal["metrics", "rollout hooks", ""]:
    """By what a bad version is told at all."""
    if _outside(canary):
        return "metrics"
    return "rollout hooks" if canary.analysis.of(HookType.ROLLOUT) else ""


def follow(canary: Canary, state: State, observe: Observe) -> Course:
    """The same state and answers lead to the same state: one that comes again comes for ever."""
    ticks, seen = list[Tick](), {state}
    for ticked in _ticks(canary, state, observe):
        ticks.append(ticked)
        if ticked.state.phase in OVER:
            ending: Ending = "promoted" if ticked.state.phase is Phase.SUCCEEDED else "rolled back"
            return Course(canary, tuple(ticks), ending)
        if ticked.state in seen or len(ticks) >= LONGEST:
            break
        seen.add(ticked.state)
    return Course(canary, tuple(ticks), "never ends")


def _ticks(canary: Canary, state: State, observe: Observe) -> Iterator[Tick]:
    while True:
        ticked = advance(canary, state, observe(state))
        state = ticked.state
        yield ticked


def _broken(canary: Canary) -> dict[str, Answer]:
    """Hooks whose time-out Go cannot parse: each of their calls fails (FL45)."""
    return {hook.name: NO for hook in canary.analysis.hooks if hook.timeout < 0}


def _objecting(canary: Canary) -> dict[str, Answer]:
    hooks = canary.analysis.of(HookType.ROLLOUT) if what_fails(canary) == "rollout hooks" else ()
    return {hook.name: NO for hook in hooks}


def _outside(canary: Canary) -> dict[str, Reading]:
    found = {metric.name: outside(metric) for metric in canary.analysis.metrics}
    return {name: Reading(value=value) for name, value in found.items() if value is not None}


def outside(metric: Metric) -> float | None:
    """A value that a metric refuses; None: it takes everything."""
    bounds = metric.bounds
    if bounds is None:
        if metric.is_success_rate:
            return metric.threshold - 1 if metric.threshold > 0 else None
        return metric.threshold + 1
    if bounds.least is not None:
        return bounds.least - 1
    return None if bounds.most is None else bounds.most + 1
