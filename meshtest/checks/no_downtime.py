"""Did any user notice? Every request must have been answered, below 500, by someone a route led to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.budget import Amount, Budget
from meshtest.checks.certificate import certificate
from meshtest.checks.failures import Failure, cause, failures
from meshtest.checks.instruments import blind
from meshtest.checks.masked import MaskedOutage, masked_outages, sentence, summed
from meshtest.checks.outages import Outage, clustered
from meshtest.checks.overload import excused, saturated
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import seconds
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.record import NOT_SENT
from meshtest.model.verdict import Finding, Outcome

LISTED = 20
"""Failures listed one by one in the figures; all are counted. So are outages."""


@dataclass(frozen=True, kw_only=True)
class NoDowntime(BaseCheck):
    """No request failed. The finding carries its own limit, what it could have missed at most (`certificate`).

    Where the load generator was the bottleneck, or the proxies had no CPU left, time-outs prove nothing and neither
    does their absence: UNKNOWN. Outages that retries hid are told, and fail only if `masked` sets a budget for them.
    """

    name: ClassVar[str] = "no_downtime"
    budget: Amount = 0
    """What is accepted: failed requests (3), a share of all ("0.1%"), or the length of all outages ("50ms")."""
    masked: Amount | None = None
    """The same for requests that only a retry saved; None: no limit."""

    def __post_init__(self) -> None:
        Budget.parse(self.budget)
        if self.masked is not None:
            Budget.parse(self.masked, "masked")

    def judge(self, history: History) -> Finding:
        seen = _Seen(history)
        if not seen.sent:
            return self.finding(Outcome.UNKNOWN, "no request was sent; was a load running?", requests=0)
        outcome, text = self._answer(seen)
        return self.finding(outcome, text, **seen.figures())

    def _answer(self, seen: _Seen) -> tuple[Outcome, str]:
        budget = Budget.parse(self.budget)
        blamed, reason = excused(seen.history, seen.failed)
        excuse = {failure.position for failure in blamed}
        left = [failure for failure in seen.failed if failure.position not in excuse] if blamed else seen.failed
        outcome = seen.within(budget, seen.failed)
        if blamed and outcome is Outcome.FAIL and seen.within(budget, left) is not Outcome.FAIL:
            text = f"{plural(len(blamed), 'request')} timed out, which proves nothing: {reason}"
            return Outcome.UNKNOWN, text
        if outcome is Outcome.FAIL:
            return outcome, seen.how_failed()
        if outcome is Outcome.UNKNOWN:
            return outcome, budget.undecided([outage.window for outage in seen.outages])
        return self._masked(seen) or _held(seen) or (Outcome.PASS, seen.how_passed(budget))

    def _masked(self, seen: _Seen) -> tuple[Outcome, str] | None:
        """If a budget for masked outages is not kept."""
        if self.masked is None or not seen.masked:
            return None
        budget = Budget.parse(self.masked, "masked")
        windows = [each.window for each in seen.masked]
        outcome = budget.judge(sum(len(window.positions) for window in windows), seen.sent, windows)
        if outcome is Outcome.PASS:
            return None
        return outcome, sentence(seen.masked) if outcome is Outcome.FAIL else budget.undecided(windows)


def _held(seen: _Seen) -> tuple[Outcome, str] | None:
    """If nothing good can be said although nothing bad was seen."""
    engines = blind(seen.history)
    if engines and set(seen.history.requests.loads) <= set(engines):
        text = f"all requests came from {listed(sorted({*engines.values()}))}, whose users wait for an answer or resend"
        remedy = 'run a load at an even rate beside it: mesh.load("GET http://...", rps=200)'
        return Outcome.UNKNOWN, f"{text}: no evidence that there was no outage; {remedy}"
    if seen.not_sent:
        text = f"{plural(seen.not_sent, 'request')} did not leave: the load generator could not keep up"
        return Outcome.UNKNOWN, text
    why = saturated(seen.history)
    return (Outcome.UNKNOWN, why) if why else None


class _Seen:
    """What the history holds, looked at once."""

    def __init__(self, history: History) -> None:
        self.history = history
        requests, engines = history.requests, blind(history)
        self.sent = len(requests) - requests.fates.count(NOT_SENT)
        self.not_sent = sum(
            count
            for kind, count in requests.tally().items()
            if kind.fate == NOT_SENT and requests.origins[kind.origin][0] not in engines
        )
        """Of a closed loop it is what the end of the load cut."""
        self.failed: Sequence[Failure] = failures(history) if self.sent else []
        self.outages: Sequence[Outage] = clustered(history, self.failed)
        self.masked: Sequence[MaskedOutage] = masked_outages(history) if self.sent else []
        self.certificate = certificate(history)

    def within(self, budget: Budget, failed: Sequence[Failure]) -> Outcome:
        found = self.outages if failed is self.failed else clustered(self.history, failed)
        return budget.judge(len(failed), self.sent, [outage.window for outage in found])

    def how_failed(self) -> str:
        first = self.failed[0]
        longest = max(self.outages, key=lambda o: o.seconds)
        after = cause(self.history, first.request.at)
        where = f"first at t={first.request.at:.3f}s ({first.kind}{', ' + after if after else ''})"
        length = f"longest {seconds(longest.seconds)} (at most {seconds(longest.at_most)})"
        total = len(self.history.requests)
        return f"{len(self.failed)} of {total} failed in {plural(self._places(), 'outage')}, {length}, {where}"

    def _places(self) -> int:
        """Outages, those that several loads saw at the same time counted once."""
        count, reached = 0, float("-inf")
        for window in sorted((outage.window for outage in self.outages), key=lambda w: w.earliest):
            count += window.earliest >= reached
            reached = max(reached, window.latest)
        return count

    def how_passed(self, budget: Budget) -> str:
        total = len(self.history.requests)
        within = f", {len(self.failed)} failed within the budget of {budget}" if self.failed else ""
        saved = f"; {sentence(self.masked)}" if self.masked else ""
        text = f"{total - len(self.failed)} of {plural(total, 'request')} answered{within}"
        return f"{text}; {self.certificate}{saved}"

    def figures(self) -> dict[str, Any]:
        windows = [outage.window for outage in self.outages]
        attempts = self.history.requests.attempts
        gap = self.certificate.as_data()["shares"]["1"]
        return {
            "requests": len(self.history.requests),
            "n": self.sent,
            "not_sent": self.not_sent,
            "failed": len(self.failed),
            "effect": sum(window.seconds for window in windows),
            "interval": [sum(w.at_least for w in windows), sum(w.at_most for w in windows)],
            "largest_gap": gap or 0.0,
            "certificate": self.certificate.as_data(),
            "retried": len(attempts) - attempts.count(0) - attempts.count(1),
            "outages": [outage.as_data() for outage in self.outages[:LISTED]],
            "masked": summed(self.masked) | {"windows": [each.as_data() for each in self.masked[:LISTED]]},
            "failures": [_told(self.history, failure) for failure in self.failed[:LISTED]],
        }


def _told(history: History, failure: Failure) -> dict[str, Any]:
    request = failure.request
    return {
        "id": request.id, "at": request.at, "kind": failure.kind, "version": request.version,
        "attempts": request.attempts, "after": cause(history, request.at),
    }  # fmt: skip


no_downtime = NoDowntime
