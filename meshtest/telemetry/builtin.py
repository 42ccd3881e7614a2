"""The builtin metrics, exact, from the record alone: no scrape, no bucket, no rate over a window that does not fit.

Three may report (Istio calls it `reporter`):

 user         the requests of the loads, as their clients saw them: what was not answered has failed as a 5xx has
 source       the proxies of callers and the gateways, towards the service: what they gave up on too
 destination  the proxies of the service's pods: only what reached a pod. Flagger's builtin queries see no more

A proxy's request has failed with a 5xx, as Istio's and Flagger's queries count; one that the other side cut has status
0, which is none. Windows are by the second at which a request began.

Not here: asking a Prometheus (mesh/promql.py), thresholds and their decisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Literal, NamedTuple, get_args

from meshtest.errors import UsageError
from meshtest.model.history import History, Hop, same_host
from meshtest.model.request import Request, Server
from meshtest.model.series import NoData, Number
from meshtest.model.sightings import CHOOSING
from meshtest.model.tables import quantile

Reporter = Literal["user", "source", "destination"]
REPORTERS: tuple[str, ...] = get_args(Reporter)


class Seen(NamedTuple):
    """One request, as a reporter saw it."""

    failed: bool
    seconds: float
    """Until its answer was complete; infinite where none came."""


def success_rate(history: History, service: str, version: str = "", reporter: Reporter = "user") -> Number:
    """Percent of the requests that did not fail, from 0 to 100."""
    seen = list(_seen(history, service, version, reporter))
    if not seen:
        return _nothing(history, service, version, reporter)
    return 100 * sum(not one.failed for one in seen) / len(seen)


def duration(history: History, service: str, p: float = 0.99, version: str = "", reporter: Reporter = "user") -> Number:
    """Seconds: the least that a share `p` of the requests did not exceed; infinite if that many got no answer."""
    if not 0 < p <= 1:
        raise UsageError(f"duration: p={p!r} is no quantile; 0.99 is the one that 99 % of the requests do not exceed")
    ordered = sorted(one.seconds for one in _seen(history, service, version, reporter))
    return quantile(ordered, p) if ordered else _nothing(history, service, version, reporter)


def count(history: History, service: str, version: str = "", reporter: Reporter = "user") -> int:
    """Requests: a number even where there is none."""
    return sum(1 for _ in _seen(history, service, version, reporter))


def window(history: History, seconds: float | None, now: float) -> History:
    """The last so many seconds before `now`; all of it if None."""
    if seconds is not None and seconds <= 0:
        raise UsageError(f"seconds={seconds!r}: a window is longer than nothing")
    return history if seconds is None else history.between(max(now - seconds, 0.0), inf)


def _seen(history: History, service: str, version: str, reporter: Reporter) -> Iterator[Seen]:
    if reporter not in REPORTERS:
        raise UsageError(f"reporter={reporter!r} is none of {', '.join(REPORTERS)}")
    if reporter == "user":
        return _by_users(history, service, version)
    return _by_proxies(history, service, version, ("inbound",) if reporter == "destination" else CHOOSING)


def _by_users(history: History, service: str, version: str) -> Iterator[Seen]:
    meant = _Meant(history)
    for request in history.requests:
        server = meant.server_of(request)
        if same_host(server.service, service) and version in ("", server.version):
            answered = request.answered and request.latency is not None
            yield Seen(request.failed, request.latency or 0.0 if answered else inf)


def _by_proxies(history: History, service: str, version: str, directions: tuple[str, ...]) -> Iterator[Seen]:
    for hop in history.hops:
        if hop.direction in directions and history.start <= hop.at < history.end:
            server = hop.server if hop.server.service else _of_cluster(hop)
            if same_host(server.service, service) and version in ("", server.version):
                yield Seen(hop.status >= 500, hop.seconds if hop.status else inf)


class _Meant:
    """Whom a request was for, also where no one answered: by the proxies' word, else by what its load asks for."""

    def __init__(self, history: History) -> None:
        self._history = history
        starts = history.of("load.start")
        self._hosts = {event.subject: _hosts(event.data) for event in starts}

    def server_of(self, request: Request) -> Server:
        if request.server.service:
            return request.server
        hops = [hop for hop in self._history.hops_of(request.id) if hop.direction in CHOOSING]
        if hops:
            return hops[-1].server if hops[-1].server.service else _of_cluster(hops[-1])
        hosts = self._hosts.get(request.load, ())
        return Server(hosts[request.target] if request.target < len(hosts) else "")


def _of_cluster(hop: Hop) -> Server:
    """No endpoint was chosen: the host that was asked for. Of its version nothing is known."""
    return Server(hop.authority.partition(":")[0])


def _hosts(told: object) -> tuple[str, ...]:
    """Of the targets of a load, from its `load.start`."""
    if not isinstance(told, dict):
        return ()
    targets = [one.get("request", "") for one in told.get("targets", ())] or [told.get("request", "")]
    return tuple(_host(str(target)) for target in targets)


def _host(target: str) -> str:
    """`GET http://web:80/path` -> `web`"""
    return target.rpartition("://")[2].partition("/")[0].partition(":")[0]


def _nothing(history: History, service: str, version: str, reporter: Reporter) -> NoData:
    who = f"{service}@{version}" if version else service
    window = "" if (history.start, history.end) == (0.0, inf) else f" since second {history.start:.1f}"
    elsewhere = [f"{n} by {other}" for other in REPORTERS if other != reporter and (n := _number(history, who, other))]
    also = f" ({', '.join(elsewhere)})" if elsewhere else ""
    said = {
        "user": f"no request of a load was for {who}",
        "source": f"no caller's proxy sent a request to {who}",
        "destination": f"no request reached a pod of {who}",
    }[reporter]
    return NoData(f"{said}{window}{also}")


def _number(history: History, who: str, reporter: str) -> int:
    service, _, version = who.partition("@")
    return count(history, service, version, reporter)  # type: ignore[arg-type]
