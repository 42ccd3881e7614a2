"""What happened, on one clock: events, requests, hops. Written while it happens (run.py), judged afterwards (checks/).

Times are seconds since the run started. Nothing here can be changed after the fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, overload

from meshtest.model.request import UNKNOWN_SERVER, Request, Requests, Server
from meshtest.model.span import Span


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the mesh. Kinds, with what `data` holds:

    run.start       version, command, seed, provider
    config.apply    number, reason, diff (unified), shares {host: {version: percent}} - asked for
    config.ack      number, seconds - in force in every proxy
    config.rejected number, text
    pod.start       pod, workload, service, version, pid, stand_in (bool), template (Workload.template_hash)
    pod.ready, pod.unready, pod.terminate (grace), pod.exit (code or signal)
    fault.start     id, target, fault {delay, abort, percent, headers}
    fault.end       id, evidence {counter: count}
    step.start, step.end     name
    load.start, load.rate, load.end     load, target, source (as mesh.load has it), rate, sent ...; of other engines
                  than the prober also engine, open_loop (bool; false: its users wait for answers, so their silence
                  proves nothing);
                  unseen: requests that its users reported and nobody recorded (other protocols than HTTP)
    load.waiting  load, workers (how many), command (to start one)
    load.worker   load, what (joined, lost, left, returned), part, pid, host, local; clock_error (seconds), exit
    proxy.starved   seconds, ran, waited; for so long, up to now, the proxies had no CPU to spare
    spans.dropped   count, reason; spans that arrived, or should have, and are not in the record
    spans.forwarded, spans.forward_failed    endpoint, sent, seconds, reason; to a collector of the user's
    canary.start    provider, strategy, speed, users (names of loads), before (the revision in place)
    canary.revision template, revision; pods of this template (see pod.start) are of this revision
    canary.promoted revision; from here on it is what users are meant to get
    canary.tick     the fields of model.rehearsal.TickRow
    canary.end      ending, reason, sentence, doubt (why it proves nothing, and what to do; "": it does)
    undo.failed     text; what could not be put back
    certificates.rotated   identities, seconds
    note            text
    verdict         outcome, sentence, findings
    """

    at: float
    kind: str
    subject: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hop:
    """One line of a proxy's access log: a request passing one proxy, with the proxy's own word on its fate."""

    at: float
    """When the proxy received the request."""
    direction: str
    """`outbound` (the caller's proxy), `inbound` (the destination's proxy) or `gateway`."""
    proxy: str
    """`namespace/workload` of the proxy's owner, or `namespace/gateway`; for inbound the pod."""
    request_id: str
    method: str
    authority: str
    path: str
    status: int
    flags: str
    """Envoy's response flags, `-` when there are none: UF, UC, UR, UH, NR, NC, UT, FI, DI ..."""
    cluster: str
    server: Server
    """The endpoint chosen; inbound: the pod itself."""
    attempts: int
    seconds: float
    bytes_sent: int
    principal: str = ""
    """Who called, as mutual TLS between the proxies proved it: `spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT`; ""
    where that connection was not mutual TLS. Outbound and gateway: the own identity, shown to the destination; inbound:
    the caller's."""

    @property
    def mutual_tls(self) -> bool:
        return bool(self.principal)


HOP_FIELDS = (
    "at", "direction", "proxy", "request_id", "method", "authority", "path", "status", "flags", "cluster", "server",
    "attempts", "milliseconds", "bytes_sent", "principal",
)  # fmt: skip
"""The fields of a line of `hops.tsv`, in order, with tabs between. `at` is when the proxy received the request: epoch
seconds of the wall clock with at least 6 decimals (`%START_TIME(%s.%6f)%`); `server` is `service/version/pod`; what is
not known is `-`."""

ID_FIELD = HOP_FIELDS.index("request_id")
FROM_ATTEMPTS = len(HOP_FIELDS) - HOP_FIELDS.index("attempts")
"""Splits off that many fields from the end, the attempts first: quicker than from the start, with a path between."""


def parse_hop(line: str, wall_start: float) -> Hop:
    """A line of `hops.tsv`; `wall_start` is the run's second 0 on the wall clock. ValueError if it is not one."""
    parts = line.rstrip("\n").split("\t")
    if len(parts) != len(HOP_FIELDS):
        raise ValueError(f"{len(parts)} fields instead of {len(HOP_FIELDS)}: {line!r}")
    at, direction, proxy, request_id, method, authority, path, status, flags, cluster, server, *rest, principal = parts
    attempts, milliseconds, bytes_sent = (0 if value == "-" else float(value) for value in rest)
    return Hop(
        float(at) - wall_start, direction, proxy, request_id, method, authority, path,
        0 if status == "-" else int(status), flags, cluster,
        UNKNOWN_SERVER if server == "-" else Server.parse(server),
        int(attempts), milliseconds / 1000, int(bytes_sent), "" if principal == "-" else principal,
    )  # fmt: skip


class Hops(Sequence[Hop]):
    """The hops of a run, parsed when they are looked at: most checks ask for those of a few requests only.

    Lines that are not hops are left out and counted (`malformed`).
    """

    def __init__(self, lines: Sequence[str] = (), wall_start: float = 0.0) -> None:
        self._lines = [line for line in lines if line.count("\t") == len(HOP_FIELDS) - 1]
        self._wall_start = wall_start
        self.malformed = len(lines) - len(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int, /) -> Hop: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Hop]: ...
    def __getitem__(self, index: int | slice, /) -> Hop | list[Hop]:
        if isinstance(index, slice):
            return [parse_hop(line, self._wall_start) for line in self._lines[index]]
        return parse_hop(self._lines[index], self._wall_start)

    def __iter__(self) -> Iterator[Hop]:
        return (parse_hop(line, self._wall_start) for line in self._lines)

    @cached_property
    def _index(self) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for position, line in enumerate(self._lines):
            index.setdefault(line.split("\t", ID_FIELD + 1)[ID_FIELD], []).append(position)
        return index

    @property
    def wall_start(self) -> float:
        return self._wall_start

    def rows(self, start: float = 0.0, end: float = float("inf")) -> Iterator[list[str]]:
        """The HOP_FIELDS of each hop in [start, end) as they stand in the file: for those who count 100,000 of them."""
        rows = (line.split("\t") for line in self._lines)
        if start <= 0 and end == float("inf"):
            return rows
        low, high = start + self._wall_start, end + self._wall_start
        return (row for row in rows if low <= float(row[0]) < high)

    def retried(self) -> set[str]:
        """Ids of the requests that some proxy tried more than once."""
        several = (line for line in self._lines if line.rsplit("\t", FROM_ATTEMPTS)[1] not in ("0", "1", "-"))
        return {line.split("\t", ID_FIELD + 1)[ID_FIELD] for line in several}

    def of(self, request_id: str) -> list[Hop]:
        """The hops of one request, in order of their lines."""
        return [self[position] for position in self._index.get(request_id, [])]


@dataclass(frozen=True)
class History:
    """A whole run, or as much of it as was written."""

    events: Sequence[Event] = ()
    requests: Requests = field(default_factory=Requests)
    hops: Sequence[Hop] = ()
    spans: Sequence[Span] = ()
    truncated: bool = False
    """The writer was cut short (crash, disk full): judged up to the last whole record."""
    start: float = 0.0
    end: float = float("inf")
    """The window that is judged: of requests whose sending began in it. Events before it are kept, as causes."""
    cut: Mapping[str, int] = field(default_factory=dict)
    """How many bytes of each file it was read from: files only grow, so the same cut gives the same history."""

    def of(self, *kinds: str) -> list[Event]:
        return [e for e in self.events if e.kind in kinds]

    def during(self, *kinds: str) -> list[Event]:
        """Events of these kinds inside the window."""
        return [e for e in self.of(*kinds) if self.start <= e.at < self.end]

    def hops_of(self, request_id: str) -> list[Hop]:
        if isinstance(self.hops, Hops):
            return self.hops.of(request_id)
        return [h for h in self.hops if h.request_id == request_id]

    def between(self, start: float, end: float = float("inf")) -> History:
        """The same run, judged only in [start, end)."""
        if start <= self.start and end >= self.end:
            return self
        start, end = max(start, self.start), min(end, self.end)
        events = [e for e in self.events if e.at < end]
        return replace(self, events=events, requests=self.requests.between(start, end), start=start, end=end)


def same_host(one: str, other: str) -> bool:
    """`reviews`, `reviews.default`, `reviews.default.svc.cluster.local` are one host: each is the start of the next."""
    short, long = sorted((one, other), key=len)
    return long == short or long.startswith(short + ".")


__all__ = ["HOP_FIELDS", "ID_FIELD", "Event", "History", "Hop", "Hops", "Request", "parse_hop", "same_host"]
