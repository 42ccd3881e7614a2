"""What happened in a rehearsal, tick by tick, and the sentences that sum it up. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from meshtest.checks.canary_users import Met
from meshtest.lib.words import plural
from meshtest.mesh.canary.clock import Clock
from meshtest.mesh.canary.world import World
from meshtest.model.rehearsal import Ending, Rehearsal, TickRow
from meshtest.rollouts.canary import State, Tick
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import ALL_CANARY, Phase
from meshtest.rollouts.canary.steps import Scale, Who
from meshtest.rollouts.canary.surprises import SURPRISES

STUCK = ("FL09", "FL10", "FL28", "FL53", "FL60")
"""Surprises after which nothing moves any more."""
NOT_STARTED = "a pod could not be started"
"""How the provider's note begins."""
CONSEQUENCES = ("Canary failed! ", "Rolling back ")
"""How the events begin that tell what was done, not why."""
TOLD = 1.0
"""Seconds without a CPU to spare that are worth a word; while pods start there is half a second of them."""
MOST = 3
"""Reasons that are told."""

UNHURRIED = 5.0
"""Seconds of ours in which the pods of a rollout become ready on a machine that has other work, too."""


class Story:
    """Of one run."""

    def __init__(self, canary: Canary, speed: float, notes: Sequence[str]) -> None:
        self._canary, self._speed = canary, speed
        self._notes = dict.fromkeys(notes)
        self.revision = ""
        self.ending: Ending | None = None
        """None: it was interrupted."""
        self.rows: list[TickRow] = []
        self._slot = 0
        self._missed = 0
        self._last: Tick | None = None
        self._why = ""
        """The last objection."""

    def add(self, number: int, at: float, clock: Clock, ticked: Tick, world: World) -> TickRow:
        state, status = ticked.state, ticked.state.status
        row = TickRow(
            number=number,
            at=round(at, 4),
            after=clock.slot * clock.interval,
            phase=str(state.phase),
            weight=status.weight,
            routes=str(state.routes or ""),
            failed_checks=status.failed_checks,
            iterations=status.iterations,
            events=tuple(map(str, ticked.events)),
            hooks=tuple(world.called),
            metrics=tuple(world.measured),
            surprises=ticked.surprises,
            unproven=world.unproven,
        )
        self.rows.append(row)
        self._slot, self._last = clock.slot, ticked
        self._note(row, ticked, clock)
        for why in world.again:
            self._notes.setdefault(f"tick {number} read again a window later: {why}")
        return row

    def _note(self, row: TickRow, ticked: Tick, clock: Clock) -> None:
        for event in ticked.events:
            if event.warning and not event.message.startswith(CONSEQUENCES):
                self._why = event.message
        for called in row.hooks:
            if called.answered_by == "assumed":
                self._notes.setdefault(f"hook {called.name!r} was not called: {called.reason}")
        self._missed += clock.missed

    def waits_for(self, state: State) -> Who | None:
        """Whose pods are all that the next tick waits for."""
        if state.phase is Phase.FINALISING or (
            state.phase is Phase.PROMOTING and not self._canary.analysis.promotion_step
        ):
            return Who.PRIMARY
        started = self._last is not None and any(
            isinstance(deed, Scale) and deed.replicas for deed in self._last.actions
        )
        return Who.CANARY if started and state.phase is Phase.PROGRESSING else None

    def came_too_late(self, numbers: Iterable[int]) -> None:
        """Revisions that were to come at these ticks."""
        for number in numbers:
            if number > len(self.rows):
                self._notes.setdefault(f"the revision of tick {number} never came: it was over after {len(self.rows)}")

    def pods_in_trouble(self, notes: Iterable[str]) -> None:
        """Why pods did not come: Flagger says only that it waits for them. Of several the first is enough."""
        for note in [text for text in notes if text.startswith(NOT_STARTED)][:1]:
            self._notes.setdefault(note)

    def rehearsal(self, met: Met) -> Rehearsal:
        analysis = self._canary.analysis
        return Rehearsal(
            canary=self._canary.full_name,
            strategy=str(analysis.strategy),
            provider=self._canary.provider,
            revision=self.revision,
            ending=self.ending or "not finished",
            reason=self._reason,
            speed=self._speed,
            interval=analysis.interval,
            intervals=self._slot,
            ticks=tuple(self.rows),
            requests=met.requests,
            failed=met.failed,
            exposed=met.exposed,
            exposed_failed=met.exposed_failed,
            notes=(*self._notes, *_unanswered(met), *self._rested(), *self._late(), *self._hurried(), *_starved(met)),
            unproven=unproven(self.rows, self._canary.analysis.threshold) if self.ending == "rolled back" else "",
        )

    def _rested(self) -> Iterator[str]:
        """Rates are of our seconds: a compressed window holds fewer requests than one of production."""
        seen: dict[str, list[int]] = {}
        for one in (one for row in self.rows for one in row.metrics):
            seen.setdefault(one.name, []).append(one.requests)
        for name, counts in seen.items():
            many = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else str(min(counts))
            told = f"metric {name} rested on {many} requests a check"
            fewer = f"; where users are as busy, a check in production rests on {self._speed:g} times as many"
            yield told + (fewer if self._speed > 1 else "")

    def _late(self) -> Iterator[str]:
        if self._missed:
            slot = self._canary.analysis.interval / self._speed
            late = f"{plural(self._missed, 'tick')} went by while others took longer than {slot:.2g} s"
            yield f"{late}: rehearse at a lower speed"

    def _hurried(self) -> Iterator[str]:
        """A deadline is compressed like all else; what a process needs to start is not."""
        deadline = self._canary.deadline
        if self.ending == "rolled back" and " not ready" in self._reason and deadline / self._speed < UNHURRIED:
            told = f"progressDeadlineSeconds {deadline} is {deadline / self._speed:.2g} s here"
            yield f"{told}: if it was this machine that took long, rehearse at a lower speed"

    @property
    def _reason(self) -> str:
        if self.ending == "promoted":
            return ""
        if self.ending == "rolled back":
            stay = "; users stay on the new version" if self.rows[-1].routes == str(ALL_CANARY) else ""
            return (self._why or self._last_warning) + stay
        if self.ending is None:
            return "it was interrupted"
        last = self.rows[-1] if self.rows else None
        stuck = [code for code in (last.surprises if last else ()) if code in STUCK]
        if stuck:
            return f"it never will be: {SURPRISES[stuck[0]].says} ({stuck[0]})"
        if last is None:
            return "no tick came"
        where = f"still {last.phase} at weight {last.weight} after {len(self.rows)} ticks"
        return f"{where}: {self._why}" if self._why else where

    @property
    def _last_warning(self) -> str:
        warnings = [event for row in self.rows for event in row.events if event.startswith("Warning ")]
        return warnings[-1].removeprefix("Warning ") if warnings else ""


def _starved(met: Met) -> Iterator[str]:
    if met.starved >= TOLD:
        yield (
            f"for {met.starved:.2g} s the proxies had no CPU to spare: what users lost then, and how long they waited,"
            " may be this machine's doing"
        )


def unproven(rows: Sequence[TickRow], threshold: int) -> str:
    """Why a rollback proves nothing: without the failed checks that prove nothing there would have been none."""
    last = rows[-1]
    if last.unproven:  # a deadline: one tick is enough
        return last.unproven
    asked = any(hook.type == "rollback" and hook.ok for hook in last.hooks)
    if asked or len(rows) < 2 or rows[-2].failed_checks < threshold:
        return ""
    failing = list(_failing(rows))
    excused = [row for row in failing if row.unproven]
    if not excused or len(failing) - len(excused) >= threshold:
        return ""
    told = "; ".join(dict.fromkeys(row.unproven for row in excused[:MOST]))
    more = f"; and {len(excused) - MOST} more" if len(excused) > MOST else ""
    return f"{len(excused)} of {plural(len(failing), 'failed check')}: {told}{more}"


def _failing(rows: Sequence[TickRow]) -> Iterator[TickRow]:
    """The ticks whose check failed, of the analysis that was rolled back: another revision begins it anew."""
    counted: list[TickRow] = []
    before = 0
    for row in rows[:-1]:
        if row.failed_checks < before:
            counted.clear()
        elif row.failed_checks > before:
            counted.append(row)
        before = row.failed_checks
    yield from counted


def _unanswered(met: Met) -> Iterator[str]:
    if met.requests and met.failed == met.requests and not met.exposed:
        said = "no request of a user was answered, not by the version before either"
        yield f"{said}: is all that leads to it among the manifests? --traffic names other users"
