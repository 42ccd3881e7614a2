"""Who served: versions that must have been reached, and versions that alone may have been."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed
from meshtest.model.history import History
from meshtest.model.sightings import sightings
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class Reached(BaseCheck):
    """`versions` must all have served, none but `only` may have; `exactly` is both."""

    name: ClassVar[str] = "reached"
    host: str
    versions: str | Iterable[str] = ()
    only: str | Iterable[str] = ()
    exactly: str | Iterable[str] = ()

    def __post_init__(self) -> None:
        for name in ("versions", "only", "exactly"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(sorted(value)))
        if not (self.versions or self.only or self.exactly):
            raise UsageError(f"reached({self.host}): name versions=..., only=... or exactly=...")

    def judge(self, history: History) -> Finding:
        seen = sightings(history, self.host)
        if not seen:
            return self.finding(Outcome.UNKNOWN, f"no request is known to have been served by {self.host}", served={})
        counts = seen.count(history.start, history.end)
        must, may = (*self.versions, *self.exactly), (*self.only, *self.exactly)
        missing = [version for version in must if not counts[version]]
        strangers = [f"{version} ({n})" for version, n in counts.items() if may and version not in may]
        served = listed(f"{version} {n}" for version, n in sorted(counts.items()))
        faults = [f"{listed(missing)} served none"] * bool(missing)
        faults += [f"{listed(strangers)} served but must not"] * bool(strangers)
        if faults:
            text = f"{self.host}: {' and '.join(faults)}; served: {served}"
            return self.finding(Outcome.FAIL, text, served=dict(counts))
        return self.finding(Outcome.PASS, f"{self.host} was served by {served}", served=dict(counts))


reached = Reached
