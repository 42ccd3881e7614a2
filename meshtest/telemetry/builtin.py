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

from collections.abc import Callable
from itertools import compress
from math import inf
from typing import Literal, NamedTuple, get_args

from meshtest.errors import UsageError
from meshtest.model.history import History, Hop, same_host
from meshtest.model.record import TICK_NS
from meshtest.model.request import Request, Server
from meshtest.model.series import NoData, Number
from meshtest.model.sightings import CHOOSING
from meshtest.model.tables import quantile

Reporter = Literal["user", "source", "destination"]
REPORTERS: tuple[Reporter, ...] = get_args(Reporter)

Wanted = Callable[[Server], bool]
"""Whether it is the service, and the version, in question."""


class Seen(NamedTuple):
    """Requests, as a reporter saw them."""

    total: int
    failed: int
    seconds: Callable[[], list[float]]
    """Of each, in any order, until its answer was complete; infinite where none came. Worked out when it is asked."""


def success_rate(history: History, service: str, version: str = "", reporter: Reporter = "user") -> Number:
    """Percent of the requests that did not fail, from 0 to 100."""
    seen = _seen(history, service, version, reporter)
    if not seen.total:
        return _nothing(history, service, version, reporter)
    return 100 * (seen.total - seen.failed) / seen.total


def duration(history: History, service: str, p: float = 0.99, version: str = "", reporter: Reporter = "user") -> Number:
    """Seconds: the least that a share `p` of the requests did not exceed; infinite if that many got no answer."""
    if not 0 < p <= 1:
        raise UsageError(f"duration: p={p!r} is no quantile; 0.99 is the one that 99 % of the requests do not exceed")
    seen = _seen(history, service, version, reporter)
    return quantile(sorted(seen.seconds()), p) if seen.total else _nothing(history, service, version, reporter)


def count(history: History, service: str, version: str = "", reporter: Reporter = "user") -> int:
    """Requests: a number even where there is none."""
    return _seen(history, service, version, reporter).total


def window(history: History, seconds: float | None, now: float) -> History:
    """The last so many seconds before `now`; all of it if None."""
    if seconds is not None and seconds <= 0:
        raise UsageError(f"seconds={seconds!r}: a window is longer than nothing")
    return history if seconds is None else history.between(max(now - seconds, 0.0), inf)


def _seen(history: History, service: str, version: str, reporter: Reporter) -> Seen:
    if reporter not in REPORTERS:
        raise UsageError(f"reporter={reporter!r} is none of {', '.join(REPORTERS)}")

    def wanted(server: Server) -> bool:
        return same_host(server.service, service) and version in ("", server.version)

    if reporter == "user":
        return _by_users(history, wanted)
    return _by_proxies(history, wanted, ("inbound",) if reporter == "destination" else CHOOSING)


def _by_users(history: History, wanted: Wanted) -> Seen:
    """By columns, as there may be a million; only those that nobody is known to have served are looked at singly."""
    requests = history.requests
    serves = [wanted(server) for _, server in requests.origins]
    unserved = requests.where(lambda kind: not requests.origins[kind.origin][1].service)
    meant = _Meant(history) if unserved else None
    strays = [r for i in unserved if meant and wanted(meant.server_of(r := requests[i]))]
    counts = {kind: n for kind, n in requests.tally().items() if serves[kind.origin]}

    def seconds() -> list[float]:
        answered = requests.among(lambda kind: serves[kind.origin] and not kind.fate)
        lost = sum(n for kind, n in counts.items() if kind.fate) + sum(not r.answered for r in strays)
        times = [ticks * TICK_NS / 1e9 for ticks in compress(requests.done, answered)]
        return times + [r.latency or 0.0 for r in strays if r.answered] + [inf] * lost

    failed = sum(n for kind, n in counts.items() if kind.failed) + sum(r.failed for r in strays)
    return Seen(sum(counts.values()) + len(strays), failed, seconds)


def _by_proxies(history: History, wanted: Wanted, directions: tuple[str, ...]) -> Seen:
    hops = [
        hop
        for hop in history.hops
        if hop.direction in directions
        and history.start <= hop.at < history.end
        and wanted(hop.server if hop.server.service else _asked_for(hop))
    ]
    failed = sum(hop.status >= 500 for hop in hops)
    return Seen(len(hops), failed, lambda: [hop.seconds if hop.status else inf for hop in hops])


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
            return hops[-1].server if hops[-1].server.service else _asked_for(hops[-1])
        hosts = self._hosts.get(request.load, ())
        return Server(hosts[request.target] if request.target < len(hosts) else "")


def _asked_for(hop: Hop) -> Server:
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


def _number(history: History, who: str, reporter: Reporter) -> int:
    service, _, version = who.partition("@")
    return count(history, service, version, reporter)
