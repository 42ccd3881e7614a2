"""One request of a load, as its client saw it: the unit of every verdict; and many of them, as columns.

On disk a request is one RECORD (record.py), appended in order of completion. Times count from the *intended* time, so a
late send cannot hide in a latency (no coordinated omission). Who served it is an index into the load's table of names.
"""

from __future__ import annotations

import enum
import itertools
import operator
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, overload

from meshtest.model import packing, record
from meshtest.model.record import RECORD
from meshtest.model.record import REQUEST_ID as REQUEST_ID
from meshtest.model.record import SERVED_BY as SERVED_BY


class Fate(enum.IntEnum):
    """What became of a request; exactly one. Only ANSWERED has a status."""

    ANSWERED = record.ANSWERED
    REFUSED = record.REFUSED
    """The connection could not be made."""
    RESET = record.RESET
    """The peer reset the connection before the answer was complete (RST)."""
    CLOSED = record.CLOSED
    """The peer closed the connection before the answer was complete (FIN)."""
    TIMEOUT = record.TIMEOUT
    GARBLED = record.GARBLED
    """What came back breaks the protocol."""
    NOT_SENT = record.NOT_SENT
    """The load ended, or could not open a socket, before the request left."""
    TLS = record.TLS
    """The handshake failed, or the peer refused our certificate."""


class Lane(enum.IntEnum):
    """How a request travels: on a long-lived connection of a pool, on one of its own, or on the one its user holds."""

    KEEPALIVE = record.KEEPALIVE
    FRESH = record.FRESH
    HELD = record.HELD
    """A WebSocket, TCP connection or gRPC stream that stays open: each request is a message and its echo. If the peer
    ended the connection since the message before, the next one is lost (RESET, CLOSED), as it is for its user."""


class Transport(enum.IntEnum):
    """What a request is, above TCP or TLS."""

    HTTP1 = record.HTTP1
    HTTP2 = record.HTTP2
    GRPC = record.GRPC
    WEBSOCKET = record.WEBSOCKET
    TCP = record.TCP
    GRPC_STREAM = record.GRPC_STREAM


@dataclass(frozen=True, slots=True)
class Server:
    """Who served a request: `service/version/pod`, the value of the header SERVED_BY."""

    service: str = ""
    version: str = ""
    pod: str = ""

    @classmethod
    def parse(cls, text: str) -> Server:
        service, version, pod = (*text.split("/", 2), "", "", "")[:3]
        return cls(service, version, pod)


UNKNOWN_SERVER = Server()


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Times are seconds on the run's clock (0 = run start) or seconds after the intended time."""

    load: str
    index: int
    at: float
    """Intended time, seconds since the run started."""
    late: float | None
    """Sent this much after the intended time; None if never sent."""
    first_byte: float | None
    latency: float | None
    """Until the last byte of the answer, or until the request was given up."""
    fate: Fate
    status: int
    lane: Lane
    attempts: int
    server: Server
    reused: bool = False
    """Sent on a connection that had carried a request before."""
    size: int = 0
    """Bytes of the answer's body, as far as it came."""
    target: int = 0
    """Which of the load's targets, in the order given."""
    transport: Transport = Transport.HTTP1
    code: int | None = None
    """The status of a gRPC call; why a WebSocket was closed, minus 1000."""

    @property
    def id(self) -> str:
        return f"{self.load}-{self.index}"

    @property
    def version(self) -> str:
        return self.server.version

    @property
    def sent_at(self) -> float | None:
        return None if self.late is None else self.at + self.late

    @property
    def ended_at(self) -> float:
        return self.at + (self.latency or 0.0)

    @property
    def answered(self) -> bool:
        return self.fate is Fate.ANSWERED

    @property
    def failed(self) -> bool:
        """Not answered, or answered with 5xx."""
        return self.fate is not Fate.ANSWERED or self.status >= 500


Origin = tuple[str, Server]
"""What a request's `origins` index stands for: its load, and who served it."""


def _origins(load: str, names: Sequence[str]) -> list[Origin]:
    return [(load, UNKNOWN_SERVER), *((load, Server.parse(name)) for name in names)]


class Kind(NamedTuple):
    """What requests have in common: the fields of RECORD that take few values, which are one of its 64-bit words."""

    status: int
    origin: int
    fate: int
    lane: int
    attempts: int
    reused: int

    @property
    def failed(self) -> bool:
        """Not answered (these have no status), or answered with 5xx."""
        return not 0 < self.status < 500

    def strange(self, origins: int) -> bool:
        """It has values that no writer of records writes."""
        return self.origin >= origins or self.fate >= len(Fate) or self.lane >= len(Lane) or self.reused > 1


@dataclass(frozen=True, eq=False)
class Requests(Sequence[Request]):
    """Requests in order of their intended time: a sequence of Request, and columns for those who judge a million.

    `raw` holds RECORDs whose server index points into `origins` instead of one load's names; it may be a mapped file. A
    column is a view into it, one integer a request; nothing is copied and no object is made until a single request is
    asked for. What several checks need is worked out once and kept.
    """

    raw: packing.Records = field(default=b"", repr=False)
    origins: Sequence[Origin] = ()
    start_ns: int = 0
    """CLOCK_MONOTONIC at second 0 of the run."""
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    """What others worked out of these requests, to share it."""

    @classmethod
    def of_loads(cls, loads: Iterable[tuple[str, packing.Records, Sequence[str]]], start_ns: int = 0) -> Requests:
        """From (load, whole records, names) of each load. A single file in order of time is taken as it is."""
        origins: list[Origin] = []
        parts: list[packing.Records] = []
        for load, records, names in loads:
            parts.append(packing.shifted(records, len(origins)))
            origins += _origins(load, names)
        if len(origins) > record.MOST_NAMES:
            raise OverflowError(f"{len(origins)} different servers and loads in one run; at most {record.MOST_NAMES}")
        return cls(packing.by_time(parts[0] if len(parts) == 1 else b"".join(parts)), tuple(origins), start_ns)

    @classmethod
    def as_written(cls, load: str, records: packing.Records, names: Sequence[str], start_ns: int = 0) -> Requests:
        """Of one file, in the order of the file, which is that of completion: for those who go through it once."""
        return cls(records, tuple(_origins(load, names)), start_ns)

    @classmethod
    def of(cls, requests: Iterable[Request], start_ns: int = 0) -> Requests:
        """From single requests, for other load engines and for tests."""
        codes: dict[Origin, int] = {}
        rows = [packing.row(r, codes.setdefault((r.load, r.server), len(codes)), start_ns) for r in requests]
        return cls(packing.by_time(b"".join(rows)), tuple(codes), start_ns)

    def __len__(self) -> int:
        return len(self.raw) // RECORD.size

    @overload
    def __getitem__(self, index: int, /) -> Request: ...
    @overload
    def __getitem__(self, index: slice, /) -> Requests: ...
    def __getitem__(self, index: int | slice, /) -> Request | Requests:
        if isinstance(index, slice):
            return self.pick(range(*index.indices(len(self))))
        position = range(len(self))[index]
        return self._request(RECORD.unpack_from(self.raw, position * RECORD.size))

    def __iter__(self) -> Iterator[Request]:
        return map(self._request, RECORD.iter_unpack(self.raw))

    def _request(self, row: tuple[int, ...]) -> Request:
        intended, index, sent, first, done, status, origin, fate, lane, attempts, reused, size, *rest = row
        target, transport, code = rest
        load, server = self.origins[origin]
        return Request(
            load, index, self.second(intended), packing.seconds(sent), packing.seconds(first), packing.seconds(done),
            Fate(fate), status, Lane(lane), attempts, server, bool(reused), size, target, Transport(transport),
            None if code == record.NO_CODE else code,
        )  # fmt: skip

    def second(self, nanoseconds: int) -> float:
        """A reading of CLOCK_MONOTONIC on the run's clock."""
        return (nanoseconds - self.start_ns) / 1e9

    def nanosecond(self, at: float) -> int:
        """The inverse of `second`; infinities become the ends of the clock."""
        return round(min(max(at * 1e9, -(2.0**62)), 2.0**62)) + self.start_ns

    # Columns.

    @property
    def intended(self) -> memoryview:
        """ns of CLOCK_MONOTONIC."""
        return memoryview(self.raw).cast("Q")[0::5]

    @property
    def indices(self) -> memoryview:
        return memoryview(self.raw).cast("I")[2::10]

    @property
    def sent(self) -> memoryview:
        """Ticks of TICK_NS after intended; NEVER."""
        return memoryview(self.raw).cast("I")[3::10]

    @property
    def done(self) -> memoryview:
        """Ticks of TICK_NS after intended; NEVER."""
        return memoryview(self.raw).cast("I")[5::10]

    @property
    def statuses(self) -> memoryview:
        return memoryview(self.raw).cast("H")[12::20]

    @property
    def served(self) -> memoryview:
        """Index into `origins`."""
        return memoryview(self.raw).cast("H")[13::20]

    @cached_property
    def fates(self) -> bytes:
        return bytes(memoryview(self.raw)[28::40])

    @cached_property
    def attempts(self) -> bytes:
        return bytes(memoryview(self.raw)[30::40])

    @cached_property
    def began(self) -> array[int]:
        """ns at which the sending of each request began; of unsent ones, the intended time."""
        return packing.later(self.intended, self.sent)

    @cached_property
    def strides(self) -> tuple[int, int]:
        """The least and the largest time, in ns, from one request's `began` to the next one's."""
        began = self.began.tolist()
        steps = list(map(operator.sub, itertools.islice(began, 1, None), began))
        return (min(steps), max(steps)) if steps else (0, 0)

    @property
    def in_order(self) -> bool:
        """Sent in the order that was intended."""
        return self.strides[0] >= 0

    # Kinds: a byte a request that answers most questions.

    @cached_property
    def _numbered(self) -> tuple[packing.Codes, list[Kind]]:
        codes, words = packing.numbered(array("Q", memoryview(self.raw).cast("Q")[3::5].tobytes()))
        return codes, [Kind(*packing.KIND.unpack(word.to_bytes(8, "little"))) for word in words]

    @property
    def codes(self) -> packing.Codes:
        """Of each request, the index of its kind."""
        return self._numbered[0]

    @property
    def kinds(self) -> Sequence[Kind]:
        """Those that there are: few, however many requests there are."""
        return self._numbered[1]

    def tally(self, start: int = 0, end: int | None = None) -> dict[Kind, int]:
        """How many of the requests at positions [start, end) are of each kind."""
        counts = packing.tally(self.codes, len(self.kinds), start, len(self) if end is None else end)
        return {self.kinds[code]: count for code, count in counts.items()}

    def among(self, wanted: Callable[[Kind], bool]) -> Iterable[int]:
        """Of each request, whether it is of certain kinds: to `compress` a column with."""
        return packing.mask(self.codes, [wanted(kind) for kind in self.kinds])

    def where(self, wanted: Callable[[Kind], bool]) -> list[int]:
        """Positions of the requests of certain kinds."""
        if not any(map(wanted, self.kinds)):
            return []
        return list(itertools.compress(itertools.count(), self.among(wanted)))

    def ids(self, wanted: Callable[[Kind], bool] = lambda _: True) -> Iterator[str]:
        """Of the requests of certain kinds, as Request.id."""
        loads = [load for load, _ in self.origins]
        rows = itertools.compress(zip(self.served, self.indices, strict=True), self.among(wanted))
        return (f"{loads[origin]}-{index}" for origin, index in rows)

    # Parts.

    def pick(self, positions: Iterable[int]) -> Requests:
        """Those at the given positions, in that order."""
        return Requests(packing.picked(self.raw, positions), self.origins, self.start_ns)

    def between(self, start: float, end: float) -> Requests:
        """Those whose sending began in [start, end); unsent ones by their intended time."""
        low, high = self.nanosecond(start), self.nanosecond(end)
        began = self.began
        if not began or (low <= min(began) and max(began) < high):
            return self
        if self.in_order:
            first, last = (bisect_left(began, at) * RECORD.size for at in (low, high))
            return Requests(memoryview(self.raw)[first:last], self.origins, self.start_ns)
        return self.pick(i for i, at in enumerate(began) if low <= at < high)

    def of_load(self, load: str) -> Requests:
        wanted = {i for i, (name, _) in enumerate(self.origins) if name == load}
        if all(kind.origin in wanted for kind in self.kinds):
            return self
        return self.pick(self.where(lambda kind: kind.origin in wanted))

    @property
    def loads(self) -> list[str]:
        return list(dict.fromkeys(load for load, _ in self.origins))
