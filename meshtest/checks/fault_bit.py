"""Did the fault happen at all? A rollout that survived a fault which never bit has survived nothing."""

from __future__ import annotations

from typing import ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, plural
from meshtest.model.history import Event, History
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class FaultBit(BaseCheck):
    """Every fault of the window has left evidence: a counter above zero at its end."""

    name: ClassVar[str] = "fault_bit"

    def judge(self, history: History) -> Finding:
        ended = {_id(e): e for e in history.during("fault.end")}
        begun = {_id(e): e for e in history.of("fault.start")}
        past = {_id(e) for e in history.of("fault.end") if e.at < history.start}
        ids = [i for i in {**begun, **ended} if i not in past]
        evidence = {i: dict(ended[i].data.get("evidence") or {}) if i in ended else {} for i in ids}
        if not ids:
            return self.finding(Outcome.UNKNOWN, "no fault was injected", faults={})
        open_ones = [i for i in ids if i not in ended]
        idle = [i for i in ids if i in ended and not any(evidence[i].values())]
        if open_ones or idle:
            texts = [f"{listed(idle)} left no evidence of having bitten"] * bool(idle)
            texts += [f"{listed(open_ones)} is not over, so there is no evidence yet"] * bool(open_ones)
            return self.finding(Outcome.UNKNOWN, "; ".join(texts), faults=evidence)
        counters = listed(f"{i} ({sum(evidence[i].values())})" for i in ids)
        return self.finding(Outcome.PASS, f"{plural(len(ids), 'fault')} bit: {counters}", faults=evidence)


def _id(event: Event) -> str:
    return str(event.data.get("id") or event.subject)


fault_bit = FaultBit
