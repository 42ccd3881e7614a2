"""The records of one process of Locust: a request begins, and ends once.

A record costs a few microseconds beside the 100 and more that Locust itself takes for a request.
"""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import Any, Protocol

from meshtest.model.record import (
    ANSWERED,
    ATTEMPTS,
    HTTP1,
    KEEPALIVE,
    MOST_NAMES,
    MOST_SIZE,
    NEVER,
    NO_CODE,
    NOT_SENT,
    PART_BITS,
    RECORD,
    REQUEST_ID,
    SERVED_BY,
    TICK_NS,
    TIMEOUT,
)  # fmt: skip


class Sink(Protocol):
    """Where rows go: a Sheet (files of this machine) or a Parcel (to the master on another one)."""

    flush_at: int

    def add(self, now: int, served_by: bytes, row: tuple[int, ...]) -> None: ...
    def flush(self) -> None: ...


class Attempt:
    """One request on the wire, from the moment its client began with it."""

    __slots__ = ("_journal", "first", "index", "intended", "reused", "served_by", "status", "tries")

    def __init__(self, journal: Journal, index: int, intended: int) -> None:
        self._journal, self.index, self.intended = journal, index, intended
        self.first = NEVER
        self.status = self.tries = self.reused = 0
        self.served_by = b""

    def answered(self, status: int, header: Callable[[str], Any]) -> None:
        """The head of the answer is there; as near to the first byte as the clients let us come."""
        self.first = (monotonic_ns() - self.intended) // TICK_NS
        self.status = status
        self.served_by = str(header(SERVED_BY) or "").encode("latin-1", "replace")
        tries = str(header(ATTEMPTS) or "")
        self.tries = min(int(tries), 255) if tries.isdecimal() else 0

    def end(self, fate: int, size: int = 0) -> None:
        """Once; what comes after that is ignored."""
        if self._journal.open.pop(self.index, None) is not None:
            self._journal.write(self, fate, size)


class Journal:
    """Numbers the requests of a process, and writes what became of them."""

    def __init__(self, load: str, timeout: float, sampled: float = 0.01) -> None:
        self.load, self.sampled = load, sampled
        self.count = 0
        self.open: dict[int, Attempt] = {}
        """Requests under way."""
        self.began: Callable[[], None] = lambda: None
        """Called with the first request."""
        self.wait: Callable[[], object] = lambda: None
        """Returns when the journal has been opened: a worker may be told to start before it knows its number."""
        self.unwritable: Callable[[OSError], None] = lambda _: None
        """Called when a row could not be written (disk full)."""
        self.unseen = 0
        """Requests that a user class made by other means than Locust's HTTP clients, and reported: not on record."""
        self._base = 0
        self._sink: Sink | None = None
        self._timeout = timeout
        self._trace = secrets.token_hex(8)

    def write_to(self, sink: Sink, part: int) -> None:
        self._sink, self._base = sink, part << PART_BITS

    def begin(self) -> Attempt:
        if self._sink is None:
            self.wait()
        if not self.count:
            self.began()
        attempt = Attempt(self, self._base + self.count, monotonic_ns())
        self.count += 1
        self.open[attempt.index] = attempt
        return attempt

    def headers(self, attempt: Attempt, given: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What a request carries so that it is found in every proxy's log; a trace that the user began is kept."""
        named = [(REQUEST_ID, f"{self.load}-{attempt.index}")]
        if "traceparent" not in given:
            number = attempt.index + 1  # all zeros would be no valid id
            sent = attempt.index - self._base
            flag = int((sent + 1) * self.sampled) - int(sent * self.sampled)
            named.append(("traceparent", f"00-{self._trace}{number:016x}-{number:016x}-0{flag}"))
        return named

    def write(self, attempt: Attempt, fate: int, size: int) -> None:
        now, sink = monotonic_ns(), self._sink
        assert sink is not None
        sink.add(
            now,
            attempt.served_by,
            (
                attempt.intended, attempt.index, 0, attempt.first, min((now - attempt.intended) // TICK_NS, NEVER - 1),
                attempt.status if fate == ANSWERED else 0, fate, KEEPALIVE, attempt.tries, attempt.reused,
                min(size, MOST_SIZE), 0, HTTP1, NO_CODE,
            ),
        )  # fmt: skip
        if now >= sink.flush_at:
            self.flush()

    def close(self) -> None:
        """Requests that are still under way get their fate: a body nobody read was answered; what had its time, timed
        out; what is younger was cut by the end of the load and proves nothing."""
        for attempt in list(self.open.values()):
            old = monotonic_ns() - attempt.intended >= self._timeout * 1e9
            attempt.end(ANSWERED if attempt.status else TIMEOUT if old else NOT_SENT)
        self.flush()

    def flush_due(self) -> None:
        """If the oldest row has waited long enough."""
        if self._sink is not None and 0 < self._sink.flush_at <= monotonic_ns():
            self.flush()

    def flush(self) -> None:
        if self._sink is not None and self._sink.flush_at:
            try:
                self._sink.flush()
            except OSError as error:
                self.unwritable(error)


class Parcel:
    """Rows on their way to the master: names and records since the last one was sent."""

    def __init__(self, send: Callable[[list[bytes], bytes], None]) -> None:
        self.flush_at = 0
        self._send = send
        self._known: dict[bytes, int] = {b"": 0}
        self._names: list[bytes] = []
        self._rows: list[bytes] = []

    def add(self, now: int, served_by: bytes, row: tuple[int, ...]) -> None:
        server = self._known.get(served_by)
        if server is None:
            server = self._learn(served_by)
        self._rows.append(RECORD.pack(*row[:6], server, *row[6:]))
        if not self.flush_at:
            self.flush_at = now + PARCEL_NS

    def _learn(self, served_by: bytes) -> int:
        if len(self._known) > MOST_NAMES:
            return 0
        self._names.append(served_by)
        self._known[served_by] = len(self._known)
        return self._known[served_by]

    def flush(self) -> None:
        names, rows = self._names, b"".join(self._rows)
        self._names, self._rows, self.flush_at = [], [], 0
        self._send(names, rows)


def shifted(rows: bytes, by: int) -> bytes:
    """Records whose intended time is moved onto the master's clock."""
    moved = bytearray(rows)
    column = memoryview(moved).cast("Q")[0 :: RECORD.size // 8]
    column[:] = memoryview(array("Q", [at + by for at in column]))
    return bytes(moved)


PARCEL_NS = 200_000_000
"""A worker elsewhere loses at most the requests of so long when it dies."""
