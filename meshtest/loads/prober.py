"""The prober: a process that sends requests at even intervals and writes down what became of each one.

    stdin   length (4 bytes), order (marshal); then lines `stop`, `rate N`; its end means that the runner died
    stdout  `started NS` with the first request; at the end one line of JSON, the summary
    files   RECORDs and names, see spi/sheet.py

Open loop: request k is intended at start + k / rate, whatever happened to those before. A late one is sent late and
recorded as late; one that finds all connections busy opens another; none is ever sent twice. Closed loop (no rate): a
new request whenever one has ended.

Imports only what costs next to nothing (`json`, `socket`, `dataclasses` cost 10 to 40 ms each): a load must be able to
start in the middle of a test.
"""

from __future__ import annotations

import gc
import os
import sys
from time import monotonic_ns

from meshtest.loads.exchange import Exchange
from meshtest.loads.sockets import READ, EpollPoller, Poller, PollPoller, Target
from meshtest.loads.tally import Tally
from meshtest.model.record import NOT_SENT
from meshtest.spi.sheet import Sheet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Order(TypedDict):
        """What load.py asks for. Exactly one of `rate` and `concurrency`; None elsewhere means "no limit"."""

        address: str
        port: int
        before: bytes
        after: bytes
        """A request is before + index + after."""
        head_only: bool
        rate: float | None
        concurrency: int | None
        requests: int | None
        seconds: float | None
        lanes: list[int]
        connections: int
        timeout: float
        records: str
        names: str


FAILED, ORPHANED = 3, 4
"""Exit codes: could not write; the runner died."""

_FAR = 1 << 62
_BATCH = 8
"""Due requests sent before answers are looked at: a backlog must not falsify the times of what comes back."""
_WATCH_NS = 500_000_000
"""How often to look whether the parent still lives, for the case that another process holds our stdin open."""
_GRACE_NS = 1_000_000_000
"""After a stop, to send what was due before it."""
_CHUNK = 65536


class Prober:
    """One load. `run` returns when it is over; `tally` then has the figures."""

    def __init__(self, order: Order, sheet: Sheet, poller: EpollPoller | PollPoller, target: Target) -> None:
        self.tally = Tally()
        self._order, self._sheet, self._poller = order, sheet, poller
        self._lanes = order["lanes"]
        self._exchange = Exchange(sheet, self.tally, poller, target)
        self._exchange.connections = order["connections"]
        self._exchange.timeout = round(order["timeout"] * 1e9)
        self._exchange.head_only = order["head_only"]
        self._next = 0
        self._last = order["requests"] if order["requests"] is not None else _FAR
        self._end = self._origin = self._since = 0
        self._period = 0.0
        self._due = _FAR
        self._sending = True
        self._give_up = _FAR
        self._parent = os.getppid()
        self._watch_at = 0

    def run(self) -> None:
        """Send until told to stop, or done; then wait for what is under way."""
        self._begin()
        while self._sending or self._exchange.under_way:
            now = monotonic_ns()
            if self._sending:
                self._send(now)
            self._housekeeping(now)
            for fd, events in self._poller.wait(self._pause()):
                if fd == 0:
                    self._obey(os.read(0, _CHUNK))
                else:
                    self._exchange.ready(fd, events)
        self._sheet.flush()

    def _begin(self) -> None:
        self._poller.register(0, READ)
        now = monotonic_ns()
        seconds = self._order["seconds"]
        self._end = _FAR if seconds is None else now + round(seconds * 1e9)
        self._pace(now, self._order["rate"])
        os.write(1, b"started %d\n" % now)

    def _pace(self, now: int, rate: float | None) -> None:
        """From now on, `rate` requests a second."""
        self._origin, self._since = now, self._next
        self._period = 1e9 / rate if rate else 0.0
        self._due = now if rate else _FAR

    def _pause(self) -> float:
        """Seconds until something must be done. The answer to a closed loop wakes us by itself."""
        until = min(self._due if self._sending else _FAR, self._sheet.flush_at or _FAR, self._watch_at)
        until = min(until, self._exchange.deadline or _FAR)
        return (until - monotonic_ns()) / 1e9

    # Sending.

    def _send(self, now: int) -> None:
        if self._period:
            for _ in range(_BATCH):
                if now < self._due or not self._more(self._due):
                    return
                self._launch(self._due, now)
                self._due = self._origin + int((self._next - self._since) * self._period)
                now = monotonic_ns()
        else:
            while self._exchange.under_way < (self._order["concurrency"] or 1) and self._more(now):
                self._launch(now, now)
                now = monotonic_ns()

    def _more(self, intended: int) -> bool:
        if self._next >= self._last or intended >= self._end:
            self._sending = False
        return self._sending

    def _launch(self, intended: int, now: int) -> None:
        """Begin request number `next`."""
        index = self._next
        self._next += 1
        request = b"%b%d%b" % (self._order["before"], index, self._order["after"])
        self._exchange.begin(request, index, intended, now, self._lanes[index % len(self._lanes)])

    # Time, and the runner.

    def _housekeeping(self, now: int) -> None:
        self._exchange.expire(now)
        if self._sending and now >= self._give_up:
            self._abandon(now)
        if self._sheet.flush_at and now >= self._sheet.flush_at:
            self._sheet.flush()
        if now >= self._watch_at:
            self._watch_at = now + _WATCH_NS
            if os.getppid() != self._parent:
                self._orphaned()

    def _obey(self, text: bytes) -> None:
        """Commands are short lines, written whole by the runner."""
        if not text:
            self._orphaned()
        for line in text.splitlines():
            word, _, value = line.partition(b" ")
            if word == b"stop":
                self._stop(monotonic_ns())
                return
            if word == b"rate":
                self._pace(monotonic_ns(), float(value))

    def _stop(self, now: int) -> None:
        """Intend no more. What was due before is still sent, late as it is, unless the backlog is hopeless."""
        self._poller.unregister(0)
        self._end = min(self._end, now)
        self._give_up = now + _GRACE_NS
        self._sending = self._due < self._end

    def _abandon(self, now: int) -> None:
        """The load was more than this machine can send: what was due and has not left is on record as not sent."""
        while self._more(self._due):
            lane = self._lanes[self._next % len(self._lanes)]
            self._exchange.lose(self._next, self._due, now, lane, NOT_SENT)
            self._next += 1
            self._due = self._origin + int((self._next - self._since) * self._period)

    def _orphaned(self) -> None:
        self._sheet.flush()
        os._exit(ORPHANED)


def main() -> None:
    """Read the order, run it, print the summary. Exit code 0, or FAILED if the records could not be written."""
    order = _order()
    _allow_many_files()
    gc.disable()
    prober = Prober(order, Sheet(order["records"], order["names"]), Poller(), Target(order["address"], order["port"]))
    error = ""
    try:
        prober.run()
    except OSError as trouble:
        error = f"{trouble.strerror or trouble}"
    import json  # now that nothing is measured any more

    sys.stdout.write(json.dumps(prober.tally.summary() | {"error": error}) + "\n")
    sys.stdout.flush()
    os._exit(FAILED if error else 0)


def _order() -> Order:
    import marshal

    size = int.from_bytes(_exactly(4), "little")
    order: Order = marshal.loads(_exactly(size))
    return order


def _exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            os._exit(ORPHANED)
        data += more
    return data


def _allow_many_files() -> None:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
