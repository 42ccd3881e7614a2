"""Failed requests told as a person would: which, why, when, after what; and how they cluster into outages."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshtest.lib.figures import seconds
from meshtest.model import tables
from meshtest.model.history import Event, History
from meshtest.model.request import Fate, Request, Requests

JOIN = 0.1
"""Seconds; failures nearer than this (or than five sends) are one outage: a pod that fails one request in three is."""
NO_ROUTE = frozenset(("NR", "NC"))
"""Envoy's flags for an answer of its own because no route, or no cluster, was there."""
_CAUSES = ("config.", "pod.", "fault.", "step.")


@dataclass(frozen=True)
class Failure:
    """A failed request and what the proxies said about it."""

    position: int
    request: Request
    flags: tuple[str, ...]
    culprit: str = ""
    """Who failed first where that was not the service the user called: `reviews/v2 503`."""

    @property
    def kind(self) -> str:
        """`503 UF`, `reset`, `404 NR`, `502 by reviews/v2 503`."""
        word = str(self.request.status) if self.request.answered else self.request.fate.name.lower()
        return " ".join((word, *self.flags, *([f"by {self.culprit}"] if self.culprit else [])))


@dataclass(frozen=True)
class Outage:
    """Failures that belong together, in order of time."""

    failures: Sequence[Failure]
    seconds: float
    """Best estimate: first to last failure, and one period of the load."""
    at_most: float
    """From the last good send before it to the first after it."""

    @property
    def start(self) -> float:
        return self.failures[0].request.at

    @property
    def kind(self) -> str:
        """What most of its failures are."""
        return Counter(f.kind for f in self.failures).most_common(1)[0][0]

    def as_data(self) -> dict[str, Any]:
        kinds = dict(Counter(f.kind for f in self.failures).most_common())
        return {
            "start": self.start, "seconds": self.seconds, "at_most": self.at_most,
            "failed": len(self.failures), "kinds": kinds,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"t={self.start:.3f}s for {seconds(self.seconds)}: {len(self.failures)} failed ({self.kind})"


def failures(history: History) -> list[Failure]:
    """Requests that a user would call failed: no answer, 5xx, or 404 because the proxy knew no route."""
    requests = history.requests
    lost = set(tables.failures(requests))
    strange = requests.where(lambda kind: kind.status == 404) if len(history.hops) else []
    lost.update(i for i in strange if _routeless(history, requests[i]))
    return [_failure(history, i) for i in sorted(lost) if requests.fates[i] != Fate.NOT_SENT]


def _failure(history: History, position: int) -> Failure:
    request = history.requests[position]
    return Failure(position, request, flags(history, request.id), culprit(history, request))


def culprit(history: History, request: Request) -> str:
    """The failed hop furthest down the call graph, if it is not that of the service which the user called."""
    failed = [hop for hop in history.hops_of(request.id) if hop.status >= 500 or hop.status == 0]
    deepest = max(failed, key=lambda hop: hop.at, default=None)
    if deepest is None or not deepest.server.service or deepest.server.service == request.server.service:
        return ""
    return f"{deepest.server.service}/{deepest.server.version} {deepest.status}"


def flags(history: History, request_id: str) -> tuple[str, ...]:
    """Response flags of all hops of a request, each once."""
    found = (flag for hop in history.hops_of(request_id) for flag in hop.flags.split(",") if flag not in ("-", ""))
    return tuple(dict.fromkeys(found))


def _routeless(history: History, request: Request) -> bool:
    return not NO_ROUTE.isdisjoint(flags(history, request.id))


def outages(requests: Requests, failed: Sequence[Failure]) -> list[Outage]:
    """Clusters of failures."""
    if not failed:
        return []
    period = _period(requests)
    join = max(JOIN, 5 * period)
    groups = [[failed[0]]]
    for before, failure in itertools.pairwise(failed):
        if failure.request.at - before.request.at > join:
            groups.append([])
        groups[-1].append(failure)
    return [_outage(requests, group, period) for group in groups]


def _period(requests: Requests) -> float:
    """Mean time between sends."""
    return (requests[-1].at - requests[0].at) / (len(requests) - 1) if len(requests) > 1 else 0.0


def _outage(requests: Requests, group: list[Failure], period: float) -> Outage:
    first, last = group[0], group[-1]
    before = requests[first.position - 1].at if first.position else first.request.at
    after = requests[last.position + 1].at if last.position + 1 < len(requests) else last.request.at
    return Outage(group, last.request.at - first.request.at + period, after - before)


def cause(history: History, at: float) -> str:
    """`12 ms after config.ack 3`: the last thing that happened to the mesh before, or ""."""
    before = [e for e in history.events if e.at <= at and e.kind.startswith(_CAUSES)]
    if not before:
        return ""
    event = max(before, key=lambda e: e.at)
    return f"{seconds(at - event.at)} after {event_label(event)}"


def event_label(event: Event) -> str:
    """`config.ack 3`, `pod.exit web-v1-1`, `step.start shift`."""
    what = event.data.get("number") or event.subject or event.data.get("name") or event.data.get("id") or ""
    return f"{event.kind} {what}".strip()
