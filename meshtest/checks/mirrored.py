"""Did the shadow see the traffic, and users never the shadow?

caller ── outbound hop: chose v1 ──► v1 inbound hop      the answer that the user gets
       └───────────── copy ────────► v2 inbound hop      the shadow; its answer is thrown away
"""

from __future__ import annotations

from typing import ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.share import Share, compare
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent
from meshtest.lib.words import plural
from meshtest.model.history import History, Hop, same_host
from meshtest.model.sightings import is_choice
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class Mirrored(BaseCheck):
    """`percent` of the requests of `host` were copied to version `to`, and none was answered by it."""

    name: ClassVar[str] = "mirrored"
    host: str
    to: str
    percent: float = 100.0
    error: float = 0.001

    def judge(self, history: History) -> Finding:
        if not history.hops:
            return self.finding(Outcome.UNKNOWN, "no hops are recorded; a shadow leaves no other trace")
        ids = set(history.requests.ids())
        answered = self._answered_by_shadow(history, ids)
        if answered:
            text = f"{self.to} answered {plural(answered, 'request')} of users; a shadow's answers must be thrown away"
            return self.finding(Outcome.FAIL, text, answered_by_shadow=answered)
        originals = {hop.request_id for hop in history.hops if hop.request_id in ids and self._is_original(hop)}
        shadows = {h.request_id for h in history.hops if h.request_id in originals and self._is_shadow(h)}
        if not originals:
            return self.finding(Outcome.UNKNOWN, f"no request of {self.host} passed a proxy in this time", originals=0)
        answer = compare(Share(len(shadows), len(originals)), self.percent / 100, self.error)
        text = f"{self.to} got copies of {answer.reason}"
        return self.finding(
            answer.outcome, text, originals=len(originals), shadows=len(shadows), p_value=answer.p_value,
            intended=percent(self.percent / 100),
        )  # fmt: skip

    def _answered_by_shadow(self, history: History, ids: set[str]) -> int:
        chosen = {h.request_id for h in history.hops if h.request_id in ids and is_choice(h, self.host)
                  and h.server.version == self.to}  # fmt: skip
        served = {r.id for r in history.requests if r.version == self.to and same_host(r.server.service, self.host)}
        return len(chosen | served)

    def _is_original(self, hop: Hop) -> bool:
        """Retried requests do not count: an earlier try may have been at the shadow's version."""
        return is_choice(hop, self.host) and hop.attempts <= 1

    def _is_shadow(self, hop: Hop) -> bool:
        return hop.direction == "inbound" and hop.server.version == self.to and same_host(hop.server.service, self.host)


mirrored = Mirrored
