"""Did any user notice? Every request must have been answered, below 500, by someone a route led to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.outages import Failure, Outage, cause, failures, outages
from meshtest.lib.figures import seconds
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.record import NOT_SENT
from meshtest.model.request import Requests
from meshtest.model.tables import largest_gap
from meshtest.model.verdict import Finding, Outcome

LISTED = 20
"""Failures listed one by one in the figures; all are counted."""


@dataclass(frozen=True, kw_only=True)
class NoDowntime(BaseCheck):
    """No request failed. The finding carries its own limit: the largest gap between sends, so the shortest outage
    that is sure to be seen. Retries by the proxy that users did not notice are counted in the figures."""

    name: ClassVar[str] = "no_downtime"
    budget: int = 0
    """Failed requests that are accepted."""

    def judge(self, history: History) -> Finding:
        requests = history.requests
        not_sent = open_loop(history).fates.count(NOT_SENT)  # of a closed loop: cut by the end of the load
        if len(requests) == requests.fates.count(NOT_SENT):
            return self.finding(Outcome.UNKNOWN, "no request was sent; was a load running?", requests=0)
        failed = failures(history)
        clusters = outages(requests, failed)
        figures = self._figures(history, failed, clusters) | {"not_sent": not_sent}
        if len(failed) > self.budget:
            return self.finding(Outcome.FAIL, self._failed(history, failed, clusters), **figures)
        if not_sent:
            text = f"{plural(not_sent, 'request')} did not leave: the load generator could not keep up"
            return self.finding(Outcome.UNKNOWN, text, **figures)
        if not len(open_loop(history)):
            engines = listed(sorted({*closed_loops(history).values()}))
            text = f"all requests came from {engines}, whose users wait for an answer and send nothing meanwhile"
            remedy = 'run a load at an even rate beside it: mesh.load("GET http://...", rps=200)'
            return self.finding(Outcome.UNKNOWN, f"{text}: no evidence that there was no outage; {remedy}", **figures)
        within = f", {len(failed)} failed within the budget of {self.budget}" if failed else ""
        text = f"{len(requests) - len(failed)} of {plural(len(requests), 'request')} answered{within}"
        limit = f"no outage longer than {seconds(figures['largest_gap'])} can have been missed"
        return self.finding(Outcome.PASS, f"{text}; {limit}", **figures)

    def _failed(self, history: History, failed: Sequence[Failure], clusters: Sequence[Outage]) -> str:
        first = failed[0]
        longest = max(clusters, key=lambda o: o.seconds)
        after = cause(history, first.request.at)
        where = f"first at t={first.request.at:.3f}s ({first.kind}{', ' + after if after else ''})"
        length = f"longest {seconds(longest.seconds)}"
        return (
            f"{len(failed)} of {len(history.requests)} failed in {plural(len(clusters), 'outage')}, {length}, {where}"
        )

    def _figures(self, history: History, failed: Sequence[Failure], clusters: Sequence[Outage]) -> dict[str, Any]:
        attempts = history.requests.attempts
        return {
            "requests": len(history.requests),
            "failed": len(failed),
            "largest_gap": largest_gap(open_loop(history)),
            "retried": len(attempts) - attempts.count(0) - attempts.count(1),
            "outages": [outage.as_data() for outage in clusters],
            "failures": [_told(history, failure) for failure in failed[:LISTED]],
        }


def closed_loops(history: History) -> dict[str, str]:
    """Loads whose users send nothing while they wait for an answer, and their engines."""
    return {e.data["load"]: e.data["engine"] for e in history.of("load.start") if e.data.get("open_loop") is False}


def open_loop(history: History) -> Requests:
    """Requests that were sent whatever became of those before: only these can show that nothing happened."""
    closed, requests = closed_loops(history), history.requests
    if not closed:
        return requests
    wanted = {origin for origin, (load, _) in enumerate(requests.origins) if load not in closed}
    return requests.pick(i for i, origin in enumerate(requests.served) if origin in wanted)


def _told(history: History, failure: Failure) -> dict[str, Any]:
    request = failure.request
    return {
        "id": request.id, "at": request.at, "kind": failure.kind, "version": request.version,
        "attempts": request.attempts, "after": cause(history, request.at),
    }  # fmt: skip
