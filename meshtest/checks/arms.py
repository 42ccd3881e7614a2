"""What each version of a host did, request by request, in order of sending: what canaries and trends are judged by.

By the requests themselves if the entry proxy chose among the versions, else by the hops of whoever called the host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import inf

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.model.history import History, same_host
from meshtest.model.record import NEVER, NOT_SENT, TICK_NS
from meshtest.model.request import Requests
from meshtest.model.settled import settled_in
from meshtest.model.sightings import is_choice


@dataclass(frozen=True)
class Arms:
    """Columns, one entry a request."""

    times: Sequence[float]
    """Seconds of the run at which it was sent."""
    versions: Sequence[str]
    failed: Sequence[bool]
    """Not answered, or with 5xx."""
    seconds: Sequence[float]
    """Until its answer; infinite without one."""
    unknown: int = 0
    """Failed requests of which nobody knows which version they were for."""

    def of(self, version: str) -> list[float]:
        """Its latencies, in order of sending."""
        return [value for value, name in zip(self.seconds, self.versions, strict=True) if name == version]

    def only(self, versions: Collection[str]) -> Arms:
        rows = [row for row in self._rows() if row[1] in versions]
        columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]
        return Arms(columns[0], columns[1], columns[2], columns[3], self.unknown)

    def _rows(self) -> Iterator[tuple[float, str, bool, float]]:
        return zip(self.times, self.versions, self.failed, self.seconds, strict=True)

    def __len__(self) -> int:
        return len(self.times)


def arms(history: History, host: str) -> Arms:
    """Of all its versions; without a host, of everybody who answered and of all that failed."""
    requests = settled_in(history)
    if not host:
        return _of_everybody(requests)
    codes = {i: s.version for i, (_, s) in enumerate(requests.origins) if s.version and same_host(s.service, host)}
    if codes.keys().isdisjoint(requests.served):
        return _of_hops(history, host)
    return _of_requests(history, requests, codes, host)


def _of_requests(history: History, requests: Requests, codes: dict[int, str], host: str) -> Arms:
    callers = {requests.origins[code][0] for code in codes}
    nobody = {i for i, (load, server) in enumerate(requests.origins) if load in callers and not server.version}
    served, fates, statuses = requests.served, requests.fates, requests.statuses
    rows, unknown = [], 0
    for i, origin in enumerate(served):
        version = codes.get(origin, "")
        failed = not 0 < statuses[i] < 500
        if not version and (origin not in nobody or not failed or fates[i] == NOT_SENT):
            continue
        version = version or _chosen(history, requests[i].id, host)
        if version:
            rows.append((requests.began[i], version, failed, inf if fates[i] else requests.done[i]))
        unknown += not version
    rows.sort(key=lambda row: row[0])
    return Arms(
        [requests.second(at) for at, *_ in rows],
        [version for _, version, *_ in rows],
        [failed for _, _, failed, _ in rows],
        [inf if ticks in (inf, NEVER) else ticks * TICK_NS / 1e9 for *_, ticks in rows],
        unknown,
    )


def _of_everybody(requests: Requests) -> Arms:
    sent = [i for i, fate in enumerate(requests.fates) if fate != NOT_SENT]
    sent.sort(key=requests.began.__getitem__)
    fates, statuses, done, served = requests.fates, requests.statuses, requests.done, requests.served
    return Arms(
        [requests.second(requests.began[i]) for i in sent],
        [requests.origins[served[i]][1].version for i in sent],
        [not 0 < statuses[i] < 500 for i in sent],
        [inf if fates[i] or done[i] == NEVER else done[i] * TICK_NS / 1e9 for i in sent],
    )


def _chosen(history: History, request_id: str, host: str) -> str:
    """The version that a proxy chose for a request whose answer does not tell."""
    return next((hop.server.version for hop in history.hops_of(request_id) if is_choice(hop, host)), "")


def _of_hops(history: History, host: str) -> Arms:
    found = [hop for hop in history.hops if is_choice(hop, host) and history.start <= hop.at < history.end]
    found.sort(key=lambda hop: hop.at)
    return Arms(
        [hop.at for hop in found],
        [hop.server.version for hop in found],
        [hop.status >= 500 or not hop.status for hop in found],
        [hop.seconds if hop.status else inf for hop in found],
    )


def within(history: History, step: str) -> History:
    """The part of it in which a step of that name ran; all of it for ""."""
    if not step:
        return history
    begun = [e.at for e in history.of("step.start") if e.subject == step]
    if not begun:
        known = sorted({e.subject for e in history.of("step.start")})
        raise UsageError(f"no step {step!r} in this run; there are: {', '.join(known) or 'none'}")
    ended = [e.at for e in history.of("step.end") if e.subject == step and e.at >= begun[-1]]
    return history.between(begun[-1], ended[0] if ended else inf)
