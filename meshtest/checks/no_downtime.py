"""Did any user notice? Every request must have been answered, below 500, by someone a route led to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.outages import Failure, Outage, cause, failures, outages
from meshtest.lib.figures import seconds
from meshtest.lib.words import plural
from meshtest.model.history import History
from meshtest.model.record import NOT_SENT
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
        not_sent = requests.fates.count(NOT_SENT)
        if len(requests) == not_sent:
            return self.finding(Outcome.UNKNOWN, "no request was sent; was a load running?", requests=0)
        failed = failures(history)
        clusters = outages(requests, failed)
        figures = self._figures(history, failed, clusters) | {"not_sent": not_sent}
        if len(failed) > self.budget:
            return self.finding(Outcome.FAIL, self._failed(history, failed, clusters), **figures)
        if not_sent:
            text = f"{plural(not_sent, 'request')} did not leave: the load generator could not keep up"
            return self.finding(Outcome.UNKNOWN, text, **figures)
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
            "largest_gap": largest_gap(history.requests),
            "retried": len(attempts) - attempts.count(0) - attempts.count(1),
            "outages": [outage.as_data() for outage in clusters],
            "failures": [_told(history, failure) for failure in failed[:LISTED]],
        }


def _told(history: History, failure: Failure) -> dict[str, Any]:
    request = failure.request
    return {
        "id": request.id, "at": request.at, "kind": failure.kind, "version": request.version,
        "attempts": request.attempts, "after": cause(history, request.at),
    }  # fmt: skip
