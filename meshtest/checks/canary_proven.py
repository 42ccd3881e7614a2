"""Is what a rehearsal of a Canary came to the version's doing, or may it be that of the machine which rehearsed it?

The evidence is gathered with each tick (mesh/canary/doubt.py), for some of it is nowhere but in the kernel.
"""

from __future__ import annotations

from typing import ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import plural
from meshtest.model.history import History
from meshtest.model.rehearsal import CHECK
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class CanaryProven(BaseCheck):
    """No version was rolled back for what this machine did."""

    name: ClassVar[str] = CHECK

    def judge(self, history: History) -> Finding:
        ends = history.of("canary.end")
        doubts = [str(event.data["doubt"]) for event in ends if event.data.get("doubt")]
        figures = {"rehearsals": len(ends), "unproven": len(doubts)}
        if doubts:
            return self.finding(Outcome.UNKNOWN, "; ".join(doubts), **figures)
        if not ends:
            return self.finding(Outcome.UNKNOWN, "no Canary was rehearsed to its end", **figures)
        return self.finding(Outcome.PASS, f"nothing speaks against {plural(len(ends), 'rehearsal')}", **figures)


canary_proven = CanaryProven
