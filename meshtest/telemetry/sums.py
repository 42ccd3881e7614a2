"""The edges of a graph, added up. Pure.

A request that a proxy sends on is one outbound (or gateway) hop: that is an edge, with its retries inside. What arrives
at a pod without having been sent there is a copy that a mirror made, or came past the proxies (copies.py). The edges of
a load are made from its own records: only the client knows how long it waited, and what never reached a proxy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from meshtest.model import tables
from meshtest.model.distribution import Distribution
from meshtest.model.history import History
from meshtest.model.request import Fate, Kind, Requests, Server, Transport
from meshtest.model.sightings import CHOOSING
from meshtest.telemetry.copies import copies
from meshtest.telemetry.names import CLIENT, OUTSIDE, Names
from meshtest.telemetry.passages import Passage, counted, rows

TICKS_PER_MS = 10_000
INGRESS = "ingress"
"""`ingress` or `ingress/PORT`: the source of a load that comes in by a gateway."""
_PROTOCOLS = {Transport.HTTP1: "http", Transport.HTTP2: "http", Transport.GRPC_STREAM: "grpc"}

Key = tuple[str, str, bool]
"""Source, target, and whether it is a copy."""


class Sum:
    """What is known of one edge so far."""

    def __init__(self) -> None:
        self.requests = self.failed = self.forbidden = self.retries = self.unlinked = self.lost = 0
        self.plain = self.secured = 0
        self.flags: Counter[str] = Counter()
        self.protocols: set[str] = set()
        self.ticks: Counter[int] = Counter()
        self.times: list[Distribution] = []

    def see(self, passage: Passage, count: int) -> None:
        """What only proxies know."""
        self.retries += (passage.tries - 1) * count
        self.flags.update({flag: count for flag in passage.flags.split(",") if flag not in ("-", "")})
        if passage.server != "-":
            secured = passage.principal not in ("-", "")
            self.secured, self.plain = self.secured + secured * count, self.plain + (not secured) * count

    def count(self, passage: Passage, count: int) -> None:
        """Requests as a proxy saw them."""
        self.see(passage, count)
        self.requests += count
        self.failed += passage.failed * count
        self.forbidden += (passage.status == "403") * count
        self.unlinked += count * (not passage.load and not passage.stream)
        self.protocols.add(passage.method.lower() or "http")
        if passage.lost:
            self.lost += count
        elif passage.milliseconds.isdigit():
            self.ticks[int(passage.milliseconds) * TICKS_PER_MS] += count

    def add(self, tally: Mapping[Kind, int], times: Iterable[Distribution], protocols: Iterable[str]) -> None:
        """Requests as their client saw them."""
        self.times += times
        self.protocols.update(protocols)
        for kind, count in tally.items():
            self.requests += count
            self.failed += kind.failed * count
            self.forbidden += (kind.status == 403) * count
            if kind.fate:
                self.flags[Fate(kind.fate).name.lower()] += count

    @property
    def latencies(self) -> Sequence[float]:
        return Distribution.merged([*self.times, Distribution(self.ticks, self.lost)])

    @property
    def mtls(self) -> bool | None:
        return not self.plain if self.secured + self.plain else None


class Sums:
    """All edges of a history; those of `edges` that have no request are none."""

    def __init__(self, history: History) -> None:
        self.names = Names(history)
        self.edges: dict[Key, Sum] = {}
        self.received: Counter[str] = Counter()
        """By node: requests that came in, copies too."""
        self.denied: Counter[str] = Counter()
        """By node: those of them that its own proxy answered 403."""
        self._history = history
        self._loads = history.requests.loads
        self._started = {event.subject: event.data for event in history.of("load.start")}
        passages = counted(rows(history))
        self._chosen = [(p, n) for p, n in passages if p.chosen]
        self._ways = self._ways_in(passages)
        self._choices(self._chosen)
        self._arrivals([(p, n) for p, n in passages if not p.chosen])
        self._clients()
        self.edges = {key: found for key, found in self.edges.items() if found.requests}

    def at(self, source: str, target: str, mirrored: bool = False) -> Sum:
        return self.edges.setdefault((source, target, mirrored), Sum())

    def target(self, passage: Passage) -> str:
        if passage.server != "-":
            return self.names.of_server(Server.parse(passage.server), passage.cluster)
        return self.names.of_cluster(passage.cluster, passage.authority)

    def source(self, passage: Passage) -> str:
        return self.names.of_proxy(passage.direction, passage.proxy)

    # ---- hops

    def _choices(self, passages: list[tuple[Passage, int]]) -> None:
        """Those with a server first: they tell what the subset of a cluster is called."""
        for passage, count in sorted(passages, key=lambda pair: pair[0].server == "-"):
            edge = self.at(self.source(passage), self.target(passage))
            if self._of_client(passage):
                edge.see(passage, count)
            else:
                edge.count(passage, count)

    def _of_client(self, passage: Passage) -> bool:
        """A load's own records tell of it. A connection has no id, and belongs to the loads that there are."""
        own = passage.load in self._ways or (passage.stream and bool(self._loads))
        return own and self.source(passage) in (CLIENT, OUTSIDE)

    def _arrivals(self, passages: list[tuple[Passage, int]]) -> None:
        for passage, count in passages:
            node = self.target(passage)
            self.received[node] += count
            self.denied[node] += passage.denied * count
        for source, target, mirrored, passage, count in copies(self._history, self.names, self._chosen, passages):
            self.at(self.names.of_client(source), target, mirrored).count(passage, count)

    # ---- loads

    def _ways_in(self, passages: Iterable[tuple[Passage, int]]) -> dict[str, str]:
        """By load the node that tells of its requests: the gateway they come to, the client's own proxy; "" is one that
        sends as a workload, whose hops are as any other's."""
        seen: dict[str, set[str]] = {load: set() for load in self._loads}
        for passage, _ in passages:
            if passage.chosen and passage.load in seen:
                seen[passage.load].add(self.names.of_proxy(passage.direction, passage.proxy))
        return {load: self._way_in(self._started.get(load, {}).get("source"), ways) for load, ways in seen.items()}

    def _way_in(self, told: str | None, ways: set[str]) -> str:
        gateways = sorted(way for way in ways if self.names.kind(way) == "gateway")
        if gateways or (told or "").startswith(INGRESS):
            port = (told or "").partition("/")[2] or "80"
            return gateways[0] if gateways else self.names.of_proxy("gateway", f"gateway_{port}")
        if told is None and ways:  # an engine that does not say; what a client sent, its services sent on
            return next((name for name in (CLIENT, OUTSIDE) if name in ways), "")
        if not told or told == OUTSIDE:
            return told or CLIENT
        return "" if ways else self.names.of_host(told)

    def _clients(self) -> None:
        for load, way in self._ways.items():
            requests = self._history.requests.of_load(load)
            kinds = {Transport(byte) for byte in set(bytes(memoryview(requests.raw)[38::40]))}
            protocols = {_PROTOCOLS.get(kind, kind.name.lower()) for kind in kinds}
            if self.names.kind(way) == "gateway":
                source = self.names.of_client(CLIENT)
                self.at(source, way).add(requests.tally(), tables.latencies(requests).values(), protocols)
            elif way:
                self.names.of_client(way)
                self._known(requests, way, protocols)
                self._unknown(requests, way, load, protocols)

    def _known(self, requests: Requests, source: str, protocols: Iterable[str]) -> None:
        """Answers tell who served."""
        times, tally = tables.latencies(requests), requests.tally()
        origins = {kind.origin for kind in tally}
        for label in {tables.label(requests, origin) for origin in origins} - {""}:
            own = {kind: n for kind, n in tally.items() if tables.label(requests, kind.origin) == label}
            server = requests.origins[next(iter(own)).origin][1]
            self.at(source, self.names.of_server(server)).add(own, [times[label]], protocols)

    def _unknown(self, requests: Requests, source: str, load: str, protocols: Iterable[str]) -> None:
        """Of what failed, the client's proxy knows where it was to go; of what never came there, the load's target."""
        nobody = requests.where(lambda kind: not tables.label(requests, kind.origin))
        if not nobody:
            return
        lost = requests.pick(nobody)
        aims = self._aims(set(lost.ids()), source)
        aim = self.names.of_host(str(self._started.get(load, {}).get("target") or "").partition(":")[0])
        groups: dict[str, list[int]] = {}
        for position, id in enumerate(lost.ids()):
            groups.setdefault(aims.get(id, aim), []).append(position)
        for target, positions in groups.items():
            part = lost.pick(positions)
            self.at(source, target).add(part.tally(), tables.latencies(part).values(), protocols)

    def _aims(self, ids: set[str], source: str) -> dict[str, str]:
        """Request id to the node that the client's proxy sent it to."""
        found = [row for row in rows(self._history) if row[3] in ids and row[1] in CHOOSING]
        seen = ((row[3], counted([row])[0][0]) for row in found)
        return {id: self.target(passage) for id, passage in seen if self.source(passage) == source}
