"""What a Canary will do, told before it is deployed: its ticks, hooks, exposure, and what in it surprises. Pure.

Everything comes from the state machine (course.py). Not here: chances (power.py), lines for people
(cli/rehearse_plan.py), pods that take long to become ready: each interval they need is one more.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Diagnostic, Source
from meshtest.model.document import Document
from meshtest.rollouts.canary import course, routers
from meshtest.rollouts.canary.bites import ANALYSIS, bites
from meshtest.rollouts.canary.course import Course
from meshtest.rollouts.canary.driver import Tick
from meshtest.rollouts.canary.reading import of, parse
from meshtest.rollouts.canary.spec import Canary, Hook, Strategy
from meshtest.rollouts.canary.steps import Measure
from meshtest.rollouts.canary.surprises import SURPRISES, Surprise

VERSION = 1
LONGEST_WAIT = 30.0
"""Seconds between two attempts at a hook: they double from 1 s (hashicorp/go-retryablehttp, RetryWaitMax)."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """One hook: in which ticks it is called, and how long one call may take."""

    hook: Hook
    happy: tuple[int, ...]
    """Numbers of ticks, from 1, one a call, when nobody objects."""
    bad: tuple[int, ...]
    """When the checks fail."""

    @property
    def worst(self) -> float:
        return worst(self.hook)


@dataclass(frozen=True)
class Told:
    """A surprise, and the place in the user's YAML that leads to it."""

    surprise: Surprise
    source: Source


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A Canary, and the courses it can take."""

    canary: Canary
    happy: Course | None = None
    """Nobody objects. None: it never starts."""
    bad: Course | None = None
    """The new version fails its checks from the first on; None: nothing checks it."""
    late: Course | None = None
    """It fails only where users meet it; None where that is no different."""
    what_fails: str = ""
    uses: tuple[Use, ...] = ()
    surprises: tuple[Told, ...] = ()
    notes: tuple[Diagnostic, ...] = ()
    """Of the reading: fields that are unknown, or not simulated."""

    @cached_property
    def slowest(self) -> tuple[int, float]:
        """The tick whose hooks may take longest, and the seconds; 0 for none."""
        ticks = self.happy.ticks if self.happy else ()
        found = [
            (sum(worst(call.hook) for call, _ in tick.hooks), -number)
            for number, tick in enumerate(ticks, 1)
            if tick.hooks
        ]
        seconds, number = max(found, default=(0.0, 0))
        return -number, seconds

    @property
    def interval(self) -> float:
        return self.canary.analysis.interval

    @property
    def blocks(self) -> bool:
        """A tick's hooks may outlast the interval, and then the next tick comes late."""
        return self.slowest[1] > self.interval

    def as_data(self, rps: float | None = None) -> dict[str, Any]:
        return {
            "version": VERSION,
            "canary": self.canary.full_name,
            "strategy": strategy(self.canary),
            "provider": self.canary.provider,
            "interval": self.interval,
            "threshold": self.canary.analysis.threshold,
            "happy": self.happy and _course_data(self.happy, rps),
            "bad": self.bad and _course_data(self.bad, rps),
            "late": self.late and _course_data(self.late, rps),
            "fails_by": self.what_fails,
            "hooks": [_use_data(use) for use in self.uses],
            "slowest_tick": {"tick": self.slowest[0], "seconds": self.slowest[1], "outlasts_interval": self.blocks},
            "surprises": [_told_data(told) for told in self.surprises],
            "notes": [
                {"severity": note.severity.name.lower(), "message": note.message, "source": str(note.source)}
                for note in self.notes
            ],
        }


def plan(document: Document, *, provider: str = "") -> Plan:
    """Of a Canary document; ManifestError names what in it Flagger would refuse. `provider`: where it names none."""
    canary = of(document, provider=provider)
    notes = parse(document, provider=provider).notes
    state = course.started(canary)
    if state is None:
        return Plan(canary=canary, notes=notes, surprises=_surprises(document, provider))
    happy, by = course.happy(canary, state), course.what_fails(canary)
    bad = course.failing(canary, state) if by else None
    late = course.failing(canary, state, exposed_only=True) if by else None
    return Plan(
        canary=canary,
        happy=happy,
        bad=bad,
        late=late if bad and late and late.ticks != bad.ticks else None,
        what_fails=by,
        uses=_uses(canary, happy, bad),
        surprises=_surprises(document, provider, happy, bad, late),
        notes=notes,
    )


def worst(hook: Hook) -> float:
    """The most seconds of one call: each attempt runs into its time-out, and then there is a pause."""
    pauses = sum(min(2.0**attempt, LONGEST_WAIT) for attempt in range(hook.retries))
    return (hook.retries + 1) * max(hook.timeout, 0.0) + pauses


def strategy(canary: Canary) -> str:
    """As it comes out: plain Kubernetes makes blue/green of everything."""
    return str(canary.analysis.strategy if routers.moves_traffic(canary) else Strategy.BLUE_GREEN)


def measured(tick: Tick) -> tuple[str, ...]:
    """The metrics that a tick reads."""
    return tuple(done.step.metric.name for done in tick.log if isinstance(done.step, Measure))


def _uses(canary: Canary, happy: Course, bad: Course | None) -> tuple[Use, ...]:
    return tuple(
        Use(hook=hook, happy=_called(happy, hook), bad=_called(bad, hook) if bad else ())
        for hook in canary.analysis.hooks
    )


def _called(taken: Course, hook: Hook) -> tuple[int, ...]:
    calls = ((number, call.hook) for number, tick in enumerate(taken.ticks, 1) for call, _ in tick.hooks)
    return tuple(number for number, called in calls if called == hook)


def _surprises(document: Document, provider: str, *courses: Course | None) -> tuple[Told, ...]:
    """Those of the text, at their fields; those met on the way stand at the analysis."""
    written = [Told(bite.surprise, document.where(*bite.path)) for bite in bites(document, provider=provider)]
    known = {told.surprise.code for told in written}
    met = dict.fromkeys(code for taken in courses if taken for tick in taken.ticks for code in tick.surprises)
    on_the_way = [Told(SURPRISES[code], document.where(*ANALYSIS)) for code in met if code not in known]
    return tuple(sorted((*written, *on_the_way), key=lambda told: told.surprise.code))


# -- as data: fields are added, never renamed


def _course_data(taken: Course, rps: float | None) -> dict[str, Any]:
    exposure = taken.exposure
    return {
        "ending": taken.ending,
        "intervals": taken.intervals,
        "seconds": taken.seconds,
        "seconds_with_detection": taken.seconds + taken.canary.analysis.interval,
        "exposed": {
            "intervals": exposure.intervals,
            "seconds": exposure.seconds,
            "most": exposure.most,
            "seconds_of_all_requests": exposure.weighted,
            "requests": None if rps is None else exposure.requests(rps),
        },
        "ticks": list(_ticks_data(taken)),
    }


def _ticks_data(taken: Course) -> Iterator[dict[str, Any]]:
    """The names are those of a rehearsal's rows (model/rehearsal.py)."""
    for number, tick in enumerate(taken.ticks, 1):
        status = tick.state.status
        yield {
            "number": number,
            "after": (number - 1) * taken.canary.analysis.interval,
            "phase": str(status.phase),
            "weight": status.weight,
            "routes": "" if tick.state.routes is None else str(tick.state.routes),
            "exposed": course.exposed(taken.canary, tick.state),
            "failed_checks": status.failed_checks,
            "iterations": status.iterations,
            "hooks": [call.hook.name for call, _ in tick.hooks],
            "metrics": list(measured(tick)),
            "events": [event.message for event in tick.events],
            "surprises": list(tick.surprises),
        }


def _use_data(use: Use) -> dict[str, Any]:
    hook = use.hook
    named = {"name": hook.name, "type": str(hook.type), "url": hook.url, "timeout": hook.timeout}
    return {**named, "retries": hook.retries, "worst": use.worst, "happy": list(use.happy), "bad": list(use.bad)}


def _told_data(told: Told) -> dict[str, str]:
    surprise = told.surprise
    return {"code": surprise.code, "says": surprise.says, "where": str(told.source), "source": surprise.source}
