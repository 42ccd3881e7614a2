"""What the record holds of the time that a check has looked at: who was sent, how late, who was served how fast. Pure.

Not here: the value that the check has read (measures.py), what follows from both (doubt.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshtest.lib.dataclass import dataclass
from meshtest.mesh.canary.machine import CALM, Strain
from meshtest.model.history import History, Hop
from meshtest.model.request import Request

LATE = 1.0
"""Seconds by which a line may stand behind those of requests that ended after its own: each proxy writes for itself."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Ends now."""

    seconds: float
    """Of ours."""
    sent: int = 0
    """Requests that were due in it, and have ended."""
    late: float = 0.0
    """Seconds by which the latest of them left after its time: the load generator had no CPU."""
    routed: int = 0
    """That a proxy has sent to the canary."""
    served: tuple[tuple[float, int], ...] = ()
    """By the canary's pods: seconds and status of each request that ended in it, mirrored ones too."""
    others: float = 0.0
    """Seconds of the slowest request to any other pod."""
    starved: float = 0.0
    """Seconds in which the proxies had no CPU to spare."""
    strain: Strain = CALM

    @property
    def good(self) -> int:
        return sum(0 < status < 500 for _, status in self.served)


def window(
    history: History, now: float, seconds: float, *, workload: str, service: str, strain: Strain = CALM
) -> Window:
    """`workload`: `namespace/name` of the canary; `service`: `name.namespace` that leads to it."""
    since = now - seconds
    hops = list(_ended(history.hops, since, now))
    pods = {event.subject for event in history.of("pod.start") if event.data.get("workload") == workload}
    inbound = [hop for hop in hops if hop.direction == "inbound"]
    lates = list(_lates(history.requests, since, now))
    return Window(
        seconds=seconds,
        sent=len(lates),
        late=max(lates, default=0.0),
        routed=sum(hop.direction != "inbound" and f"|{service}." in hop.cluster for hop in hops),
        served=tuple((hop.seconds, hop.status) for hop in inbound if hop.server.pod in pods),
        others=max((hop.seconds for hop in inbound if hop.server.pod not in pods), default=0.0),
        starved=sum(float(event.data["seconds"]) for event in history.of("proxy.starved") if since < event.at <= now),
        strain=strain,
    )


def _lates(requests: Sequence[Request], since: float, until: float) -> Iterator[float]:
    """Of those that were due between; the last to end come last."""
    for request in reversed(requests):
        if request.ended_at < since:
            return
        if since < request.at <= until and request.late is not None:
            yield request.late


def _ended(hops: Sequence[Hop], since: float, until: float) -> Iterator[Hop]:
    """Those that ended between; read from the end, for they are the last of many."""
    for hop in reversed(hops):
        ended = hop.at + hop.seconds
        if ended < since - LATE:
            return
        if since < ended <= until:
            yield hop


def start_up(history: History, template: str) -> float:
    """Seconds that the slowest pod of any other template needed to be ready, from the change that asked for it."""
    asked = [event.at for event in history.of("config.apply")]
    started = {e.subject: e.at for e in history.of("pod.start") if e.data.get("template") != template}
    ready: dict[str, float] = {}
    for event in history.of("pod.ready"):
        ready.setdefault(event.subject, event.at)
    needed = (_since(asked, min(at, ready[pod]), ready[pod]) for pod, at in started.items() if pod in ready)
    return max(needed, default=0.0)


def _since(asked: Sequence[float], began: float, ready: float) -> float:
    """From the last change before it began; that it runs and that it is ready may be told in any order."""
    return ready - max((at for at in asked if at <= began), default=began)
