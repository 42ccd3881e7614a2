"""What a rehearsal of a Canary came to: a row a tick, what users met on the way. Data only; kept as `rehearsal.json` in
the run folder, for the report and for programs.

Two clocks: `at` is in seconds of the run, `after` in seconds as they would pass in production, `speed` times as many.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from meshtest.errors import RolloutFailed
from meshtest.lib.dataclass import dataclass
from meshtest.model.verdict import Finding, Outcome, Verdict

FILE = "rehearsal.json"

CHECK = "canary_proven"
"""The check that speaks of a rehearsal which proves nothing (checks/canary_proven.py)."""

Ending = Literal["promoted", "rolled back", "not finished"]


@dataclass(frozen=True, kw_only=True)
class Called:
    """A webhook call."""

    name: str
    type: str
    url: str
    ok: bool
    reason: str = ""
    """What Flagger would put into its event."""
    attempts: int = 1
    seconds: float = 0.0
    answered_by: Literal["url", "embedded", "assumed"] = "embedded"
    """`assumed`: nobody was asked, the text of `reason` says why."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A metric, as Flagger read it."""

    name: str
    value: float | None = None
    """None: no values found, or the query failed."""
    error: str = ""
    least: float | None = None
    most: float | None = None
    ok: bool = True
    requests: int = 0
    """How many of the canary's requests ended in the window: what the value rests on."""


@dataclass(frozen=True, kw_only=True)
class TickRow:
    """One tick."""

    number: int
    at: float
    after: float
    phase: str
    weight: int
    """As the status tells; not always what the routes say."""
    routes: str
    """`90/10`, `100/0 mirrored`; empty: there is no route."""
    failed_checks: int = 0
    iterations: int = 0
    events: tuple[str, ...] = ()
    hooks: tuple[Called, ...] = ()
    metrics: tuple[Measured, ...] = ()
    surprises: tuple[str, ...] = ()
    """Codes of rollouts/canary/surprises.py."""
    unproven: str = ""
    """Why the check that failed in it proves nothing against the version: what this machine did, with figures."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A Canary from the moment the new revision was seen to its end."""

    canary: str
    """`name.namespace`, as Flagger's events call it."""
    strategy: str
    provider: str
    revision: str
    """What was rolled out: `v2`."""
    ending: Ending
    reason: str = ""
    """Why it was rolled back, or what it was still waiting for."""
    speed: float
    interval: float
    """Seconds between ticks, in production."""
    intervals: int = 0
    """From the tick that saw the new revision to the last one."""
    ticks: tuple[TickRow, ...] = ()
    requests: int = 0
    """Of users, all of them."""
    failed: int = 0
    exposed: int = 0
    """Served by the new revision before it was promoted, or before it was gone again."""
    exposed_failed: int = 0
    notes: tuple[str, ...] = ()
    """What was not as in production: stand-ins, assumed answers, load tests that were translated."""
    unproven: str = ""
    """Why the rollback proves nothing against the version: this machine, or the compressed time, may have led to it.
    What Flagger would have done is still `ending`."""

    @property
    def production_seconds(self) -> float:
        return self.intervals * self.interval

    @property
    def promoted(self) -> bool:
        """RolloutFailed (UNKNOWN) where nothing is proven; so is `rolled_back`."""
        return self._proven == "promoted"

    @property
    def rolled_back(self) -> bool:
        return self._proven == "rolled back"

    @property
    def _proven(self) -> Ending:
        if self.unproven:
            raise RolloutFailed(Verdict((Finding(check=CHECK, outcome=Outcome.UNKNOWN, sentence=self.doubt),)))
        return self.ending

    @property
    def doubt(self) -> str:
        """Of one that proves nothing: why, and what to do."""
        told = f"{self.canary}: that {self.revision} was {self.ending} proves nothing about it: {self.unproven}"
        return f"{told}; {self.remedy}"

    @property
    def remedy(self) -> str:
        """What to do about that."""
        slower = f"rehearse at a lower speed than {self.speed:g}, " if self.speed > 1 else ""
        return f"{slower}send fewer loads, or give this machine more cores"

    def __str__(self) -> str:
        """One sentence: how it ended, when, why, and what users met."""
        how = f"{'is' if self.ending == 'not finished' else 'was'} {self.ending}"
        when = f"{'after' if self.ticks else 'in'} {self.intervals} interval{'s' * (self.intervals != 1)}"
        told = f"{self.canary}: {self.revision} {how} {when} ({_span(self.production_seconds)} in production)"
        why = f": {self.reason}" if self.reason and self.ending != "promoted" else ""
        doubt = f"; UNKNOWN, for {self.unproven}" if self.unproven else ""
        return f"{told}{why}{doubt}; {self._users()}"

    def _users(self) -> str:
        if not self.requests:
            return "no request of a user was sent"
        met = f"{self.exposed} served by {self.revision} before"
        bad = f", {self.exposed_failed} of those failed" if self.exposed_failed else ""
        return f"{self.requests} requests of users, {self.failed} failed; {met}{bad}"

    def as_data(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Rehearsal:
        """The inverse of as_data(); fields of a later version are left out."""
        return cls(
            **_known(cls, data) | {"ticks": tuple(map(_row, data.get("ticks", ()))), "notes": tuple(data["notes"])}
        )


def _span(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 5 min`"""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def _row(data: Mapping[str, Any]) -> TickRow:
    hooks = tuple(Called(**_known(Called, one)) for one in data["hooks"])
    metrics = tuple(Measured(**_known(Measured, one)) for one in data["metrics"])
    words = {name: tuple(data[name]) for name in ("events", "surprises")}
    return TickRow(**_known(TickRow, data) | {"hooks": hooks, "metrics": metrics, **words})


def _known(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in dataclasses.fields(kind)}
    return {name: value for name, value in data.items() if name in names}
