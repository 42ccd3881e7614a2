"""One request of a load, as its client saw it: the unit of every verdict; and many of them, as columns.

On disk a request is one RECORD (record.py), appended in order of completion. Times count from the *intended* time, so a
late send cannot hide in a latency (no coordinated omission). Who served it is an index into the load's table of names.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

from meshtest.model import packing, record
from meshtest.model.record import NEVER, RECORD, TICK_NS
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


@dataclass(frozen=True, eq=False)
class Requests(Sequence[Request]):
    """Requests in order of their intended time: a sequence of Request, and columns for those who judge a million.

    `raw` holds RECORDs whose server index points into `origins` instead of one load's names. A column is a view into
    it, one integer a request; nothing is copied and no object is made until a single request is asked for.
    """

    raw: bytes | bytearray = field(default=b"", repr=False)
    origins: Sequence[Origin] = ()
    start_ns: int = 0
    """CLOCK_MONOTONIC at second 0 of the run."""

    @classmethod
    def of_loads(cls, loads: Iterable[tuple[str, bytes, Sequence[str]]], start_ns: int = 0) -> Requests:
        """From (load, whole records, names) of each load."""
        origins: list[Origin] = []
        raw = bytearray()
        for load, records, names in loads:
            raw += packing.shifted(records, len(origins))
            origins += [(load, UNKNOWN_SERVER), *((load, Server.parse(name)) for name in names)]
        if len(origins) > record.MOST_NAMES:
            raise OverflowError(f"{len(origins)} different servers and loads in one run; at most {record.MOST_NAMES}")
        return cls(packing.by_time(raw), tuple(origins), start_ns)

    @classmethod
    def of(cls, requests: Iterable[Request], start_ns: int = 0) -> Requests:
        """From single requests, for other load engines and for tests."""
        codes: dict[Origin, int] = {}
        rows = [packing.row(r, codes.setdefault((r.load, r.server), len(codes)), start_ns) for r in requests]
        return cls(packing.by_time(bytearray(b"".join(rows))), tuple(codes), start_ns)

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

    @property
    def fates(self) -> bytes:
        return bytes(memoryview(self.raw)[28::40])

    @property
    def attempts(self) -> bytes:
        return bytes(memoryview(self.raw)[30::40])

    @cached_property
    def began(self) -> array[int]:
        """ns at which the sending of each request began; of unsent ones, the intended time."""
        ticks = zip(self.intended, self.sent, strict=True)
        return array("Q", [at if late == NEVER else at + late * TICK_NS for at, late in ticks])

    # Parts.

    def pick(self, positions: Iterable[int]) -> Requests:
        """Those at the given positions, in that order."""
        size, raw = RECORD.size, self.raw
        return Requests(b"".join(raw[i * size : i * size + size] for i in positions), self.origins, self.start_ns)

    def between(self, start: float, end: float) -> Requests:
        """Those whose sending began in [start, end); unsent ones by their intended time."""
        low, high = self.nanosecond(start), self.nanosecond(end)
        began = self.began
        if not began or (low <= min(began) and max(began) < high):
            return self
        return self.pick(i for i, at in enumerate(began) if low <= at < high)

    def of_load(self, load: str) -> Requests:
        wanted = {i for i, (name, _) in enumerate(self.origins) if name == load}
        return self.pick(i for i, origin in enumerate(self.served) if origin in wanted)

    @property
    def loads(self) -> list[str]:
        return list(dict.fromkeys(load for load, _ in self.origins))
