"""The seam to a load generator: something that sends requests and writes a RECORD of each one into the run folder.

The prober (loads/) is one; others are plugins, found by entry point (group `meshtest.loads`). An engine is a callable
`engine(place, **options)` that checks its options (UsageError) and returns a RunningLoad that has not begun. Whoever
builds one derives it from RecordedLoad: what a test waits for is then counted from the records, for every engine alike.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from meshtest.errors import LoadError, UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.wait import until
from meshtest.lib.words import plural
from meshtest.model.record import RECORD
from meshtest.model.request import Fate, Requests
from meshtest.spi.progress import Progress
from meshtest.spi.provider import Entrance

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
PATIENCE = 10.0
"""Seconds that a load may be slower than rate and timeout allow before it counts as stuck: the machine is busy."""


def check_name(name: str) -> None:
    """UsageError unless it is a load's."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"load name {name!r}: letters, digits, `.`, `_`, `-`; it names files and request ids")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a load runs and what it writes to."""

    name: str
    """Of the load: its records are `requests/NAME.bin`, its request ids `NAME-INDEX`."""
    entrance: Entrance
    directory: Path
    """The run folder."""
    source: str = ""
    """Who sends, as in `mesh.load`: "" is a client inside the mesh; told in `load.start`."""
    start_ns: int = 0
    """CLOCK_MONOTONIC at second 0 of the run."""
    record: Callable[..., None] = lambda *_, **__: None
    """Writes an event: record(kind, subject, **data)."""
    seed: int = 0
    timeout: float = 5.0
    """For one request."""
    sampled: float = 0.01
    """Share of the requests whose trace context asks for a sample."""

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def address(self) -> str:
        """The entrance's, as an IP address: generators need not look names up."""
        try:
            return str(socket.getaddrinfo(self.entrance.address, None, type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            raise UsageError(f"address {self.entrance.address!r}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a load generator says of itself at its end; data of the event `load.end`."""

    sent: int
    fates: Mapping[Fate, int]
    idle_closed: int = 0
    """Kept connections that the peer closed while idle; no request was on them."""
    max_gap: float = 0.0
    """Seconds; the longest time without a send: no shorter outage is sure to be seen."""
    late_p50: float = 0.0
    late_p99: float = 0.0
    rate: float = 0.0
    """Achieved, a second."""
    error: str = ""
    """Why it ended before its time."""
    saturated: str = ""
    """Why the generator, not the mesh, was the bottleneck: "" if it was not. Then its figures prove nothing good."""
    troubles: Mapping[str, int] = field(default_factory=dict)
    """What was wrong with a handshake (of Fate.TLS) or with what came (GARBLED), in words: on how many connections."""

    def as_data(self) -> dict[str, Any]:
        return {**self.__dict__, "fates": {fate.name.lower(): count for fate, count in self.fates.items()}}


class RunningLoad(Protocol):
    """One load of one run. Calls block until what they say is true; LoadError says what went wrong."""

    name: str

    def start(self) -> None:
        """Returns when the first request is being sent."""
        ...

    def stop(self) -> Summary:
        """Send no more, wait for the requests under way, and return the figures. Safe to call twice."""
        ...

    @property
    def running(self) -> bool: ...

    def wait(self, requests: int | None = None, seconds: float | None = None, after: float | None = None) -> int:
        """Block until so many requests, or those of so many seconds, whose sending began after `after` are finished."""
        ...

    def longest(self) -> float:
        """Seconds after which it has surely ended by itself; UsageError if it has no end."""
        ...


class LoadEngine(Protocol):
    """What an entry point of the group `meshtest.loads` names."""

    def __call__(self, place: Place, **options: Any) -> RunningLoad: ...


class RecordedLoad:
    """Counting and waiting by the records on disk. Subclasses start, stop and say what a death means."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = place.name
        self.records = place.directory / "requests" / f"{place.name}.bin"
        self._progress = Progress(self.records)

    @property
    def running(self) -> bool:
        raise NotImplementedError

    def time_for(self, requests: int) -> float:
        """The longest, in seconds, that so many requests take when all time out."""
        raise NotImplementedError

    def ended(self) -> Exception | None:
        """If it ended otherwise than in order, what to raise."""
        raise NotImplementedError

    def claim(self) -> None:
        """The name is ours from now on; UsageError if a load of this run has it already."""
        if self.records.exists():
            raise UsageError(f"a load named {self.name!r} has run already; give each load of a run its own name")
        self.records.parent.mkdir(parents=True, exist_ok=True)

    @property
    def finished(self) -> int:
        """Requests that have ended so far, well or badly."""
        return self._progress.finished

    def requests(self) -> Requests:
        """All whole records of all parts, by now."""
        files = [self.records, *sorted(self.records.parent.glob(f"{self.name}+*.bin"))]
        return Requests.of_loads([(self.name, *_part(path)) for path in files if path.exists()], self.place.start_ns)

    def wait(self, requests: int | None = None, seconds: float | None = None, after: float | None = None) -> int:
        """Block until so many requests, or those of so many seconds, whose sending began after `after` are finished.

        `after` is a second of the run, by default now. Returns how many there are. LoadError: the load ended before
        that, or is stuck.
        """
        start = time.monotonic_ns() if after is None else self.place.start_ns + round(after * 1e9)
        if seconds is not None:
            requests = max(requests or 0, self._wait_seconds(start, seconds))
        if requests is None:
            raise UsageError("wait for a number of requests, or of seconds")
        wanted = requests
        within = self.time_for(wanted) + PATIENCE
        try:
            until(lambda: self._reached(start, wanted), within=within, what=str)
        except TimeoutError:
            text = f"{self._progress.count(start)} of {wanted} requests finished in {within:.1f} s"
            raise LoadError(f"load {self.name!r} is stuck: {text}") from None
        return self._progress.count(start)

    def _reached(self, start: int, wanted: int) -> bool:
        running = self.running  # asked before looking, so that nothing written before the end is missed
        self._progress.look()
        count = self._progress.count(start)
        if count >= wanted:
            return True
        if not running:
            text = f"load {self.name!r} ended after {count} of the {plural(wanted, 'request')} waited for"
            raise self.ended() or LoadError(text)
        return False

    def _wait_seconds(self, start: int, seconds: float) -> int:
        """Let the time pass; then at least one request must have ended."""
        end = start + round(seconds * 1e9)
        until(lambda: time.monotonic_ns() >= end or not self.running, within=seconds + PATIENCE, what=lambda: "")
        return 1


def _part(path: Path) -> tuple[bytes, list[str]]:
    """Records, then names: these are written first, so those of all records read are there."""
    data = path.read_bytes()
    names = path.with_suffix(".names").read_text("latin-1").splitlines()
    return data[: len(data) // RECORD.size * RECORD.size], names
