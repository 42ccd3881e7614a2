"""Failed requests told as a person would: which, why, after what."""

from __future__ import annotations

from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import seconds
from meshtest.model import tables
from meshtest.model.history import Event, History
from meshtest.model.request import Fate, Request

NO_ROUTE = frozenset(("NR", "NC"))
"""Envoy's flags for an answer of its own because no route, or no cluster, was there."""
CAUSES = ("config.", "pod.", "fault.", "step.")
"""Beginnings of the kinds of events that may be why requests fail."""


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

    @property
    def sent_at(self) -> float:
        return self.request.at + (self.request.late or 0.0)

    @property
    def timed_out(self) -> bool:
        """Nobody refused it: it waited in vain, for the client's patience or for that of a proxy."""
        if self.request.fate is Fate.TIMEOUT:
            return True
        return self.request.status == 504 and "UT" in self.flags


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


def cause(history: History, at: float) -> str:
    """`12 ms after config.ack 3`: the last thing that happened to the mesh before, or ""."""
    before = [e for e in history.events if e.at <= at and e.kind.startswith(CAUSES)]
    if not before:
        return ""
    event = max(before, key=lambda e: e.at)
    return f"{seconds(at - event.at)} after {event_label(event)}"


def event_label(event: Event) -> str:
    """`config.ack 3`, `pod.exit web-v1-1`, `step.start shift`."""
    what = event.data.get("number") or event.subject or event.data.get("name") or event.data.get("id") or ""
    return f"{event.kind} {what}".strip()
