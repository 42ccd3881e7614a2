"""What users met while a Canary was rehearsed: lost by the mesh on the way, or failed by the new version itself.

The former is what a rollout must never do; the latter is what it is there to find out, and is told beside it. Which
pods are of which revision is in the history (`canary.revision`, `pod.start`), so is which loads are users
(`canary.start`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.failures import Failure, failures
from meshtest.checks.no_downtime import NoDowntime
from meshtest.checks.overload import starved
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import plural
from meshtest.model.history import Event, History
from meshtest.model.verdict import Finding, Outcome

ENTERED = ("outbound", "gateway")


@dataclass(frozen=True, kw_only=True)
class CanaryUsers(BaseCheck):
    """No user lost a request during a rehearsal, but by a fault of the new version."""

    name: ClassVar[str] = "canary_users"

    def judge(self, history: History) -> Finding:
        starts = history.of("canary.start")
        if not starts:
            return self.finding(Outcome.UNKNOWN, "no Canary was rehearsed", requests=0)
        seen = _of_users(history, {load for start in starts for load in start.data["users"]})
        new = _pods(history, starts[0].data["before"], float("inf"))
        own = {failure.request.id for failure in failures(seen) if _server(seen, failure) in new}
        left = [i for i, name in enumerate(seen.requests.ids()) if name not in own]
        found = NoDowntime().judge(replace(seen, requests=seen.requests.pick(left)))
        told = f"; {plural(len(own), 'request')} failed by the new version itself, not counted here" if own else ""
        figures = {**found.figures, "failed_by_new_version": len(own)}
        return self.finding(found.outcome, found.sentence + told, **figures)


@dataclass(frozen=True, kw_only=True)
class Met:
    """Of one rehearsal."""

    requests: int
    failed: int
    exposed: int
    """Served by a new revision before it was promoted."""
    exposed_failed: int
    starved: float = 0.0
    """Seconds in which the proxies had no CPU to spare: what is lost then may be this machine's."""


def met_by_users(history: History, start: Event) -> Met:
    """`start`: the event canary.start of the rehearsal."""
    until = _next(history, start, "canary.end", "canary.start")
    promoted = _next(history, start, "canary.promoted")
    new = _pods(history, start.data["before"], until)
    users = set(start.data["users"])
    seen = _of_users(history.between(start.at), users)
    before = _of_users(history.between(start.at, min(promoted, until)), users)
    failed = failures(seen)
    early = [one for one in failed if one.sent_at < promoted and _server(seen, one) in new]
    answered = sum(
        count
        for kind, count in before.requests.tally().items()
        if before.requests.origins[kind.origin][1].pod in new and not kind.failed
    )
    return Met(
        requests=len(seen.requests),
        failed=len(failed),
        exposed=answered + len(early),
        exposed_failed=len(early),
        starved=sum(end - begin for begin, end in starved(history.between(start.at))),
    )


def _of_users(history: History, users: set[str]) -> History:
    requests = history.requests
    wanted = {i for i, (load, _) in enumerate(requests.origins) if load in users}
    return replace(history, requests=requests.pick(requests.where(lambda kind: kind.origin in wanted)))


def _next(history: History, start: Event, *kinds: str) -> float:
    return min((e.at for e in history.of(*kinds) if e.at > start.at), default=float("inf"))


def _pods(history: History, before: str, until: float) -> set[str]:
    """Pods of another revision than the one that was in place before."""
    revisions: Mapping[str, str] = {
        e.data["template"]: e.data["revision"] for e in history.of("canary.revision") if e.at <= until
    }
    return {
        e.subject
        for e in history.of("pod.start")
        if revisions.get(e.data.get("template", ""), before) != before and e.at <= until
    }


def _server(history: History, failure: Failure) -> str:
    """The pod that was to serve it: as it told itself, else as the proxy chose it."""
    if failure.request.server.pod:
        return failure.request.server.pod
    hops = [hop for hop in history.hops_of(failure.request.id) if hop.direction in ENTERED]
    return hops[0].server.pod if hops else ""


canary_users = CanaryUsers
